/* message.h - a message as an event brings it, and as a line of output shows it. */
#ifndef PUSH_CLI_MESSAGE_H
#define PUSH_CLI_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/jsonscan.h"

struct message {
	struct push_json_member channel, value; /* JSON text, borrowed; no text: there is none */
	const char *id;                         /* borrowed; "": none */
};

/* message_print - a line on stdout: the text of a string, the JSON of any other value; with `json` an object.
 */
void
message_print(const struct message *message, bool json);

/* message_text - the text of a JSON string, for stderr; cut to `size`.  Returns `to`. */
const char *
message_text(const struct push_json_member *member, char *to, size_t size);

#endif
