/* ledger.c - see ledger.h. */
#include <stdlib.h>

#include "ledger.h"

void
ledger_connect(struct ledger *ledger)
{
	if (!ledger->must_begin)
		ledger->may_begin = ledger->numbers->decided + 1;
}

void
ledger_live(struct ledger *ledger)
{
	if (!ledger->must_begin)
		ledger->must_begin = ledger->numbers->sent + 1;
}

void
ledger_cut(struct ledger *ledger)
{
	ledger->fresh = (struct gap){0};
}

static void
owe(struct ledger *ledger, uint32_t to)
{
	if (ledger->began)
		numbers_owe(ledger->numbers, ledger->transport, ledger->began, to);
}

uint32_t
ledger_restart(struct ledger *ledger, uint32_t now_ms)
{
	uint32_t excused = 0;

	owe(ledger, ledger->next);
	for (uint32_t i = 0; i < ledger->hole_count; i++) {
		struct hole *hole = &ledger->holes[i];

		if (!hole->is_silent || hole->at_ms + LATE_MS_MAX < now_ms)
			continue;
		hole->is_silent = false;
		excused += hole->lost;
	}
	ledger->may_begin = ledger->must_begin = ledger->began = ledger->next = 0;
	ledger->kept = ledger->fresh = (struct gap){0};
	return excused;
}

void
ledger_gap(struct ledger *ledger, uint32_t missed)
{
	struct gap *gap = &ledger->fresh;

	gap->is_told = true;
	if (missed == MISSED_UNKNOWN) {
		gap->is_unknown = true;
		return;
	}
	gap->sum += missed;
	if (missed > gap->largest)
		gap->largest = missed;
}

uint32_t
ledger_excuse(struct ledger *ledger)
{
	uint32_t excused = 0;

	for (uint32_t i = 0; i < ledger->hole_count; i++) {
		if (ledger->holes[i].is_silent)
			excused += ledger->holes[i].lost;
		ledger->holes[i].is_silent = false;
	}
	return excused;
}

static struct gap
both(const struct ledger *ledger)
{
	const struct gap *kept = &ledger->kept, *fresh = &ledger->fresh;

	return (struct gap){
		.sum = kept->sum + fresh->sum,
		.largest = kept->largest > fresh->largest ? kept->largest : fresh->largest,
		.is_unknown = kept->is_unknown || fresh->is_unknown,
		.is_told = kept->is_told || fresh->is_told,
	};
}

void
ledger_position(struct ledger *ledger)
{
	ledger->kept = both(ledger);
	ledger->fresh = (struct gap){0};
}

static void
remember(struct ledger *ledger, const struct finding *finding, uint32_t now_ms)
{
	uint32_t capacity = ledger->hole_capacity ? ledger->hole_capacity * 2 : 4;

	if (ledger->hole_count == ledger->hole_capacity) {
		struct hole *grown = realloc(ledger->holes, capacity * sizeof(grown[0]));

		/* only what comes late is then taken for a duplicate */
		if (!grown)
			return;
		ledger->holes = grown;
		ledger->hole_capacity = capacity;
	}
	ledger->holes[ledger->hole_count++] = (struct hole){
		finding->from, finding->to, now_ms, finding->lost, finding->verdict == VERDICT_SILENT};
}

/* Judges [from, to) by the gaps that stand there; `slack`: so many more may be counted as missing. */
static struct finding
judge(struct ledger *ledger, uint32_t from, uint32_t to, uint32_t slack)
{
	struct gap gap = both(ledger);
	struct finding finding = {.from = from, .to = to, .told = gap.is_unknown ? MISSED_UNKNOWN : gap.sum};
	uint32_t most;

	finding.lost = numbers_acknowledged(ledger->numbers, from, to);
	most = finding.lost + numbers_uncertain(ledger->numbers, from, to) + slack;
	finding.is_superfluous = gap.is_told && !most;
	if (gap.is_unknown || (gap.sum >= finding.lost && gap.largest <= most))
		finding.verdict = finding.lost ? VERDICT_FIRST_OR_HOLE_TOLD : VERDICT_FINE;
	else
		finding.verdict = gap.sum ? VERDICT_WRONG_GAP : VERDICT_SILENT;
	ledger->kept = ledger->fresh = (struct gap){0};
	return finding;
}

