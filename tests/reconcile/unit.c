/*
 * unit.c - the ledger of reconcile: a judge must neither miss a loss nor see one where there is none.
 *
 * Each test publishes numbers, says which came and what was told in between, and what has to be found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ledger.h"

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #condition);            \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

struct books {
	struct numbers numbers;
	struct ledger ledger;
};

static void
publish(struct books *books, int count, enum number_state state)
{
	while (count--) {
		CHECK(numbers_send(&books->numbers));
		numbers_decide(&books->numbers, state, 1);
	}
}

/* A client that has connected and read its first heartbeat when `before` numbers were published. */
static void
open_books(struct books *books, int before)
{
	*books = (struct books){.ledger.transport = 1};
	books->ledger.numbers = &books->numbers;
	publish(books, before, NUMBER_ACKNOWLEDGED);
	ledger_connect(&books->ledger);
	ledger_live(&books->ledger);
}

static enum verdict
take(struct books *books, uint32_t number)
{
	return ledger_take(&books->ledger, number, 100).verdict;
}

static uint64_t
expected(struct books *books)
{
	ledger_close(&books->ledger);
	return numbers_expected(&books->numbers, 1);
}

static void
close_books(struct books *books)
{
	ledger_fini(&books->ledger);
	numbers_fini(&books->numbers);
}

static void
what_comes_in_order_from_the_first_heartbeat_on_is_fine(void)
{
	struct books books;

	open_books(&books, 3);
	publish(&books, 3, NUMBER_ACKNOWLEDGED);
	for (uint32_t n = 4; n <= 6; n++)
		CHECK(take(&books, n) == VERDICT_FINE);
	ledger_finish(&books.ledger, 6);
	CHECK(expected(&books) == 3);
	CHECK(numbers_received(&books.numbers, 1, NUMBER_ACKNOWLEDGED) == 3);
	close_books(&books);
}

static void
what_came_before_the_first_heartbeat_is_owed_from_there_on(void)
{
	struct books books;

	open_books(&books, 3);
	publish(&books, 2, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 2) == VERDICT_FINE);
	CHECK(take(&books, 4) == VERDICT_SILENT);
	close_books(&books);
}

static void
what_comes_before_the_first_heartbeat_may_have_holes(void)
{
	struct books books = {.ledger.transport = 1};

	books.ledger.numbers = &books.numbers;
	ledger_connect(&books.ledger);
	publish(&books, 5, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	CHECK(take(&books, 3) == VERDICT_FINE);
	CHECK(take(&books, 3) == VERDICT_DUPLICATE);
	ledger_live(&books.ledger);
	CHECK(take(&books, 5) == VERDICT_FINE);
	publish(&books, 2, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 7) == VERDICT_SILENT);
	ledger_finish(&books.ledger, 7);
	CHECK(expected(&books) == 3);
	close_books(&books);
}

static void
a_number_that_is_skipped_is_lost_silently_also_the_first_and_the_last(void)
{
	struct books books;
	struct finding finding;

	open_books(&books, 3);
	publish(&books, 6, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 5) == VERDICT_SILENT);
	CHECK(take(&books, 8) == VERDICT_SILENT);
	finding = ledger_close(&books.ledger);
	CHECK(finding.verdict == VERDICT_SILENT && finding.lost == 1);
	CHECK(numbers_expected(&books.numbers, 1) == 6);
	close_books(&books);
}

static void
a_client_that_got_nothing_has_lost_all(void)
{
	struct books books;
	struct finding finding;

	open_books(&books, 3);
	publish(&books, 6, NUMBER_ACKNOWLEDGED);
	finding = ledger_close(&books.ledger);
	CHECK(finding.verdict == VERDICT_SILENT && finding.lost == 6);
	CHECK(numbers_expected(&books.numbers, 1) == 6);
	close_books(&books);
}

static void
what_was_not_acknowledged_may_be_missing_and_may_come_late(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 1, NUMBER_ACKNOWLEDGED);
	publish(&books, 1, NUMBER_UNCERTAIN);
	publish(&books, 1, NUMBER_REFUSED);
	publish(&books, 1, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	CHECK(take(&books, 4) == VERDICT_FINE);
	CHECK(take(&books, 2) == VERDICT_LATE_UNCERTAIN);
	CHECK(expected(&books) == 2);
	close_books(&books);
}

static void
a_gap_with_a_number_has_to_be_exact(void)
{
	static const struct {
		uint32_t told;
		enum verdict verdict;
	} rows[] = {{2, VERDICT_WRONG_GAP}, {3, VERDICT_FIRST_OR_HOLE_TOLD}, {4, VERDICT_WRONG_GAP},
		{0, VERDICT_SILENT}, {MISSED_UNKNOWN, VERDICT_FIRST_OR_HOLE_TOLD}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct books books;

		open_books(&books, 0);
		publish(&books, 5, NUMBER_ACKNOWLEDGED);
		CHECK(take(&books, 1) == VERDICT_FINE);
		ledger_gap(&books.ledger, rows[i].told);
		CHECK(take(&books, 5) == rows[i].verdict);
		close_books(&books);
	}
}

