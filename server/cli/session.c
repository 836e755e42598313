/* session.c - see session.h: which connection there is, and when. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/random.h"
#include "say.h"
#include "session.h"
#include "session_events.h"

static void
on_event(void *owner, struct link *link, const struct link_event *event);
static void
on_end(void *owner, struct link *link, const struct link_end *end);

static void
on_gone(void *owner);

#define STATUS_UNAUTHORIZED   401
#define CLOSE_UNAUTHENTICATED 4401
#define CLOSE_FORBIDDEN       4403

static const struct link_handlers handlers = {on_event, on_end, on_gone};

static uint64_t
now_us(void)
{
	return (uint64_t)lws_now_usecs();
}

static void
write_path(struct session *session)
{
	const struct cli_arguments *arguments = session->arguments;
	struct push_buf *path = &session->path;

	push_buf_clear(path);
	push_buf_append_text(path, session->url->path);
	push_buf_append_text(path, arguments->sse ? "/sse/messages?channels=" : "/ws/messages?channels=");
	for (size_t i = 0; i < arguments->word_count; i++) {
		if (i)
			push_buf_append(path, ",", 1);
		url_append_encoded(path, arguments->words[i]);
	}
	if (arguments->name) {
		push_buf_append_text(path, "&client=");
		url_append_encoded(path, arguments->name);
	}
	if (session->id[0]) {
		push_buf_append_text(path, "&last_event_id=");
		url_append_encoded(path, session->id);
	}
	push_buf_append(path, "", 1);
}

static struct link *
open_link(struct session *session)
{
	struct link *link = NULL;

	login_renew(session->login);
	write_path(session);
	if (session->path.status == PUSH_OK)
		link = link_open(session->loop, session->url, session->path.bytes, session->arguments->sse,
			session->arguments->headers, &handlers, session);
	if (link)
		link->login = session->login->changes;
	else
		session_end(session, CLI_USAGE, "the channels and the id are too long for a request");
	return link;
}

static void
on_retry(lws_sorted_usec_list_t *timer)
{
	struct session *session = lws_container_of(timer, struct session, retry);

	if (!session->link)
		session->link = open_link(session);
	else
		session_move(session);
}

void
session_move(struct session *session)
{
	if (session->next || session->is_ending || !session->link || !session->link->is_alive)
		return;
	lws_sul_cancel(&session->retry);
	copies_clear(&session->next_copies);
	session->next = open_link(session);
}

static void
on_settle(lws_sorted_usec_list_t *timer)
{
	copies_settle(&lws_container_of(timer, struct session, settle)->copies);
}

static void
on_cut(lws_sorted_usec_list_t *timer)
{
	struct session *session = lws_container_of(timer, struct session, cut);

	session_cut(session, session->is_quiet);
}

static void
cut_later(struct session *session)
{
	uint64_t now = now_us();
	uint64_t left = session->move_by_us > now ? session->move_by_us - now : 0;

	session->is_quiet = left >= CLI_QUIET_US;
	lws_sul_schedule(session->loop->context, 0, &session->cut, on_cut,
		(lws_usec_t)(session->is_quiet ? CLI_QUIET_US : left + 1));
}

void
session_cut(struct session *session, bool is_quiet)
{
	struct link *old = session->link, *link = session->next;

	lws_sul_cancel(&session->cut);
	lws_sul_cancel(&session->settle);
	session->link = link;
	session->next = NULL;
	copies_clear(&session->copies);
	session->copies = session->next_copies;
	session->next_copies = (struct copies){.list = NULL};
	if (old)
		link_close(old);
	link->is_moved = link->is_alive;
	session_take_held(session);
	lws_sul_schedule(
		session->loop->context, 0, &session->settle, on_settle, is_quiet ? 1 : CLI_SETTLE_US);
}

static void
opened(struct session *session, struct link *link)
{
	link->is_alive = true;
	if (link == session->next) {
		session->move_by_us = now_us() + CLI_MOVE_US;
		cut_later(session);
		return;
	}
	if (!session->arguments->quiet)
		say("%s %s over %s", session->was_lost ? "connected again to" : "connected to",
			session->url->text, link->is_sse ? "SSE" : "WebSocket");
	session->was_open = true;
	session->was_lost = false;
}

static void
on_event(void *owner, struct link *link, const struct link_event *event)
{
	struct session *session = owner;
	bool is_beat = !strcmp(event->name, "ping") || !strcmp(event->name, "heartbeat");
	uint64_t now = now_us();

	if (!event->name[0])
		return;
	if (is_beat && link->beat_us)
		session->heartbeat_us = now - link->beat_us;
	if (is_beat)
		link->beat_us = now;
	link_watch(link, CLI_SILENCE_US + 2 * session->heartbeat_us);
	if (!link->is_alive)
		opened(session, link);
	else if (session->next && session->next->is_alive && !strcmp(event->name, "message"))
		cut_later(session);
	if (link != session->next)
		session_take(session, link, event);
	else if (!held_add(&session->held, event)) {
		session_cut(session, false);
		session_take(session, link, event);
	}
}

/* The file may get its next token only after the server's warning. */
static void
on_renewal(lws_sorted_usec_list_t *timer)
{
	struct session *session = lws_container_of(timer, struct session, renewal);

	session_renew(session);
}

void
session_renew(struct session *session)
{
	if (!session->link || !session->link->is_alive || session->is_ending || !session->login->file)
		return;
	if (!login_renew(session->login))
		lws_sul_schedule(session->loop->context, 0, &session->renewal, on_renewal, CLI_TOKEN_FILE_US);
	else if (session->link->is_sse)
		session_move(session);
	else
		link_auth(session->link, login_token(session->login));
}

