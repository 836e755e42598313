/* login.c - see login.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "login.h"
#include "say.h"
#include "token_files.h"

#define STATUS_UNAUTHORIZED   401
#define CLOSE_UNAUTHENTICATED 4401

/* A header's value, and no more: of RFC 9110 visible characters without spaces. */
static bool
is_visible(struct push_str token)
{
	for (size_t i = 0; i < token.size; i++)
		if (token.bytes[i] <= ' ' || token.bytes[i] > '~')
			return false;
	return true;
}

static bool
write_header(char *header, size_t size, const char *word)
{
	struct push_buf text;
	struct push_str token = token_take(word, &text);
	bool is_short = token.size <= CLI_TOKEN_BYTES_MAX, is_good = false;

	if (token.bytes && !is_short)
		say("the token is longer than %d bytes", CLI_TOKEN_BYTES_MAX);
	else if (token.bytes && !is_visible(token))
		say("the token has spaces or other characters that no token has");
	else
		is_good = token.bytes != NULL;
	if (is_good)
		snprintf(header, size, LOGIN_SCHEME "%.*s", (int)token.size, token.bytes);
	if (text.bytes)
		explicit_bzero(text.bytes, text.size);
	push_buf_fini(&text);
	return is_good;
}

static bool
is_authorization(const char *header)
{
	static const char name[] = "Authorization:";

	return !strncasecmp(header, name, sizeof(name) - 1);
}

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *
choose(const struct login *login, const struct cli_arguments *given, enum login_for purpose)
{
	const char *word = given->token;

	if (login->has_other || purpose == LOGIN_MANAGEMENT)
		return word;
	if (!word && purpose == LOGIN_PUBLISH)
		word = variable(LOGIN_KEY_VARIABLE);
	if (!word)
		word = variable(LOGIN_TOKEN_VARIABLE);
	return word;
}

bool
login_begin(struct login *login, const struct cli_arguments *given, enum login_for purpose)
{
	size_t count = 0;
	const char *word;

	*login = (struct login){.arguments = *given};
	for (; login->arguments.headers[count]; count++)
		login->has_other = login->has_other || is_authorization(login->arguments.headers[count]);
	if (given->token && login->has_other) {
		say("--token is not supported with --header 'Authorization: ...'");
		return false;
	}
	word = choose(login, given, purpose);
	if (!word)
		return true;
	if (word[0] == '@')
		login->file = word + 1;
	if (!write_header(login->header, sizeof(login->header), word))
		return false;
	login->arguments.headers[count] = login->header;
	return true;
}

void
login_end(struct login *login)
{
	explicit_bzero(login->header, sizeof(login->header));
}

bool
login_renew(struct login *login)
{
	char word[4096], header[sizeof(login->header)];
	bool is_other;

	if (!login->file || snprintf(word, sizeof(word), "@%s", login->file) >= (int)sizeof(word) ||
		!write_header(header, sizeof(header), word))
		return false;
	is_other = strcmp(header, login->header) != 0;
	login->changes += is_other;
	strcpy(login->header, header);
	explicit_bzero(header, sizeof(header));
	return is_other;
}

const char *
login_token(const struct login *login)
{
	return login->header[0] ? login->header + sizeof(LOGIN_SCHEME) - 1 : NULL;
}

void
login_hint(const struct login *login, unsigned int status)
{
	if ((status == STATUS_UNAUTHORIZED || status == CLOSE_UNAUTHENTICATED) && !login->header[0] &&
		!login->has_other)
		say("show a token with --token or " LOGIN_TOKEN_VARIABLE);
}
