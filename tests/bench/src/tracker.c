/* tracker.c - see tracker.h. */
#include "tracker.h"

static enum tracker_verdict
take_older(struct tracker *tracker, uint32_t behind)
{
	uint64_t bit = behind < 64 ? (uint64_t)1 << behind : 0;

	if (!tracker->missing || tracker->seen & bit)
		return TRACKER_DUPLICATE;
	tracker->seen |= bit;
	tracker->missing--;
	return TRACKER_LATE;
}

enum tracker_verdict
tracker_take(struct tracker *tracker, uint32_t number)
{
	uint32_t ahead;

	if (tracker->highest == TRACKER_JOINING) {
		*tracker = (struct tracker){.highest = number, .seen = UINT64_MAX};
		return TRACKER_NEXT;
	}
	if (number <= tracker->highest)
		return take_older(tracker, tracker->highest - number);
	ahead = number - tracker->highest;
	tracker->highest = number;
	tracker->seen = (ahead < 64 ? tracker->seen << ahead : 0) | 1;
	tracker->missing += ahead - 1;
	return ahead == 1 ? TRACKER_NEXT : TRACKER_GAP;
}

uint32_t
tracker_lost(const struct tracker *tracker, uint32_t sent)
{
	if (tracker->highest == TRACKER_JOINING)
		return 0;
	return tracker->missing + (sent > tracker->highest ? sent - tracker->highest : 0);
}