void
session_end(struct session *session, enum cli_exit code, const char *why)
{
	if (session->is_ending)
		return;
	session->is_ending = true;
	session->exit_code = code;
	if (why)
		say("%s", why);
	loop_stop(session->loop);
}

static bool
is_final(const struct link_end *end)
{
	unsigned int code = end->code, status = end->status;

	return (status >= 300 && status < 500 && status != 408 && status != 429) || code == 1003 ||
	       code == 1007 || code == 1008 || code == 1009 || code == CLOSE_UNAUTHENTICATED ||
	       code == CLOSE_FORBIDDEN;
}

/* Refused for its token, and there is another one. */
static bool
may_be_known_now(struct session *session, const struct link *link, const struct link_end *end)
{
	return (end->code == CLOSE_UNAUTHENTICATED || end->status == STATUS_UNAUTHORIZED) &&
	       (login_renew(session->login) || link->login != session->login->changes);
}

/* The first connection has to come about, so that a wrong URL shows at once; later everything is tried again.
 */
static bool
is_over(struct session *session, const struct link *link, const struct link_end *end)
{
	char line[1024];
	enum cli_exit code = CLI_UNAVAILABLE;

	if (may_be_known_now(session, link, end))
		return false;
	if (is_final(end))
		code = CLI_REFUSED;
	else if (session->was_open || session->arguments->retry)
		return false;
	else if (end->is_broken)
		code = CLI_BROKEN;
	else if (end->is_unreachable)
		code = CLI_UNREACHABLE;
	snprintf(line, sizeof(line), code == CLI_UNREACHABLE ? "%s cannot be reached: %s" : "%s: %s",
		session->url->text, end->why);
	session_end(session, code, line);
	login_hint(session->login, end->code ? end->code : end->status);
	return true;
}

static void
retry_later(struct session *session, const struct link *link, const struct link_end *end)
{
	uint64_t pause;

	if (link->is_alive && now_us() - link->opened_us > CLI_STABLE_US)
		session->tries = 0;
	pause = push_backoff_us(session->tries++, CLI_RETRY_FIRST_US, CLI_RETRY_LAST_US, &session->random);
	if (pause < end->retry_after_s * 1000000ull)
		pause = end->retry_after_s * 1000000ull;
	session->was_lost = true;
	if (!session->arguments->quiet)
		say("%s: %s; trying again in %.1f s",
			session->was_open ? "connection lost" : session->url->text, end->why,
			(double)pause / 1e6);
	lws_sul_schedule(session->loop->context, 0, &session->retry, on_retry, (lws_usec_t)pause);
}

static void
on_end(void *owner, struct link *link, const struct link_end *end)
{
	struct session *session = owner;

	if (link == session->next) {
		/* the old one serves on meanwhile */
		session->next = NULL;
		held_clear(&session->held);
		lws_sul_cancel(&session->cut);
		lws_sul_schedule(session->loop->context, 0, &session->retry, on_retry,
			(lws_usec_t)(CLI_RETRY_FIRST_US +
				     push_random_upto(&session->random, CLI_RETRY_FIRST_US)));
	} else if (session->next) {
		session_cut(session, false);
		return;
	} else {
		session->link = NULL;
		if (!session->is_ending && !is_over(session, link, end))
			retry_later(session, link, end);
	}
	link_close(link);
}

static void
on_gone(void *owner)
{
	struct session *session = owner;

	if (session->is_ending)
		loop_stop(session->loop);
}

static void
on_turn(void *owner)
{
	struct session *session = owner;

	if (!fflush(stdout) && !ferror(stdout))
		return;
	/* who reads has gone, as `head` does: that is no error */
	session_end(session, errno == EPIPE ? CLI_DONE : CLI_NO, errno == EPIPE ? NULL : strerror(errno));
}

static void
on_deadline(lws_sorted_usec_list_t *timer)
{
	loop_stop(lws_container_of(timer, struct session, retry)->loop);
}

/* Closes what is open, last acks first, and gives that a moment. */
static void
close_links(struct session *session)
{
	bool waits = session->link && session->link->is_alive && !session->link->is_sse;

	lws_sul_cancel(&session->retry);
	lws_sul_cancel(&session->cut);
	lws_sul_cancel(&session->settle);
	lws_sul_cancel(&session->renewal);
	if (session->next)
		link_close(session->next);
	if (session->link)
		link_close(session->link);
	if (!waits)
		return;
	lws_sul_schedule(session->loop->context, 0, &session->retry, on_deadline, CLI_CLOSE_US);
	session->loop->on_turn = NULL;
	loop_run(session->loop);
	lws_sul_cancel(&session->retry);
}

enum cli_exit
session_run(struct session *session)
{
	push_buf_init(&session->path, CLI_TARGET_BYTES_MAX);
	session->heartbeat_us = CLI_HEARTBEAT_US;
	if (getrandom(&session->random, sizeof(session->random), 0) != sizeof(session->random) ||
		!session->random)
		session->random = now_us() | 1;
	session->loop->owner = session;
	session->loop->on_turn = on_turn;
	session->link = open_link(session);
	if (!session->is_ending)
		loop_run(session->loop);
	close_links(session);
	fflush(stdout);
	held_clear(&session->held);
	copies_clear(&session->copies);
	copies_clear(&session->next_copies);
	push_buf_fini(&session->path);
	return session->exit_code;
}
