/*
 * template.h - texts with holes: %c is the channel's name, %m the message, %% a percent sign.
 *
 * A channel's name is itself a template of its number, %d.
 */
#ifndef BENCH_TEMPLATE_H
#define BENCH_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#define TEMPLATE_NAME_BYTES_MAX 256

/* template_check - NULL, or what is wrong: an unknown letter behind a %. */
const char *template_check(const char *text, const char *letters);

/* template_channel - write the name of channel `number`, with its NUL; at most TEMPLATE_NAME_BYTES_MAX. */
void template_channel(const char *text, uint32_t number, char *to);

/* template_fill - write `text` with its holes filled; `to` holds at least template_size() bytes. */
size_t template_fill(
	const char *text, const char *channel, const char *message, size_t message_size, char *to);

/* template_size - the most that template_fill() may write. */
size_t template_size(const char *text, size_t message_size);

#endif
