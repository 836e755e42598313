/* token_publish_key.c - push token publish-key: a new key for a server that publishes. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/base64url.h"
#include "auth/publish_keys.h"
#include "core/buf.h"
#include "say.h"
#include "token_key.h"

/* So that it is found where it must not be: in a repository, in a log. */
#define KEY_PREFIX   "push_"
#define SECRET_BYTES 32
#define KEY_BYTES    (sizeof(KEY_PREFIX) - 1 + PUSH_BASE64URL_ENCODED_BYTES(SECRET_BYTES))
#define LINE_BYTES   (64u * 1024)
#define FILE_MODE    0600

static bool
make_key(char key[KEY_BYTES + 1])
{
	unsigned char secret[SECRET_BYTES];

	if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
		return false;
	memcpy(key, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
	push_base64url_encode(secret, sizeof(secret), key + sizeof(KEY_PREFIX) - 1);
	key[KEY_BYTES] = '\0';
	OPENSSL_cleanse(secret, sizeof(secret));
	return true;
}

/* NAME SHA256 PATTERNS LIMITS, without an end. */
static bool
append_line(const struct cli_arguments *arguments, const char *key, struct push_buf *to)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(key, strlen(key), digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	push_buf_append_text(to, arguments->words[0]);
	push_buf_append(to, " ", 1);
	for (size_t i = 0; i < PUSH_PUBLISH_KEY_DIGEST_BYTES; i++)
		push_buf_printf(to, "%02x", digest[i]);
	push_buf_append(to, " ", 1);
	push_buf_append_text(to, arguments->words[1]);
	if (arguments->rate) {
		push_buf_append_text(to, " rate=");
		push_buf_append_text(to, arguments->rate);
	}
	if (arguments->bytes) {
		push_buf_append_text(to, " bytes=");
		push_buf_append_text(to, arguments->bytes);
	}
	return to->status == PUSH_OK;
}

/* As the server will: a word with a space in it would be two, and one with # none. */
static bool
is_word(const char *word)
{
	return *word && *word != '#' && !strpbrk(word, " \t\r\n");
}

static bool
check_words(const struct cli_arguments *arguments)
{
	const struct {
		const char *name, *word;
	} rows[] = {
		{"NAME", arguments->words[0]},
		{"PATTERNS", arguments->words[1]},
		{"--rate", arguments->rate},
		{"--bytes", arguments->bytes},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].word && !is_word(rows[i].word)) {
			say("%s '%s': must be one word", rows[i].name, rows[i].word);
			return false;
		}
	return true;
}

static bool
check_line(const struct push_buf *line)
{
	struct push_publish_key_line parsed;
	const char *why = "";

	if (push_publish_key_line_parse((struct push_str){line->bytes, line->size}, &parsed, &why) == PUSH_OK)
		return true;
	say("%s", why);
	return false;
}

/* What the file has already; an empty one if it is new. */
static bool
read_file(int file, struct push_buf *to)
{
	char piece[4096];
	ssize_t size;

	while ((size = read(file, piece, sizeof(piece))) != 0) {
		if (size < 0 && errno != EINTR)
			return false;
		if (size > 0)
			push_buf_append(to, piece, (size_t)size);
	}
	return to->status == PUSH_OK;
}

static bool
write_line(const char *path, int file, const struct push_buf *line, struct push_buf *content)
{
	struct push_publish_keys *keys = NULL;
	struct push_error error;
	size_t before;

	if (!read_file(file, content)) {
		say("%s: %s", path, content->status == PUSH_OK ? strerror(errno) : "larger than 1 MB");
		return false;
	}
	before = content->size;
	if (before && content->bytes[before - 1] != '\n')
		push_buf_append(content, "\n", 1);
	push_buf_append(content, line->bytes, line->size);
	push_buf_append(content, "\n", 1);
	if (content->status != PUSH_OK) {
		say("%s: larger than 1 MB", path);
		return false;
	}
	if (push_publish_keys_read_text(
		    path, (struct push_str){content->bytes, content->size}, &keys, &error) != PUSH_OK) {
		say("%s", error.text);
		return false;
	}
	push_publish_keys_destroy(keys);
	if (write(file, content->bytes + before, content->size - before) == (ssize_t)(content->size - before))
		return true;
	say("%s: %s", path, strerror(errno));
	return false;
}

/* In one piece, at the end: a server that reads it meanwhile sees all or nothing of the line. */
static bool
add_to_file(const char *path, const struct push_buf *line)
{
	int file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
	struct push_buf content;
	bool is_added;

	if (file < 0) {
		say("%s: %s", path, strerror(errno));
		return false;
	}
	push_buf_init(&content, PUSH_PUBLISH_KEYS_FILE_BYTES_MAX);
	is_added = write_line(path, file, line, &content);
	push_buf_fini(&content);
	close(file);
	return is_added;
}

static enum cli_exit
hand_out(const struct cli_arguments *arguments, const char *key, const struct push_buf *line)
{
	if (arguments->out) {
		if (!add_to_file(arguments->out, line))
			return CLI_NO;
		say("%s has the key's hash now; the key is shown only this once", arguments->out);
	} else {
		printf("%.*s\n", (int)line->size, line->bytes);
		say("the first line is for the file push.publish.keys; the second one is the key, shown only "
		    "this once");
	}
	printf("%s\n", key);
	return CLI_DONE;
}

enum cli_exit
token_publish_key_run(const struct cli_arguments *arguments)
{
	enum cli_exit code = CLI_USAGE;
	char key[KEY_BYTES + 1];
	struct push_buf line;

	push_buf_init(&line, LINE_BYTES);
	if (!make_key(key) || !append_line(arguments, key, &line)) {
		say("OpenSSL cannot make a key");
		code = CLI_NO;
	} else if (check_words(arguments) && check_line(&line)) {
		code = hand_out(arguments, key, &line);
	}
	push_buf_fini(&line);
	OPENSSL_cleanse(key, sizeof(key));
	return code;
}
