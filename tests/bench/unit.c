/*
 * unit.c - the parts of pushload that judge, against naive twins: a judge must not err.
 *
 * The parsers are tried at every possible split by the self-test's server that sends one byte at a time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/histogram.h"
#include "src/payload.h"
#include "src/tracker.h"

static uint64_t seed;

static uint64_t
random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #condition);            \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static int
compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void
percentiles_are_those_of_the_sorted_values_within_1_percent(void)
{
	enum { COUNT = 10007 };
	static struct histogram histogram;
	static uint64_t values[COUNT];

	for (int i = 0; i < COUNT; i++) {
		values[i] = random_number() >> (random_number() % 64);
		histogram_add(&histogram, values[i]);
	}
	qsort(values, COUNT, sizeof(values[0]), compare);
	for (int percent = 1; percent <= 100; percent++) {
		size_t rank = ((size_t)percent * COUNT + 99) / 100;
		double exact = (double)values[rank - 1];
		double got = (double)histogram_percentile(&histogram, percent);

		CHECK(got >= exact && got <= exact * 1.01);
	}
	CHECK(histogram_percentile(&histogram, 100) == values[COUNT - 1]);
}

static void
an_empty_histogram_says_zero_and_the_ends_of_the_range_fit(void)
{
	static struct histogram histogram;

	CHECK(histogram_percentile(&histogram, 99) == 0);
	histogram_add(&histogram, 0);
	CHECK(histogram_percentile(&histogram, 99) == 0);
	histogram_add(&histogram, UINT64_MAX);
	CHECK(histogram_percentile(&histogram, 100) == UINT64_MAX);
	CHECK(histogram_bucket(UINT64_MAX) == HISTOGRAM_BUCKETS - 1);
}

/*
 * A stream whose messages get lost, doubled and delayed by a few places, told by the twin, which remembers
 * every number that has come.
 */
static void
a_tracker_agrees_with_one_that_remembers_everything(void)
{
	enum { SENT = 2000 };
	static unsigned char has_come[SENT + 1];
	uint32_t order[2 * SENT], count = 0, highest = 0, distinct = 0;
	struct tracker tracker;

	memset(has_come, 0, sizeof(has_come));
	for (uint32_t number = 1; number <= SENT; number++) {
		uint64_t fate = random_number() % 20;

		if (fate != 0)
			order[count++] = number;
		if (fate == 1)
			order[count++] = number;
	}
	/* Each is moved once at most, so that none comes later than a tracker can tell from a duplicate. */
	for (uint32_t i = 0; i + 30 < count; i += 30) {
		uint32_t other = i + (uint32_t)(random_number() % 30), kept = order[i];

		order[i] = order[other];
		order[other] = kept;
	}
	tracker_init(&tracker, 0);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = order[i];
		enum tracker_verdict expected = has_come[number]        ? TRACKER_DUPLICATE
						: number < highest      ? TRACKER_LATE
						: number == highest + 1 ? TRACKER_NEXT
									: TRACKER_GAP;

		CHECK(tracker_take(&tracker, number) == expected);
		distinct += !has_come[number];
		has_come[number] = 1;
		highest = number > highest ? number : highest;
	}
	CHECK(tracker.missing == highest - distinct);
	CHECK(tracker_lost(&tracker, SENT) == tracker.missing + SENT - highest);
}

static void
a_tracker_that_joins_late_begins_with_what_comes_first(void)
{
	struct tracker tracker;

	tracker_init(&tracker, 7);
	CHECK(tracker_lost(&tracker, 7) == 0);
	CHECK(tracker_take(&tracker, 6) == TRACKER_NEXT);
	CHECK(tracker_take(&tracker, 7) == TRACKER_NEXT);
	CHECK(tracker_take(&tracker, 5) == TRACKER_DUPLICATE);
	CHECK(tracker_take(&tracker, 9) == TRACKER_GAP);
	CHECK(tracker_lost(&tracker, 10) == 2);
}

static void
a_message_is_read_back_and_any_changed_byte_is_noticed(void)
{
	struct stamp stamp = {0xabcdef, 0x1234, 0x89abcdef, 0}, got;
	struct payload payload;
	char text[100], wrapped[120];
	size_t wrapped_size;

	CHECK(!payload_init(&payload, 0xbeef, sizeof(text)));
	stamp.sent_ns = payload.epoch_ns + 123456789;
	payload_write(&payload, text, &stamp);
	wrapped_size =
		(size_t)snprintf(wrapped, sizeof(wrapped), "{\"m\":\"%.*s\"}", (int)sizeof(text), text);
	CHECK(payload_read(&payload, wrapped, wrapped_size, &got) == PAYLOAD_READ);
	CHECK(got.channel == stamp.channel && got.stream == stamp.stream && got.number == stamp.number &&
		got.sent_ns == stamp.sent_ns);
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = (char)(text[i] + 1);
		if (payload_read(&payload, text, sizeof(text), &got) == PAYLOAD_READ)
			/* In a digit it is another stamp, which the tracker notices. */
			CHECK(got.channel != stamp.channel || got.stream != stamp.stream ||
				got.number != stamp.number || got.sent_ns != stamp.sent_ns);
		text[i] = (char)(text[i] - 1);
	}
	for (size_t size = 0; size < sizeof(text); size++)
		CHECK(payload_read(&payload, text, size, &got) != PAYLOAD_READ);
	payload_fini(&payload);
}

int
main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0x9e3779b97f4a7c15ull ^ (uint64_t)(uintptr_t)&argc;
	fprintf(stderr, "seed %#" PRIx64 "\n", seed);
	percentiles_are_those_of_the_sorted_values_within_1_percent();
	an_empty_histogram_says_zero_and_the_ends_of_the_range_fit();
	for (int i = 0; i < 100; i++)
		a_tracker_agrees_with_one_that_remembers_everything();
	a_tracker_that_joins_late_begins_with_what_comes_first();
	a_message_is_read_back_and_any_changed_byte_is_noticed();
	return 0;
}