/* How many may be missing in front of what is owed for certain: they were on their way when it connected. */
static uint32_t
slack_before(const struct ledger *ledger, uint32_t from)
{
	return numbers_acknowledged(ledger->numbers, ledger->may_begin, from) +
	       numbers_uncertain(ledger->numbers, ledger->may_begin, from);
}

static struct finding
take_late(struct ledger *ledger, uint32_t number)
{
	struct finding finding = {.verdict = VERDICT_DUPLICATE, .from = number, .to = number + 1};

	for (uint32_t i = ledger->hole_count; i-- > 0;) {
		if (ledger->holes[i].from > number || ledger->holes[i].to <= number)
			continue;
		finding.verdict = ledger->numbers->all[number].state == NUMBER_ACKNOWLEDGED
					  ? VERDICT_LATE
					  : VERDICT_LATE_UNCERTAIN;
		ledger->numbers->all[number].received[ledger->transport]++;
		break;
	}
	return finding;
}

/* The first that comes.  What is older than it was not owed, or is missing. */
static struct finding
take_first(struct ledger *ledger, uint32_t number)
{
	uint32_t from = ledger->must_begin && ledger->must_begin < number ? ledger->must_begin : number;
	uint32_t may = ledger->may_begin ? ledger->may_begin : from;

	ledger->began = from;
	return judge(ledger, from, number, may < from ? slack_before(ledger, from) : 0);
}

struct finding
ledger_take(struct ledger *ledger, uint32_t number, uint32_t now_ms)
{
	struct finding finding;

	if (!number || number > ledger->numbers->sent)
		return (struct finding){.verdict = VERDICT_NEVER_SENT, .from = number, .to = number};
	if (ledger->next && number < ledger->next)
		return take_late(ledger, number);
	if (!ledger->must_begin) {
		/* nothing is promised before the first heartbeat */
		ledger->next = number + 1;
		return (struct finding){.verdict = VERDICT_FINE};
	}
	finding = ledger->began ? judge(ledger, ledger->next, number, 0) : take_first(ledger, number);
	if (finding.from < finding.to)
		remember(ledger, &finding, now_ms);
	ledger->next = number + 1;
	if (!ledger->finished)
		ledger->numbers->all[number].received[ledger->transport]++;
	return finding;
}

void
ledger_finish(struct ledger *ledger, uint32_t number)
{
	if (ledger->finished)
		return;
	ledger->finished = number;
	owe(ledger, number + 1);
}

struct finding
ledger_close(struct ledger *ledger)
{
	uint32_t from = ledger->began ? ledger->next : ledger->must_begin;
	struct finding finding = {.verdict = VERDICT_FINE};

	if (ledger->finished)
		return finding;
	if (!ledger->began)
		ledger->began = from;
	owe(ledger, ledger->numbers->decided + 1);
	if (!from || from > ledger->numbers->decided)
		return finding;
	finding = judge(ledger, from, ledger->numbers->decided + 1, 0);
	/* more of it might still have come: only that too little was told is certain */
	if (finding.verdict == VERDICT_WRONG_GAP && finding.told >= finding.lost)
		finding.verdict = VERDICT_FIRST_OR_HOLE_TOLD;
	if (finding.verdict == VERDICT_SILENT)
		remember(ledger, &finding, 0);
	return finding;
}

void
ledger_fini(struct ledger *ledger)
{
	free(ledger->holes);
	ledger->holes = NULL;
	ledger->hole_count = ledger->hole_capacity = 0;
}
