/* numbers.c - see numbers.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"

/* Room for `sent` + 1, whose sums are those behind the last. */
static bool
reserve(struct numbers *numbers)
{
	uint32_t wanted = numbers->sent + 3, capacity = wanted * 2;
	struct number *grown;

	if (wanted <= numbers->capacity)
		return true;
	grown = realloc(numbers->all, capacity * sizeof(grown[0]));
	if (!grown)
		return false;
	memset(grown + numbers->capacity, 0, (capacity - numbers->capacity) * sizeof(grown[0]));
	numbers->all = grown;
	numbers->capacity = capacity;
	return true;
}

uint32_t
numbers_send(struct numbers *numbers)
{
	assert(numbers->sent == numbers->decided);
	return reserve(numbers) ? ++numbers->sent : 0;
}

void
numbers_decide(struct numbers *numbers, enum number_state state, uint32_t now_ms)
{
	struct number *number = &numbers->all[numbers->sent];

	assert(numbers->decided + 1 == numbers->sent && state != NUMBER_SENT);
	number->state = (uint8_t)state;
	number->decided_ms = now_ms;
	number[1].acknowledged_before = number->acknowledged_before + (state == NUMBER_ACKNOWLEDGED);
	number[1].uncertain_before = number->uncertain_before + (state == NUMBER_UNCERTAIN);
	numbers->decided++;
}

uint32_t
numbers_acknowledged(const struct numbers *numbers, uint32_t from, uint32_t to)
{
	assert(to <= numbers->decided + 1);
	return from < to ? numbers->all[to].acknowledged_before - numbers->all[from].acknowledged_before : 0;
}

uint32_t
numbers_uncertain(const struct numbers *numbers, uint32_t from, uint32_t to)
{
	assert(to <= numbers->decided + 1);
	return from < to ? numbers->all[to].uncertain_before - numbers->all[from].uncertain_before : 0;
}

void
numbers_owe(struct numbers *numbers, unsigned int transport, uint32_t from, uint32_t to)
{
	assert(to <= numbers->sent + 1);
	if (from >= to)
		return;
	numbers->all[from].owed_change[transport]++;
	numbers->all[to].owed_change[transport]--;
}

uint64_t
numbers_expected(const struct numbers *numbers, unsigned int transport)
{
	uint64_t sum = 0;
	int64_t owed = 0;

	for (uint32_t n = 1; n <= numbers->sent; n++) {
		owed += numbers->all[n].owed_change[transport];
		if (numbers->all[n].state == NUMBER_ACKNOWLEDGED)
			sum += (uint64_t)owed;
	}
	return sum;
}

uint64_t
numbers_received(const struct numbers *numbers, unsigned int transport, enum number_state state)
{
	uint64_t sum = 0;

	for (uint32_t n = 1; n <= numbers->sent; n++)
		if (numbers->all[n].state == state)
			sum += numbers->all[n].received[transport];
	return sum;
}

uint32_t
numbers_too_few(const struct numbers *numbers, uint32_t *ret_first)
{
	uint32_t count = 0;

	for (uint32_t n = 1; n <= numbers->sent; n++) {
		const struct number *number = &numbers->all[n];

		if (number->state == NUMBER_ACKNOWLEDGED && number->at_once > number->subscribers && !count++)
			*ret_first = n;
	}
	return count;
}

void
numbers_fini(struct numbers *numbers)
{
	free(numbers->all);
	*numbers = (struct numbers){0};
}
