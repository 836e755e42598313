/* session_events.h - what session.c and session_events.c have of each other. */
#ifndef PUSH_CLI_SESSION_EVENTS_H
#define PUSH_CLI_SESSION_EVENTS_H

#include "session.h"

/* session_events.c: what an event means. */

void
session_take(struct session *session, struct link *link, const struct link_event *event);

/* session_take_held - what the new connection has brought during the move that has just ended. */
void
session_take_held(struct session *session);

/* session.c: what follows from it. */

/* session_move - open the new connection, unless that is under way. */
void
session_move(struct session *session);

/* session_cut - the new connection takes the old one's place; quiet: the old one has nothing more to bring.
 */
void
session_cut(struct session *session, bool is_quiet);

/* session_renew - the server asks for another token: show it once the file of --token has one. */
void
session_renew(struct session *session);

/* session_end - with this exit code, and a line on stderr if there is one. */
void
session_end(struct session *session, enum cli_exit code, const char *why);

#endif
