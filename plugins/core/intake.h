/*
 * intake.h - backpressure towards a client: nothing more is read from one that asks for more than has been
 * done for it.  Part of the hub; nobody else includes this.
 *
 * A client's commands and PINGs are answered through its outbox.  Without a bound a client that sends and
 * never reads turns kilobytes of commands into megabytes of answers.  So after each command that is answered
 * the hub looks at what it still has to do for the client, and while that is too much the transport leaves
 * the client's bytes in its socket:
 *
 *   the outbox holds over PUSH_ANSWERS_WAITING_BYTES_MAX     until half of that is written
 *   commands from before the start fill half of their room   until the start
 *   push.channels.max channels that it has joined are not
 *   confirmed by the engine (live.c)                         until they are
 *   somebody else has work of the client's to do (`held`)    until it says so
 *
 * Acks and pongs have no answer and never stop a client that reads slowly.  A client that is not read from
 * cannot show that it is alive, so each byte that it takes counts instead (subscriber.c).
 */
#ifndef PUSH_CORE_INTAKE_H
#define PUSH_CORE_INTAKE_H

#include "hub_private.h"

/* intake_check - the client has asked for something: stop reading if that is too much. */
void
intake_check(struct push_subscriber *subscriber);

/* intake_is_full - so much waits for a client whose socket takes nothing that it can ask for no more: for
 * what comes beside its connection. */
bool
intake_is_full(const struct push_subscriber *subscriber);

/* intake_resume - something has been done for a paused client: read on if that is enough. */
void
intake_resume(struct push_subscriber *subscriber);

/* intake_end - the client is being closed: read on, for its Close frame. */
void
intake_end(struct push_subscriber *subscriber);

/* intake_forget - nothing of it is read any more. */
void
intake_forget(struct push_subscriber *subscriber);

#endif
