/*
 * login.h - who the command is to the server: the header Authorization, from --token or the environment.
 *
 *   TOKEN    as it stands; other users of the machine can see it while the command runs
 *   @FILE    the file's first line; read again when the server wants another token
 *   -        the first line of stdin
 *
 * A publish key is sent in the same way. Nothing here prints what it has read.
 */
#ifndef PUSH_CLI_LOGIN_H
#define PUSH_CLI_LOGIN_H

#include "arguments.h"

#define LOGIN_SCHEME         "Authorization: Bearer "
#define LOGIN_TOKEN_VARIABLE "PUSH_TOKEN"
#define LOGIN_KEY_VARIABLE   "PUSH_KEY"

/* Which variable of the environment is read where the command line shows nothing. */
enum login_for {
	LOGIN_SUBSCRIBE, /* PUSH_TOKEN */
	LOGIN_PUBLISH,   /* PUSH_KEY, then PUSH_TOKEN */
	LOGIN_MANAGEMENT /* none: what clients show is not for the management port, which takes no tokens itself */
};

struct login {
	struct cli_arguments
		arguments;    /* those of the command line, with the header; to be used in their place */
	const char *file;     /* of @FILE; NULL: the token cannot change */
	unsigned int changes; /* how often the file has had another token */
	bool has_other;       /* the user brings an Authorization with --header */
	char header[sizeof(LOGIN_SCHEME) + CLI_TOKEN_BYTES_MAX]; /* "": none */
};

/*
 * login_begin - read the token.
 *
 * Returns false with a line on stderr that says what is wrong.
 */
bool
login_begin(struct login *login, const struct cli_arguments *given, enum login_for purpose);

/* login_end - forget the token. */
void
login_end(struct login *login);

/* login_renew - read the file again; returns whether it has another token now. */
bool
login_renew(struct login *login);

/* login_token - what is shown; NULL: nothing. */
const char *
login_token(const struct login *login);

/* login_hint - after a refusal (401, 4401): a line that names --token, where nothing was shown. */
void
login_hint(const struct login *login, unsigned int status);

#endif
