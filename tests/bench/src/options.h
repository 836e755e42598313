/*
 * options.h - what is to be done: one table of options and one of presets (options.c).
 *
 * A preset is a list of options that stands before those of the command line, so that everything in it can be
 * changed.  --help is made from the same tables.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_HEADERS_MAX 20

/* TRANSPORT_H2: event streams, many of them in one connection. */
enum transport { TRANSPORT_WS, TRANSPORT_SSE, TRANSPORT_H2, TRANSPORT_REDIS };

enum tls_version { TLS_VERSION_ANY, TLS_VERSION_12, TLS_VERSION_13 };

/* How a publisher speaks. */
enum publish_by { PUBLISH_BY_HTTP, PUBLISH_BY_REDIS };

/* What the crowd, if there is one, does in the middle of the measurement. */
enum crowd_act { CROWD_LEAVES, CROWD_STALLS, CROWD_ARRIVES };

/* Numbers are all of one type, so that the table can point at them. */
struct options {
	const char *preset, *label, *json;
	const char *target, *publish_target, *ws_path, *sse_path;
	const char *publish_path, *publish_body, *content_type, *channel_name;
	const char *headers[OPTIONS_HEADERS_MAX];
	const char *server_pid, *ca;
	uint64_t transport, publish_by, tls_version; /* enums of these names */
	uint64_t subscribers, channels, streams, connecting, connect_rate, receive_buffer, lazy_us;
	uint64_t publishers, pipeline, size, window, burst, rate, messages;
	uint64_t crowd, crowd_act; /* enum crowd_act */
	uint64_t time_ns, warm_up_ns, settle_ns, hold_ns, drain_ns, connect_timeout_ns;
	uint64_t tls, tls_resume, greeting, reconnect, quiet; /* flags; tls: also by https:// */
};

/*
 * options_parse - defaults, then the preset's, then the command line's.
 *
 * Ends the program after --help (0) and after an error (2), which it names.
 */
void
options_parse(struct options *ret_options, int argc, char **argv);

/* options_transport_text - how people call it. */
const char *
options_transport_text(const struct options *options);

/* options_transport_name - how reports and scripts call it: ws, tls-ws, sse, tls-sse,
 * h2-sse, h2c-sse, redis. */
const char *
options_transport_name(const struct options *options);

/* options_connections - that its subscribers need: with HTTP/2, several share one. */
uint64_t
options_connections(const struct options *options, uint64_t subscribers);

#endif
