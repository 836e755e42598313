/* admission.c - see admission.h. */
#include <stdlib.h>
#include <string.h>

#include "admission.h"
#include "core/describe.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limiter.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/subscriber.h"
#include "renewal.h"

struct admission {
	struct push_list item; /* in its bucket */
	struct push_admissions *admissions;
	struct push_subscriber *subscriber; /* NULL: gone */
	struct push_subscription subscription;
	size_t bytes;    /* charged */
	bool is_renewal; /* it has started, and brings another token */
	bool has_shown;  /* a credential, in whatever way */
	bool is_asked;   /* the authenticator will answer */
	bool is_late;    /* ... after the call that asked it */
};

static struct push_list *
bucket(struct push_admissions *admissions, const struct push_subscriber *subscriber)
{
	return &admissions->buckets[(uintptr_t)subscriber / 128 % PUSH_ADMISSIONS_BUCKETS];
}

static struct admission *
find(struct push_admissions *admissions, const struct push_subscriber *subscriber)
{
	struct push_list *list = bucket(admissions, subscriber);

	for (struct push_list *item = list->next; admissions->count && item != list; item = item->next) {
		struct admission *admission = push_container_of(item, struct admission, item);

		if (admission->subscriber == subscriber)
			return admission;
	}
	return NULL;
}

static struct admission *
create(struct push_admissions *admissions, struct push_subscriber *subscriber)
{
	struct admission *admission = calloc(1, sizeof(*admission));

	if (!admission)
		return NULL;
	admission->admissions = admissions;
	admission->subscriber = subscriber;
	admission->bytes = sizeof(*admission);
	push_account_add(admissions->account, admission->bytes);
	admissions->count++;
	push_list_append(bucket(admissions, subscriber), &admission->item);
	return admission;
}

static void
destroy(struct admission *admission)
{
	push_list_remove(&admission->item);
	admission->admissions->count--;
	push_account_take(admission->admissions->account, admission->bytes);
	push_subscription_fini(&admission->subscription);
	free(admission);
}

void
push_admissions_count_refused(struct push_admissions *admissions, const struct push_verdict *verdict)
{
	admissions->stats->auth_refused[verdict->why]++;
}

/* --- the end of it --- */

static enum push_close_reason
reason_of(unsigned int status)
{
	switch (status) {
	case 401: return PUSH_CLOSE_UNAUTHENTICATED;
	case 403: return PUSH_CLOSE_FORBIDDEN;
	case 503: return PUSH_CLOSE_PUT_OFF;
	default: return PUSH_CLOSE_REFUSED;
	}
}

static void
refuse(struct admission *admission, const char *text, enum push_close_reason reason)
{
	push_subscriber_refuse(admission->subscriber, text, reason, admission->admissions->now_us());
	destroy(admission);
}

static void
start(struct admission *admission, const struct push_identity *identity)
{
	struct push_subscriber *subscriber = admission->subscriber;
	uint64_t now_us = admission->admissions->now_us();
	enum push_status status = push_subscriber_identify(subscriber, identity, now_us);

	if (status == PUSH_OK)
		status = push_subscription_apply(&admission->subscription, subscriber);
	if (push_user_limit_text(status)) {
		refuse(admission, push_user_limit_text(status), PUSH_CLOSE_REFUSED);
		return;
	}
	if (status != PUSH_OK) {
		refuse(admission, push_channels_join_error(status), PUSH_CLOSE_PUT_OFF);
		return;
	}
	destroy(admission);
	push_subscriber_start(subscriber, now_us);
}

/* It is known who it is: may it? */
static void
decide(struct admission *admission, const struct push_identity *identity)
{
	struct push_admissions *admissions = admission->admissions;
	struct push_error error = {""};

	switch (push_subscription_grant(&admission->subscription, identity, admissions->options, &error)) {
	case PUSH_OK: start(admission, identity); break;
	case PUSH_OUT_OF_MEMORY:
		refuse(admission, push_status_text(PUSH_OUT_OF_MEMORY), PUSH_CLOSE_PUT_OFF);
		break;
	case PUSH_REFUSED:
		if (!admission->has_shown) { /* it may still say who it is */
			push_subscriber_await_identity(admission->subscriber, true, admissions->now_us());
			break;
		}
		push_hub_count_refused(admissions->hub, PUSH_AUTH_FORBIDDEN, error.text);
		refuse(admission, error.text, PUSH_CLOSE_FORBIDDEN);
		break;
	default:
		if (!admission->has_shown && !push_identity_channels(identity).size)
			push_subscriber_await_identity(admission->subscriber, true, admissions->now_us());
		else
			refuse(admission, error.text, PUSH_CLOSE_REFUSED);
	}
}

static void
tell_error(struct push_subscriber *subscriber, const char *text, uint64_t now_us)
{
	struct push_buf data;

	push_buf_init(&data, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&data, text);
	if (data.status == PUSH_OK)
		push_subscriber_tell(subscriber, "error", data.bytes, data.size, now_us);
	push_buf_fini(&data);
}

/* A client that has started keeps what it has: until that expires it can try again. */
static void
renew(struct admission *admission, const struct push_verdict *verdict)
{
	struct push_admissions *admissions = admission->admissions;
	struct push_subscriber *subscriber = admission->subscriber;
	uint64_t now_us = admissions->now_us();
	struct push_renewal_refusal refusal;

	destroy(admission);
	if (verdict->status) {
		tell_error(subscriber, verdict->text, now_us);
		return;
	}
	refusal =
		push_renew(admissions->authenticator, admissions->hub, subscriber, verdict->identity, now_us);
	if (refusal.status)
		tell_error(subscriber, refusal.text, now_us);
}

