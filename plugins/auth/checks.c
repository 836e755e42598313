/* checks.c - see checks.h. */
#include <stdlib.h>
#include <string.h>

#include "auth/checks.h"
#include "auth/limits.h"

struct waiting {
	struct push_list node;
	struct push_check check;
	uint64_t until_us;
	char token[];
};

void
push_checks_init(struct push_checks *checks, const struct push_checks_host *host)
{
	*checks = (struct push_checks){.host = *host, .paid_us = host->now_us()};
	push_list_init(&checks->waiting);
}

static void
end_first(struct push_checks *checks, void (*how)(void *context, const struct push_check *check))
{
	struct waiting *first = push_container_of(checks->waiting.next, struct waiting, node);

	push_list_remove(&first->node);
	checks->waiting_count--;
	how(checks->host.context, &first->check);
	explicit_bzero(first->token, first->check.token.size);
	free(first);
}

void
push_checks_fini(struct push_checks *checks)
{
	while (!push_list_is_empty(&checks->waiting))
		end_first(checks, checks->host.give_up);
}

static void
pay(struct push_checks *checks, uint64_t now_us)
{
	uint64_t paid_us = now_us > checks->paid_us ? (now_us - checks->paid_us) / PUSH_CHECK_SHARE : 0;

	checks->debt_us -= paid_us < checks->debt_us ? paid_us : checks->debt_us;
	checks->paid_us += paid_us * PUSH_CHECK_SHARE; /* what is too little for a microsecond counts later */
}

static bool
wait(struct push_checks *checks, const struct push_check *check, uint64_t now_us)
{
	struct waiting *waiting = checks->waiting_count < PUSH_CHECKS_WAITING_MAX
					  ? malloc(sizeof(*waiting) + check->token.size)
					  : NULL;

	if (!waiting)
		return false;
	waiting->check = *check;
	waiting->check.token.bytes = waiting->token;
	waiting->check.has_waited = true;
	waiting->until_us = now_us + PUSH_CHECK_WAIT_US;
	memcpy(waiting->token, check->token.bytes, check->token.size);
	push_list_append(&checks->waiting, &waiting->node);
	checks->waiting_count++;
	return true;
}

void
push_checks_submit(struct push_checks *checks, const struct push_check *check)
{
	uint64_t now_us = checks->host.now_us();

	pay(checks, now_us);
	if (checks->debt_us <= PUSH_CHECK_DEBT_US && push_list_is_empty(&checks->waiting))
		checks->host.check(checks->host.context, check);
	else if (!wait(checks, check, now_us))
		checks->host.give_up(checks->host.context, check);
}

void
push_checks_charge(struct push_checks *checks, uint64_t us)
{
	checks->debt_us += us;
}

/* Those that wait are in the order of their ends. */
void
push_checks_tick(struct push_checks *checks, uint64_t now_us)
{
	uint64_t begun_us = now_us;

	pay(checks, now_us);
	while (!push_list_is_empty(&checks->waiting)) {
		bool is_late =
			push_container_of(checks->waiting.next, struct waiting, node)->until_us <= now_us;

		if (!is_late &&
			(checks->debt_us > PUSH_CHECK_DEBT_US || now_us - begun_us >= PUSH_CHECK_TICK_US))
			break;
		end_first(checks, is_late ? checks->host.give_up : checks->host.check);
		now_us = checks->host.now_us();
	}
}
