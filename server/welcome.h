/* welcome.h - what a person wants to know first: where to publish, subscribe and look. */
#ifndef PUSHD_WELCOME_H
#define PUSHD_WELCOME_H

#include "config.h"
#include "log.h"

/* welcome_print - to stderr, with commands that can be pasted, for the ports and schemes of `config`. */
void
welcome_print(const struct log *log, const struct config *config);

#endif
