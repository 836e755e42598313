/* loop.c - see loop.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "http.h"
#include "cli_limits.h"
#include "loop.h"
#include "say.h"
#include "sse_link.h"
#include "ws_link.h"

/* lws makes tables of this size; a handful of connections is all there ever is. */
#define DESCRIPTORS_MAX 32

static void
take_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	/* a second one does not wait for anything */
	if (loop->signal || !loop->on_signal) {
		loop->signal = (int)info.ssi_signo;
		loop_stop(loop);
		return;
	}
	loop->signal = (int)info.ssi_signo;
	loop->on_signal(loop->owner);
}

static int
signal_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	(void)user;
	(void)in;
	(void)size;
	if (reason == LWS_CALLBACK_RAW_RX_FILE)
		take_signal(lws_context_user(lws_get_context(wsi)));
	return 0;
}

static bool
open_signals(struct loop *loop)
{
	lws_sock_file_fd_type fd;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	loop->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	fd.filefd = loop->signal_fd;
	return loop->signal_fd >= 0 &&
	       lws_adopt_descriptor_vhost(loop->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, LOOP_SIGNAL, NULL);
}

bool
loop_init(struct loop *loop)
{
	static const struct lws_protocols protocols[] = {
		{LOOP_HTTP, http_callback, 0, 0, 0, NULL, 0},
		{LOOP_WS, ws_link_callback, 0, 0, 0, NULL, 0},
		{LOOP_SSE, sse_link_callback, 0, 0, 0, NULL, 0},
		{LOOP_SIGNAL, signal_callback, 0, 0, 0, NULL, 0},
		LWS_PROTOCOL_LIST_TERM,
	};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.fd_limit_per_thread = DESCRIPTORS_MAX,
		.pt_serv_buf_size = 4 * CLI_TARGET_BYTES_MAX,
		.max_http_header_data2 = 2 * CLI_TARGET_BYTES_MAX,
		.timeout_secs = CLI_ANSWER_S,
		.connect_timeout_secs = CLI_OPEN_US / 1000000,
		.user = loop,
	};

	*loop = (struct loop){.signal_fd = -1};
	lws_set_log_level(0, NULL);
	loop->context = lws_create_context(&info);
	if (loop->context)
		loop->vhost = lws_get_vhost_by_name(loop->context, "default");
	if (loop->vhost && open_signals(loop))
		return true;
	say("cannot start: out of memory or descriptors");
	return false;
}

void
loop_fini(struct loop *loop)
{
	if (loop->context)
		lws_context_destroy(loop->context);
	loop->context = NULL;
}

void
loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
	lws_cancel_service(loop->context);
}

void
loop_run(struct loop *loop)
{
	loop->is_stopped = false;
	while (!loop->is_stopped && lws_service(loop->context, 0) >= 0)
		if (loop->on_turn)
			loop->on_turn(loop->owner);
}

struct pause {
	lws_sorted_usec_list_t timer;
	struct loop *loop;
};

static void
end_pause(lws_sorted_usec_list_t *timer)
{
	struct pause *pause = lws_container_of(timer, struct pause, timer);

	loop_stop(pause->loop);
}

void
loop_pause(struct loop *loop, uint64_t us)
{
	struct pause pause = {.loop = loop};

	lws_sul_schedule(loop->context, 0, &pause.timer, end_pause, (lws_usec_t)us);
	loop_run(loop);
	lws_sul_cancel(&pause.timer);
}

bool
loop_await_input(struct loop *loop, int fd)
{
	struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = loop->signal_fd, .events = POLLIN}};
	int count;

	do {
		count = poll(both, 2, -1);
	} while (count < 0 && errno == EINTR);
	if (both[1].revents)
		take_signal(loop);
	return !loop->signal;
}

const char *
loop_failure_text(const char *text)
{
	int number;

	/* lws gives the number of what connect(2) has returned */
	if (text && sscanf(text, "conn fail: %d", &number) == 1)
		return strerror(number);
	if (text && strstr(text, "tls=hostname"))
		return "the server's certificate is for another host";
	if (text && strstr(text, "cert didn't look good"))
		return "the server's certificate is not trusted: SSL_CERT_FILE names a file with those that "
		       "are";
	if (text && strstr(text, "NXDOMAIN"))
		return "no such host";
	return text ? text : "connection failed";
}
