/* exit_code.h - how `push` ends: one table for the code, the help and the manual page. */
#ifndef PUSH_CLI_EXIT_CODE_H
#define PUSH_CLI_EXIT_CODE_H

/* X(name, code, meaning) */
#define CLI_EXIT_MAP(X)                                                                                      \
	X(DONE, 0, "success; push sub and push top: stopped by SIGINT or SIGTERM")                           \
	X(NO, 1,                                                                                             \
		"a negative answer: health is DOWN, the configuration or a token\n"                          \
		"is invalid; or a file or output cannot be written")                                         \
	X(USAGE, 2, "invalid command line")                                                                  \
	X(UNREACHABLE, 3, "the server cannot be reached")                                                    \
	X(REFUSED, 4, "the server refused the request: do not repeat it")                                    \
	X(UNAVAILABLE, 5, "the server cannot handle the request now (408, 409, 429, 5xx):\ntry again later") \
	X(BROKEN, 6, "the other side does not speak Push's protocol")

enum cli_exit {
#define X(name, code, meaning) CLI_##name = code,
	CLI_EXIT_MAP(X)
#undef X
};

#endif
