/*
 * post_head.h - the head of a POST as the only thing that somebody wants to know of it
 * (lwsio/http_exchange.c); apart from head.h, since llhttp's header and lws' do not go together.
 */
#ifndef PUSH_DIRECT_POST_HEAD_H
#define PUSH_DIRECT_POST_HEAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * push_post_head_size - whether these bytes begin with the head of a POST that has a body of this length.
 *
 * Returns the size of the head, or 0.
 */
size_t
push_post_head_size(const char *bytes, size_t size, uint64_t length);

#endif