static void
on_verdict(void *context, const struct push_verdict *verdict)
{
	struct admission *admission = context;
	struct push_subscriber *subscriber = admission->subscriber;
	bool is_late = admission->is_late;

	admission->is_asked = false;
	if (verdict->status)
		push_admissions_count_refused(admission->admissions, verdict);
	if (!subscriber) {
		destroy(admission);
		return;
	}
	if (is_late && !admission->is_renewal && !push_subscriber_is_unidentified(subscriber))
		destroy(admission); /* it has been closed meanwhile */
	else if (admission->is_renewal)
		renew(admission, verdict);
	else if (verdict->status)
		refuse(admission, verdict->text, reason_of(verdict->status));
	else
		decide(admission, verdict->identity);
	if (is_late) /* at last: with the next thing that it sends it may ask again */
		push_subscriber_hold(subscriber, false);
}

/* `admission` may be gone after it. */
static void
ask(struct admission *admission, const struct push_credential *credential, const struct push_asked *asked)
{
	struct push_admissions *admissions = admission->admissions;
	struct push_authenticator *authenticator = admissions->authenticator;
	struct push_subscriber *subscriber = admission->subscriber;

	admission->is_asked = true;
	admission->is_late = false;
	authenticator->identify(authenticator, credential, asked, on_verdict, admission);
	admission = find(admissions, subscriber);
	if (!admission || !admission->is_asked)
		return;
	admission->is_late = true;
	if (admission->is_renewal)
		push_subscriber_hold(subscriber, true);
	else
		push_subscriber_await_identity(subscriber, false, admissions->now_us());
}

void
push_admissions_admit(struct push_admissions *admissions, struct push_subscriber *subscriber,
	struct push_subscription *subscription, const struct push_credential *credential,
	const struct push_asked *asked)
{
	struct admission *admission = create(admissions, subscriber);
	size_t kept;

	if (!admission) {
		push_subscriber_refuse(subscriber, push_status_text(PUSH_OUT_OF_MEMORY), PUSH_CLOSE_PUT_OFF,
			admissions->now_us());
		return;
	}
	admission->subscription = *subscription;
	kept = subscription->list.capacity + subscription->last_id.capacity +
	       subscription->channels.count * sizeof(subscription->channels.names[0]);
	admission->bytes += kept;
	push_account_add(admissions->account, kept);
	admission->has_shown = credential->kind != PUSH_CREDENTIAL_NONE;
	memset(subscription, 0, sizeof(*subscription));
	ask(admission, credential, asked);
}

/* --- `auth` --- */

/* Decoded, in `text`.  Returns what is wrong with it; NULL: nothing. */
static const char *
read_token(const struct push_command *command, struct push_buf *text)
{
	struct push_json_member member = {.name = "token"};
	struct push_error error = {""};

	if (!command->data || push_json_scan_object(command->data, command->data_size, &member, 1, &error) ||
		!push_json_is_string(&member))
		return "'token' must be a string in the 'data' of 'auth'";
	return push_read_token(&member, text);
}

static void
on_auth(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	struct push_admissions *admissions = context;
	struct admission *admission = find(admissions, subscriber);
	struct push_credential credential = {.kind = PUSH_CREDENTIAL_TOKEN};
	struct push_asked asked = {.right = PUSH_RIGHT_SUBSCRIBE};
	struct push_buf token;
	const char *wrong;

	push_buf_init(&token, PUSH_SECRET_BYTES_MAX);
	wrong = read_token(command, &token);
	if (wrong) {
		tell_error(subscriber, wrong, admissions->now_us());
	} else if (admission && admission->is_asked) {
		tell_error(subscriber, "another token is still being checked", admissions->now_us());
	} else if (!admission && !(admission = create(admissions, subscriber))) {
		tell_error(subscriber, push_status_text(PUSH_OUT_OF_MEMORY), admissions->now_us());
	} else {
		admission->is_renewal = !push_subscriber_is_unidentified(subscriber);
		admission->has_shown = true;
		credential.text = (struct push_str){token.bytes, token.size};
		ask(admission, &credential, &asked);
	}
	if (token.bytes)
		explicit_bzero(token.bytes, token.size);
	push_buf_fini(&token);
}

void
push_admissions_init(struct push_admissions *admissions, struct push_hub *hub)
{
	admissions->account = &push_hub_memory(hub)->accounts[PUSH_MEMORY_REQUESTS];
	admissions->hub = hub;
	admissions->count = 0;
	for (size_t i = 0; i < PUSH_ADMISSIONS_BUCKETS; i++)
		push_list_init(&admissions->buckets[i]);
	push_hub_guard(hub, on_auth, admissions);
}

void
push_admissions_forget(struct push_admissions *admissions, const struct push_subscriber *subscriber)
{
	struct admission *admission = find(admissions, subscriber);

	if (!admission)
		return;
	if (admission->is_asked)
		admission->subscriber = NULL; /* it goes with the answer */
	else
		destroy(admission);
}

void
push_admissions_fini(struct push_admissions *admissions)
{
	for (size_t i = 0; i < PUSH_ADMISSIONS_BUCKETS; i++) {
		struct push_list *item = admissions->buckets[i].next;

		while (item != &admissions->buckets[i]) {
			struct admission *admission = push_container_of(item, struct admission, item);

			item = item->next;
			destroy(admission);
		}
	}
}
