/* token_files.c - see token_files.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/limits.h"
#include "core/utf8.h"
#include "say.h"
#include "token_files.h"

/* More than any server takes, so that what is wrong with it can be said. */
#define TOKEN_INPUT_BYTES_MAX 65536

static bool
write_all(int file, const struct push_buf *content)
{
	size_t done = 0;

	while (done < content->size) {
		ssize_t size = write(file, content->bytes + done, content->size - done);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return false;
		done += (size_t)size;
	}
	return true;
}

bool
token_write_new(const char *path, mode_t mode, const struct push_buf *content)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool is_written;

	if (file < 0) {
		say("%s: %s", path,
			errno == EEXIST ? "exists already, and a key is not overwritten" : strerror(errno));
		return false;
	}
	is_written = write_all(file, content);
	is_written = !close(file) && is_written;
	if (!is_written) {
		say("%s: %s", path, strerror(errno));
		unlink(path);
	}
	return is_written;
}

static bool
read_all(FILE *file, const char *name, struct push_buf *text)
{
	char piece[4096];
	size_t size;

	while (text->status == PUSH_OK && (size = fread(piece, 1, sizeof(piece), file)) > 0)
		push_buf_append(text, piece, size);
	explicit_bzero(piece, sizeof(piece));
	if (ferror(file))
		say("%s: %s", name, strerror(errno));
	else if (text->status == PUSH_TOO_LARGE)
		say("%s: longer than 64 kB: not a token", name);
	return !ferror(file) && text->status == PUSH_OK;
}

static bool
read_file(const char *path, struct push_buf *text)
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (!file) {
		say("%s: %s", path, strerror(errno));
		return false;
	}
	is_read = read_all(file, path, text);
	fclose(file);
	return is_read;
}

static bool
read_word(const char *word, struct push_buf *text)
{
	if (!strcmp(word, "-"))
		return read_all(stdin, "stdin", text);
	if (word[0] == '@')
		return read_file(word + 1, text);
	push_buf_append_text(text, word);
	return true;
}

struct push_str
token_take(const char *word, struct push_buf *text)
{
	static const char scheme[] = "bearer ";
	struct push_str token, none = {NULL, 0};
	const char *newline;

	push_buf_init(text, TOKEN_INPUT_BYTES_MAX);
	if (!read_word(word, text))
		return none;
	token = push_str_trim((struct push_str){text->size ? text->bytes : "", text->size});
	newline = memchr(token.bytes, '\n', token.size);
	if (newline)
		token.size = (size_t)(newline - token.bytes);
	if (token.size && token.bytes[token.size - 1] == '\r')
		token.size--;
	if (token.size > strlen(scheme) &&
		push_str_is((struct push_str){token.bytes, strlen(scheme)}, scheme))
		token = (struct push_str){token.bytes + strlen(scheme), token.size - strlen(scheme)};
	token = push_str_trim(token);
	if (token.size)
		return token;
	say("there is no token");
	return none;
}

bool
token_is_id(const char *id)
{
	if (!id || (*id && strlen(id) <= PUSH_KEY_ID_BYTES_MAX && push_utf8_is_valid(id, strlen(id))))
		return true;
	say("--kid %s: must be a text of 1 to %d bytes in UTF-8", id, PUSH_KEY_ID_BYTES_MAX);
	return false;
}

void
token_print(const char *text, size_t size)
{
	bool is_terminal = isatty(STDOUT_FILENO);

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];
		bool is_c1 = c == 0xC2 && i + 1 < size && (unsigned char)text[i + 1] < 0xA0;

		if (!is_terminal || (c >= 0x20 && c != 0x7F && !is_c1))
			putchar(c);
		else if (is_c1)
			printf("\\x%02x", (unsigned char)text[++i]);
		else
			printf("\\x%02x", c);
	}
}
