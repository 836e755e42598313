/*
 * reconcile - proves that a Push server loses nothing without a word.
 *
 *   options    what to do              proof      the phases, one after the other
 *   client     one that is cut off     ledger     what it is owed of a channel, and what it got
 *   publisher  one for each channel    numbers    what became of what was published
 *   report     what is told            and from tests/bench: loop, net, ws, sse, response
 *
 * One thread and no clock: that a message was sent before a client read its heartbeat is known because the
 * same thread did both.
 */
#include "proof.h"

int
main(int argc, char **argv)
{
	static struct proof proof;
	static struct options options;
	bool is_well;

	options_parse(&options, argc, argv);
	is_well = proof_run(&proof, &options);
	report_table(&proof);
	if (options.json)
		report_json(&proof, options.json);
	proof_fini(&proof);
	return is_well ? 0 : 1;
}
