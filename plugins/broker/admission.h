/*
 * admission.h - WebSocket clients that have to identify themselves, until they are accepted or refused.
 *
 * A browser hides a failed handshake from its page, and sends no header of the page's choice with it.  So the
 * handshake succeeds, and then
 *
 *   it has shown a token ─▶ asked about ─┬▶ known, and may ──▶ subscribed and started
 *                               ▲        └▶ else ────────────▶ an error; 4401, 4403, or 1013 to try again
 *   it has shown nothing ─▶ may everybody? ─▶ subscribed and started
 *                               │ else: what it asks for is kept for the grace period,
 *                               └─ and its first message may be {"event":"auth","data":{"token":"..."}}
 *
 * Later, the same command renews the token (push_subscriber_renew).
 */
#ifndef PUSH_BROKER_ADMISSION_H
#define PUSH_BROKER_ADMISSION_H

#include "authenticator.h"
#include "core/list.h"
#include "core/options.h"
#include "core/stats.h"
#include "core/subscription_request.h"

struct push_hub;
struct push_subscriber;

#define PUSH_ADMISSIONS_BUCKETS 256

/* Of one broker. */
struct push_admissions {
	struct push_authenticator *authenticator; /* borrowed */
	const struct push_options *options;
	struct push_stats *stats;
	uint64_t (*now_us)(void);
	struct push_hub *hub;
	struct push_account *account; /* that what is kept is charged to */
	size_t count;
	struct push_list buckets[PUSH_ADMISSIONS_BUCKETS]; /* by subscriber */
};

/* push_admissions_init - the fields above the account are set; guards the hub (core/identified.h). */
void
push_admissions_init(struct push_admissions *admissions, struct push_hub *hub);

/* push_admissions_fini - free those without a pending question. */
void
push_admissions_fini(struct push_admissions *admissions);

/*
 * push_admissions_admit - a new subscriber asks for this, and has shown that: start it or refuse it, now or
 * later.
 *
 * @subscription: what it holds is the admission's from here on; it is left empty.
 */
void
push_admissions_admit(struct push_admissions *admissions, struct push_subscriber *subscriber,
	struct push_subscription *subscription, const struct push_credential *credential,
	const struct push_asked *asked);

/* push_admissions_forget - a subscriber is gone. */
void
push_admissions_forget(struct push_admissions *admissions, const struct push_subscriber *subscriber);

/* push_admissions_count_refused - a verdict was no; for metrics. */
void
push_admissions_count_refused(struct push_admissions *admissions, const struct push_verdict *verdict);

#endif
