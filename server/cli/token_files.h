/* token_files.h - what the commands `push token ...` read and write. */
#ifndef PUSH_CLI_TOKEN_FILES_H
#define PUSH_CLI_TOKEN_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/str.h"

/* token_write_new - make a file with this content; says why if it cannot, or if there is one already. */
bool
token_write_new(const char *path, mode_t mode, const struct push_buf *content);

/*
 * token_take - the token that a word of the command line is; `-`: the first line of stdin; `@FILE`: that of a
 * file.  Without `Bearer` in front.
 *
 * @text: is initialised, and owns what is returned.  Says what is wrong; then there are no bytes.
 */
struct push_str
token_take(const char *word, struct push_buf *text);

/* token_is_id - whether this may be a `kid`; NULL is fine: there is none.  Says what is wrong. */
bool
token_is_id(const char *id);

/* token_print - a text on stdout; on a terminal control characters are shown as \x1b. */
void
token_print(const char *text, size_t size);

#endif
