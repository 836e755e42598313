/* token_claims.h - what a token says, in rows that a person reads. */
#ifndef PUSH_CLI_TOKEN_CLAIMS_H
#define PUSH_CLI_TOKEN_CLAIMS_H

#include <stdbool.h>

#include "core/str.h"

/* token_claims_print - of a payload; false: it is no JSON object, and nothing was printed. */
bool
token_claims_print(struct push_str payload);

/* token_row_print - a name and its value, which may come from anybody. */
void
token_row_print(const char *name, const char *value, size_t size);

#endif
