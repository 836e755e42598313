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

/* What `how` calls may let more wait, behind the others, and takes none away. */
static void
end_wait(struct push_checks *checks, struct waiting *waiting,
	void (*how)(void *context, const struct push_check *check))
{
	push_list_remove(&waiting->node);
	checks->waiting_count--;
	how(checks->host.context, &waiting->check);
	explicit_bzero(waiting->token, waiting->check.token.size);
	free(waiting);
}

void
push_checks_fini(struct push_checks *checks)
{
	struct push_list *item = checks->waiting.next;

	while (item != &checks->waiting) {
		struct waiting *waiting = push_container_of(item, struct waiting, node);

		item = item->next;
		end_wait(checks, waiting, checks->host.give_up);
	}
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
	struct push_list *item = checks->waiting.next;
	uint64_t begun_us = now_us;

	pay(checks, now_us);
	while (item != &checks->waiting) {
		struct waiting *waiting = push_container_of(item, struct waiting, node);
		bool is_late = waiting->until_us <= now_us;

		if (!is_late &&
			(checks->debt_us > PUSH_CHECK_DEBT_US || now_us - begun_us >= PUSH_CHECK_TICK_US))
			break;
		item = item->next;
		end_wait(checks, waiting, is_late ? checks->host.give_up : checks->host.check);
		now_us = checks->host.now_us();
	}
}
