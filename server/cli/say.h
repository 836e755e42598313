/* say.h - what `push` reports about itself, on stderr, a line each that begins with "push: ". */
#ifndef PUSH_CLI_SAY_H
#define PUSH_CLI_SAY_H

void
say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
