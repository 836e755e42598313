/*
 * session.h - one subscription over many connections.
 *
 *   connecting -> open -> moving -> open    asked to reconnect: the new one opens, then the old one is closed
 *        ^          |
 *        +- waiting +    lost: tried again after a random pause that doubles
 *
 * Each connection begins behind the newest id, so that the server replays what was missed or reports the gap.
 * While moving, what the new connection brings is held until a quiet moment, and copies of what the old one
 * has brought are left out (copies.h): with ids no message is lost or printed twice.  It is what push.js does
 * in a page.
 */
#ifndef PUSH_CLI_SESSION_H
#define PUSH_CLI_SESSION_H

#include "arguments.h"
#include "copies.h"
#include "held.h"
#include "link.h"
#include "login.h"
#include "message.h"

/* Channels that messages without ids have come from: gaps of theirs mean nothing during a move. */
#define SESSION_PLAIN_MAX 256

struct session {
	struct loop *loop;
	const struct url *url;
	struct login *login;
	const struct cli_arguments *arguments; /* the login's */
	char id[CLI_ID_BYTES_MAX + 1];         /* how far it has come; "": nowhere yet */
	struct push_buf path;
	struct link *link, *next;  /* next: moving */
	struct held held;          /* events of `next` */
	struct copies copies;      /* what `link` may bring again */
	struct copies next_copies; /* what `next` will */
	lws_sorted_usec_list_t retry, cut, settle, renewal;
	uint64_t move_by_us, heartbeat_us, random, printed;
	unsigned int tries;
	bool was_open, was_lost, is_quiet, is_ending;
	uint64_t plain[SESSION_PLAIN_MAX]; /* hashes of names */
	size_t plain_count;
	enum cli_exit exit_code;
};

/* session_run - until it has ended; the exit code. */
enum cli_exit
session_run(struct session *session);

#endif
