/* exporter.c - see exporter.h. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/http_url.h"
#include "core/push_assert.h"
#include "loop/resolve.h"
#include "loop/source.h"
#include "trace/answer.h"
#include "trace/exporter.h"

#define READ_BYTES 16384
#define READS_MAX  4 /* in one turn */

enum exporter_state {
	EXPORTER_IDLE,
	EXPORTER_RESOLVING,
	EXPORTER_RESOLVED, /* to be connected when the turn is over */
	EXPORTER_CONNECTING,
	EXPORTER_EXCHANGING,
};

struct push_exporter {
	const struct push_options *options;
	struct push_tracer *tracer;
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
	struct push_http_url url;
	struct push_sources sources;
	struct push_resolver *resolver;
	struct push_source resolver_source, source;
	enum exporter_state state;
	uint64_t now_us, deadline_us, begin_us; /* begin_us: not before */
	uint64_t random, token;
	unsigned int failures; /* since spans were taken, or refused for good */
	uint64_t finish_us;    /* 0: not finishing */
	struct sockaddr_storage addresses[PUSH_TRACE_ADDRESSES_MAX];
	size_t address_count, address, tried; /* `address`: the next to be tried */
	uint64_t resolved_us;
	struct push_trace_batch *batch; /* on its way, or to be sent again; NULL: none */
	char head[2 * PUSH_OPTION_TEXT_BYTES_MAX + 256];
	size_t head_size, sent;
	struct push_trace_answer answer;
	bool is_well, is_ill; /* what was logged last */
};

/* --- how it goes --- */

static void
say(struct push_exporter *exporter, bool is_bad, const char *why)
{
	char line[PUSH_OPTION_TEXT_BYTES_MAX + 128];

	if (is_bad ? exporter->is_ill : exporter->is_well)
		return;
	exporter->is_ill = is_bad;
	exporter->is_well = !is_bad;
	if (is_bad)
		snprintf(line, sizeof(line), "traces: %s does not accept spans: %s",
			exporter->options->trace_url, why);
	else
		snprintf(line, sizeof(line), "traces: %s accepts spans", exporter->options->trace_url);
	exporter->log(exporter->context, is_bad ? PUSH_LOG_WARN : PUSH_LOG_INFO, line);
}

static void
hang_up(struct push_exporter *exporter)
{
	if (exporter->state >= EXPORTER_CONNECTING)
		push_source_close(&exporter->sources, &exporter->source);
	exporter->state = EXPORTER_IDLE;
	exporter->token++; /* a lookup under way is for nobody */
}

static void
batch_done(struct push_exporter *exporter, uint64_t failed)
{
	push_tracer_done(exporter->tracer, exporter->batch, failed);
	exporter->batch = NULL;
}

/* It may be sent again, after a pause. */
static void
try_again(struct push_exporter *exporter, const char *why)
{
	uint64_t pause_us = exporter->answer.retry_after_s * 1000000ull;

	hang_up(exporter);
	say(exporter, true, why);
	if (exporter->now_us - exporter->batch->since_us > PUSH_TRACE_BATCH_AGE_US)
		batch_done(exporter, UINT64_MAX);
	if (!pause_us)
		pause_us = push_backoff_us(exporter->failures, PUSH_TRACE_BACKOFF_FIRST_US,
			PUSH_TRACE_BACKOFF_LAST_US, &exporter->random);
	exporter->begin_us = exporter->now_us + pause_us;
	exporter->failures++;
}

static void
answered(struct push_exporter *exporter)
{
	const struct push_trace_answer *answer = &exporter->answer;
	char why[48];

	snprintf(why, sizeof(why), "it answers with status %u", answer->status);
	if (push_trace_answer_is_passing(answer)) {
		try_again(exporter, why);
		return;
	}
	hang_up(exporter);
	exporter->failures = 0;
	if (answer->status >= 200 && answer->status < 300)
		say(exporter, false, "");
	else
		say(exporter, true, why);
	batch_done(exporter, push_trace_answer_rejected(answer, exporter->batch->count));
}

/* --- one exchange --- */

