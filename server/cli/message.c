/*
 * message.c - see message.h.
 *
 * Values are printed as the publisher wrote them: a tree would change large numbers.  On a terminal control
 * characters of a text are shown as \x1b, so that a publisher cannot move the cursor of who looks on.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/json.h"
#include "cli_limits.h"
#include "message.h"

static void
print_for_terminal(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void
print_text(const struct push_json_member *value)
{
	struct push_buf text;

	push_buf_init(&text, CLI_MESSAGE_BYTES_MAX);
	push_json_decode_string(&text, value->text, value->size);
	if (text.size && isatty(STDOUT_FILENO))
		print_for_terminal(text.bytes, text.size);
	else if (text.size)
		fwrite(text.bytes, 1, text.size, stdout);
	push_buf_fini(&text);
}

static void
print_object(const struct message *message)
{
	struct push_buf id;

	printf("{\"channel\":%.*s", (int)message->channel.size, message->channel.text);
	if (message->id[0]) {
		push_buf_init(&id, CLI_ID_BYTES_MAX * 2);
		push_json_append_string(&id, message->id, strlen(message->id));
		printf(",\"id\":%.*s", (int)id.size, id.size ? id.bytes : "\"\"");
		push_buf_fini(&id);
	}
	fputs(",\"message\":", stdout);
	fwrite(message->value.text, 1, message->value.size, stdout);
	putchar('}');
}

void
message_print(const struct message *message, bool json)
{
	if (json)
		print_object(message);
	else if (push_json_is_string(&message->value))
		print_text(&message->value);
	else
		fwrite(message->value.text, 1, message->value.size, stdout);
	putchar('\n');
}

const char *
message_text(const struct push_json_member *member, char *to, size_t size)
{
	struct push_buf text;

	to[0] = '\0';
	if (!push_json_is_string(member))
		return to;
	push_buf_init(&text, CLI_MESSAGE_BYTES_MAX);
	push_json_decode_string(&text, member->text, member->size);
	snprintf(to, size, "%.*s", (int)text.size, text.size ? text.bytes : "");
	push_buf_fini(&text);
	return to;
}
