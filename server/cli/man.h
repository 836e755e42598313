/* man.h - the manual page push(1), from the table of commands: `push --man`, for the build. */
#ifndef PUSH_CLI_MAN_H
#define PUSH_CLI_MAN_H

void
man_print(void);

#endif