static void
send_more(struct push_exporter *exporter)
{
	const struct push_buf *text = &exporter->batch->text;
	size_t sent = exporter->sent, head_left = sent < exporter->head_size ? exporter->head_size - sent : 0;
	size_t text_sent = sent > exporter->head_size ? sent - exporter->head_size : 0;
	struct iovec parts[2] = {
		{exporter->head + exporter->head_size - head_left, head_left},
		{text->bytes + text_sent, text->size - text_sent},
	};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t size;

	if (!head_left && text_sent == text->size)
		return;
	size = sendmsg(exporter->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (size < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		/* it may have answered before it closed */
		if (errno != EPIPE && errno != ECONNRESET)
			try_again(exporter, strerror(errno));
		return;
	}
	exporter->sent += size > 0 ? (size_t)size : 0;
	if (!push_source_want(&exporter->sources, &exporter->source,
		    exporter->sent < exporter->head_size + text->size ? EPOLLIN | EPOLLOUT : EPOLLIN))
		try_again(exporter, strerror(errno));
}

static void
read_answer(struct push_exporter *exporter)
{
	char bytes[READ_BYTES];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t size = recv(exporter->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size < 0) {
			try_again(exporter, strerror(errno));
			return;
		}
		switch (push_trace_answer_feed(&exporter->answer, bytes, (size_t)size)) {
		case PUSH_TRACE_ANSWER_WHOLE: answered(exporter); return;
		case PUSH_TRACE_ANSWER_BAD:
			try_again(exporter, size ? "its answer is not HTTP" : "it closes without an answer");
			return;
		default: break;
		}
	}
}

/* The next of its addresses, or all have failed. */
static void
next_address(struct push_exporter *exporter, const char *why)
{
	push_source_close(&exporter->sources, &exporter->source);
	exporter->address++;
	exporter->state = EXPORTER_RESOLVED;
	if (++exporter->tried < exporter->address_count)
		return;
	exporter->resolved_us = 0;
	try_again(exporter, why);
}

static void
on_connected(struct push_exporter *exporter)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(exporter->source.fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		next_address(exporter, strerror(error ? error : errno));
		return;
	}
	exporter->state = EXPORTER_EXCHANGING;
	exporter->sent = 0;
	send_more(exporter);
}

static void
on_ready(struct push_source *source, uint32_t events)
{
	struct push_exporter *exporter = push_container_of(source, struct push_exporter, source);

	if (exporter->state == EXPORTER_CONNECTING) {
		on_connected(exporter);
		return;
	}
	if (events & EPOLLOUT)
		send_more(exporter);
	if (exporter->state == EXPORTER_EXCHANGING && events & (uint32_t)~EPOLLOUT)
		read_answer(exporter);
}

/* The memory is the exporter's. */
static void
on_closed(struct push_source *source)
{
	(void)source;
}

static const struct push_source_kind kind = {on_ready, on_closed};

static void
connect_next(struct push_exporter *exporter)
{
	const struct sockaddr_storage *address =
		&exporter->addresses[exporter->address % exporter->address_count];
	socklen_t size =
		address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		try_again(exporter, strerror(errno));
		return;
	}
	exporter->state = EXPORTER_CONNECTING;
	push_source_open(&exporter->sources, &exporter->source, &kind, fd);
	if (connect(fd, (const struct sockaddr *)address, size) && errno != EINPROGRESS)
		next_address(exporter, strerror(errno));
	else if (!push_source_want(&exporter->sources, &exporter->source, EPOLLOUT))
		try_again(exporter, strerror(errno));
}

static void
on_resolved(void *context, uint64_t token, enum push_status status, const struct sockaddr_storage *addresses,
	size_t count, const char *error)
{
	struct push_exporter *exporter = context;

	if (exporter->state != EXPORTER_RESOLVING || token != exporter->token)
		return;
	if (status != PUSH_OK || !count) {
		try_again(exporter, *error ? error : "its name has no address");
		return;
	}
	exporter->address_count = count < PUSH_TRACE_ADDRESSES_MAX ? count : PUSH_TRACE_ADDRESSES_MAX;
	memcpy(exporter->addresses, addresses, exporter->address_count * sizeof(*addresses));
	exporter->resolved_us = exporter->now_us;
	exporter->state = EXPORTER_RESOLVED;
}