static void
a_gap_may_count_what_is_uncertain_or_not(void)
{
	for (uint32_t told = 1; told <= 4; told++) {
		struct books books;

		open_books(&books, 1);
		publish(&books, 2, NUMBER_ACKNOWLEDGED);
		publish(&books, 1, NUMBER_UNCERTAIN);
		publish(&books, 1, NUMBER_ACKNOWLEDGED);
		ledger_gap(&books.ledger, told);
		CHECK(take(&books, 5) ==
			(told == 2 || told == 3 ? VERDICT_FIRST_OR_HOLE_TOLD : VERDICT_WRONG_GAP));
		close_books(&books);
	}
}

static void
a_gap_excuses_only_what_is_missing_at_its_place(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 5, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	ledger_gap(&books.ledger, MISSED_UNKNOWN);
	CHECK(ledger_take(&books.ledger, 2, 1).is_superfluous);
	CHECK(take(&books, 4) == VERDICT_SILENT);
	close_books(&books);
}

static void
a_gap_behind_the_last_id_is_forgotten_when_the_client_is_cut_off(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 5, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	ledger_gap(&books.ledger, 2);
	ledger_cut(&books.ledger);
	ledger_gap(&books.ledger, 3);
	CHECK(take(&books, 5) == VERDICT_FIRST_OR_HOLE_TOLD);
	close_books(&books);
}

static void
a_gap_before_the_last_id_counts_on_when_the_client_is_cut_off(void)
{
	for (int is_told_again = 0; is_told_again < 2; is_told_again++) {
		struct books books;

		open_books(&books, 0);
		publish(&books, 5, NUMBER_ACKNOWLEDGED);
		CHECK(take(&books, 1) == VERDICT_FINE);
		ledger_gap(&books.ledger, 3);
		ledger_position(&books.ledger);
		ledger_cut(&books.ledger);
		if (is_told_again)
			ledger_gap(&books.ledger, 2);
		CHECK(take(&books, 5) == VERDICT_FIRST_OR_HOLE_TOLD);
		close_books(&books);
	}
}

static void
what_comes_twice_is_a_duplicate_and_what_comes_late_is_out_of_order(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 5, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	CHECK(take(&books, 1) == VERDICT_DUPLICATE);
	ledger_gap(&books.ledger, MISSED_UNKNOWN);
	CHECK(take(&books, 4) == VERDICT_FIRST_OR_HOLE_TOLD);
	CHECK(take(&books, 3) == VERDICT_LATE);
	ledger_cut(&books.ledger);
	CHECK(take(&books, 4) == VERDICT_DUPLICATE);
	CHECK(take(&books, 6) == VERDICT_NEVER_SENT);
	close_books(&books);
}

static void
a_gap_without_a_channel_excuses_late_what_was_lost_before(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 5, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	CHECK(take(&books, 4) == VERDICT_SILENT);
	CHECK(ledger_excuse(&books.ledger) == 2);
	CHECK(ledger_excuse(&books.ledger) == 0);
	close_books(&books);
}

static void
without_ids_nothing_is_owed_to_who_is_away(void)
{
	struct books books;

	open_books(&books, 0);
	publish(&books, 2, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	CHECK(!ledger_restart(&books.ledger, 200));
	publish(&books, 2, NUMBER_ACKNOWLEDGED);
	ledger_connect(&books.ledger);
	ledger_live(&books.ledger);
	publish(&books, 2, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 5) == VERDICT_FINE);
	CHECK(take(&books, 6) == VERDICT_FINE);
	CHECK(expected(&books) == 3);
	close_books(&books);
}

static void
at_the_end_a_gap_stands_for_what_did_not_come_any_more(void)
{
	struct books books;
	struct finding finding;

	open_books(&books, 0);
	publish(&books, 4, NUMBER_ACKNOWLEDGED);
	CHECK(take(&books, 1) == VERDICT_FINE);
	ledger_gap(&books.ledger, 2);
	finding = ledger_close(&books.ledger);
	CHECK(finding.verdict == VERDICT_WRONG_GAP && finding.lost == 3 && finding.told == 2);
	close_books(&books);
}

int
main(void)
{
	what_comes_in_order_from_the_first_heartbeat_on_is_fine();
	what_came_before_the_first_heartbeat_is_owed_from_there_on();
	what_comes_before_the_first_heartbeat_may_have_holes();
	a_number_that_is_skipped_is_lost_silently_also_the_first_and_the_last();
	a_client_that_got_nothing_has_lost_all();
	what_was_not_acknowledged_may_be_missing_and_may_come_late();
	a_gap_with_a_number_has_to_be_exact();
	a_gap_may_count_what_is_uncertain_or_not();
	a_gap_excuses_only_what_is_missing_at_its_place();
	a_gap_behind_the_last_id_is_forgotten_when_the_client_is_cut_off();
	a_gap_before_the_last_id_counts_on_when_the_client_is_cut_off();
	what_comes_twice_is_a_duplicate_and_what_comes_late_is_out_of_order();
	a_gap_without_a_channel_excuses_late_what_was_lost_before();
	without_ids_nothing_is_owed_to_who_is_away();
	at_the_end_a_gap_stands_for_what_did_not_come_any_more();
	printf("15 tests passed\n");
	return 0;
}
