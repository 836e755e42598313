/*
 * status.h - the outcome of every operation in Push that can fail.
 *
 * One table is the source of the codes, of their names and of the words that
 * a person reads.  A new code needs a row here and nothing else.
 *
 * Operating errors (a hostile client, a full queue, a missing broker) are
 * statuses and are returned; bugs are caught by PUSH_ASSERT (push_assert.h).
 */
#ifndef PUSH_CORE_STATUS_H
#define PUSH_CORE_STATUS_H

#define PUSH_STATUS_MAP(X)                                                                                   \
	X(OK, "ok")                                                                                          \
	X(OUT_OF_MEMORY, "out of memory")                                                                    \
	X(INVALID, "invalid")                                                                                \
	X(TOO_LARGE, "too large")                                                                            \
	X(LIMITED, "over a limit")                                                                           \
	X(TOO_OFTEN, "too often")                                                                            \
	X(TOO_MANY, "too many")                                                                              \
	X(NOT_FOUND, "not found")                                                                            \
	X(UNAVAILABLE, "the broker cannot be reached")                                                       \
	X(REFUSED, "the broker refused the message")                                                         \
	X(UNCERTAIN, "the broker connection was lost, it may have been published")                           \
	X(CLOSED, "closed")

enum push_status {
#define X(name, text) PUSH_##name,
	PUSH_STATUS_MAP(X)
#undef X
};

/* For functions whose result must not be dropped. */
#define PUSH_MUST_USE __attribute__((warn_unused_result))

/* push_status_text - a short lower-case English text for a status; static, never NULL. */
static inline const char *
push_status_text(enum push_status status)
{
	static const char *const texts[] = {
#define X(name, text) text,
		PUSH_STATUS_MAP(X)
#undef X
	};

	return (unsigned int)status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown status";
}

#endif