static void
begin(struct push_exporter *exporter)
{
	exporter->deadline_us = exporter->now_us + PUSH_TRACE_EXCHANGE_US;
	exporter->tried = 0;
	push_trace_answer_init(&exporter->answer);
	exporter->head_size = (size_t)snprintf(exporter->head, sizeof(exporter->head),
		"POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: push/%s\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		exporter->url.path, exporter->url.authority, PUSH_VERSION, exporter->batch->text.size);
	PUSH_ASSERT(exporter->head_size < sizeof(exporter->head));
	if (exporter->resolved_us && exporter->now_us - exporter->resolved_us < PUSH_TRACE_ADDRESS_US) {
		exporter->state = EXPORTER_RESOLVED;
		return;
	}
	exporter->state = EXPORTER_RESOLVING;
	if (!push_resolver_start(
		    exporter->resolver, exporter->url.host, exporter->url.port, ++exporter->token))
		try_again(exporter, "its name cannot be resolved now");
}

/* What is closed is forgotten first, so that the source can be used again. */
static void
go_on(struct push_exporter *exporter)
{
	push_sources_reap(&exporter->sources);
	while (exporter->state == EXPORTER_RESOLVED) {
		connect_next(exporter);
		push_sources_reap(&exporter->sources);
	}
}

void
push_exporter_ready(struct push_exporter *exporter, uint64_t now_us)
{
	exporter->now_us = now_us;
	push_sources_dispatch(&exporter->sources, PUSH_EVENTS_BATCH_MAX);
	go_on(exporter);
}

void
push_exporter_tick(struct push_exporter *exporter, uint64_t now_us)
{
	exporter->now_us = now_us;
	if (exporter->state != EXPORTER_IDLE && now_us >= exporter->deadline_us) {
		/* the address may be the reason: another one is next, if there is one */
		exporter->address++;
		exporter->resolved_us = 0;
		try_again(exporter, "it does not answer in time");
	}
	if (exporter->state == EXPORTER_IDLE && now_us >= exporter->begin_us) {
		if (!exporter->batch)
			exporter->batch = push_tracer_take(exporter->tracer, exporter->finish_us);
		if (exporter->batch)
			begin(exporter);
	}
	go_on(exporter);
}

bool
push_exporter_finish(struct push_exporter *exporter, uint64_t now_us)
{
	if (!exporter->finish_us) {
		exporter->finish_us = now_us;
		exporter->begin_us = 0; /* a last attempt, whatever the pause */
	}
	return (exporter->batch || !push_tracer_is_empty(exporter->tracer)) &&
	       now_us - exporter->finish_us < PUSH_TRACE_LAST_US;
}

/* --- its life --- */

static void
on_lookup(struct push_source *source, uint32_t events)
{
	struct push_exporter *exporter = push_container_of(source, struct push_exporter, resolver_source);

	(void)events;
	push_resolver_ready(exporter->resolver);
}

static const struct push_source_kind resolver_kind = {on_lookup, on_closed};

static bool
watch_resolver(struct push_exporter *exporter)
{
	int fd;

	exporter->resolver = push_resolver_create(on_resolved, exporter);
	if (!exporter->resolver)
		return false;
	/* a second number, since a source closes what it is given */
	fd = fcntl(push_resolver_fd(exporter->resolver), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	push_source_open(&exporter->sources, &exporter->resolver_source, &resolver_kind, fd);
	return push_source_want(&exporter->sources, &exporter->resolver_source, EPOLLIN);
}

struct push_exporter *
push_exporter_create(const struct push_options *options, struct push_tracer *tracer, uint64_t seed,
	void (*log)(void *context, enum push_log_level level, const char *line), void *context)
{
	struct push_exporter *exporter = calloc(1, sizeof(*exporter));
	struct push_error error = {""};

	if (!exporter)
		return NULL;
	exporter->options = options;
	exporter->tracer = tracer;
	exporter->log = log;
	exporter->context = context;
	exporter->random = seed | 1;
	if (push_http_url_parse(&exporter->url, "push.trace.url", options->trace_url, &error) == PUSH_OK &&
		push_sources_init(&exporter->sources)) {
		if (watch_resolver(exporter))
			return exporter;
		push_exporter_destroy(exporter);
		return NULL;
	}
	free(exporter);
	return NULL;
}

void
push_exporter_destroy(struct push_exporter *exporter)
{
	if (!exporter)
		return;
	if (exporter->batch)
		batch_done(exporter, UINT64_MAX);
	push_sources_fini(&exporter->sources);
	push_resolver_destroy(exporter->resolver);
	free(exporter);
}

int
push_exporter_fd(const struct push_exporter *exporter)
{
	return exporter->sources.epoll_fd;
}
