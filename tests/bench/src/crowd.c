/* crowd.c - see crowd.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "crowd.h"

/* Orders, one byte each. */
enum order { ORDER_ACT = 'a', ORDER_FINISH = 'f' };

/* A crowd that is on other channels than the published ones is spread over as many. */
#define CROWD_CHANNELS 100

/* What a stalled subscriber's own kernel may hold: little, so that it is the server that has to. */
#define STALLED_RECEIVE_BUFFER 16384

struct member {
	struct handler handler; /* the first member: reads orders */
	struct loop loop;
	struct fleet fleet;
	const struct options *options;
	int fd;
	bool has_order, is_told_to_finish, is_orphan;
};

static void
read_orders(struct handler *handler, uint32_t events)
{
	struct member *member = (struct member *)handler;
	char order;

	(void)events;
	while (read(member->fd, &order, 1) == 1) {
		member->has_order = true;
		member->is_told_to_finish |= order == ORDER_FINISH;
	}
	if (events & (EPOLLRDHUP | EPOLLHUP))
		member->is_orphan = true;
}

static bool
has_order(void *arg)
{
	const struct member *member = arg;

	return member->has_order || member->is_orphan;
}

static bool
is_connected_or_orphan(void *arg)
{
	const struct member *member = arg;

	return fleet_is_connected(&member->fleet) || member->is_orphan;
}

static void
pump(void *arg, uint64_t now_ns)
{
	struct member *member = arg;

	fleet_pump(&member->fleet, now_ns);
}

static void
report(struct member *member)
{
	struct crowd_report report = {
		.count = member->fleet.count,
		.open = member->fleet.open,
		.counts = member->fleet.counts,
		.connect_ns = member->fleet.connect_until_ns - member->fleet.connect_from_ns,
		.connect_p99_ns = histogram_percentile(&member->fleet.connect_latency, 99),
	};

	if (write(member->fd, &report, sizeof(report)) != (ssize_t)sizeof(report))
		_exit(1);
}

static void
connect_all(struct member *member)
{
	uint64_t opened;

	member->fleet.may_connect = true;
	fleet_pump(&member->fleet, clock_ns());
	do {
		opened = member->fleet.counts.opened;
		loop_run(&member->loop, clock_ns() + member->options->connect_timeout_ns,
			is_connected_or_orphan, member);
	} while (!is_connected_or_orphan(member) && member->fleet.counts.opened != opened);
	if (!fleet_is_connected(&member->fleet))
		fleet_give_up(&member->fleet);
}

/* Reads until nothing more comes for the time of a drain. */
static void
drain(struct member *member)
{
	uint64_t reads;

	do {
		reads = member->fleet.counts.reads;
		loop_run(&member->loop, clock_ns() + member->options->drain_ns, NULL, NULL);
	} while (member->fleet.counts.reads != reads && !member->is_orphan);
}

static void
obey(struct member *member, uint64_t act)
{
	if (act != CROWD_ARRIVES)
		connect_all(member);
	report(member);
	for (;;) {
		member->has_order = false;
		loop_run(&member->loop, UINT64_MAX, has_order, member);
		if (member->is_orphan)
			_exit(1);
		if (member->is_told_to_finish)
			break;
		if (act == CROWD_ARRIVES)
			connect_all(member);
		else if (act == CROWD_STALLS)
			fleet_stall(&member->fleet, true);
		report(member);
	}
	if (act == CROWD_STALLS) {
		fleet_stall(&member->fleet, false);
		drain(member);
	}
	fleet_verify(&member->fleet);
	report(member);
}

_Noreturn static void
run_member(int fd, const struct options *options, const struct payload *payload, struct streams *streams,
	const struct target *target)
{
	/* Static: its histogram is larger than a stack frame should be. */
	static struct member member;
	pid_t parent = getppid();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	member.handler.ready = read_orders;
	member.options = options;
	member.fd = fd;
	if (parent == 1 || loop_init(&member.loop) ||
		fleet_init(&member.fleet, &member.loop, options, payload, streams, target, options->crowd) ||
		loop_add(&member.loop, LOOP_MAIN, fd, EPOLLIN | EPOLLRDHUP, &member.handler))
		_exit(1);
	member.loop.after_turn = pump;
	member.loop.after_turn_arg = &member;
	if (options->crowd_act == CROWD_STALLS) {
		member.fleet.receive_buffer = STALLED_RECEIVE_BUFFER;
	} else {
		member.fleet.first_channel = streams->channels;
		member.fleet.channel_count = CROWD_CHANNELS;
	}
	obey(&member, options->crowd_act);
	_exit(0);
}

int
crowd_start(struct crowd *crowd, const struct options *options, const struct payload *payload,
	struct streams *streams, const struct target *target)
{
	int pair[2];

	*crowd = (struct crowd){.fd = -1};
	if (!options->crowd)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -1;
	crowd->id = fork();
	if (crowd->id < 0)
		return -1;
	if (!crowd->id) {
		close(pair[0]);
		run_member(pair[1], options, payload, streams, target);
	}
	close(pair[1]);
	crowd->fd = pair[0];
	return 0;
}

static void
read_report(struct handler *handler, uint32_t events)
{
	struct crowd *crowd = (struct crowd *)handler;
	struct crowd_report report;

	(void)events;
	while (read(crowd->fd, &report, sizeof(report)) == (ssize_t)sizeof(report)) {
		crowd->report = report;
		crowd->has_reported = true;
	}
	/* Gone: nothing more to wait for. */
	if (events & (EPOLLRDHUP | EPOLLHUP))
		crowd->has_reported = true;
}

int
crowd_watch(struct crowd *crowd, struct loop *loop)
{
	if (!crowd->id)
		return 0;
	crowd->loop = loop;
	crowd->handler.ready = read_report;
	return loop_add(loop, LOOP_MAIN, crowd->fd, EPOLLIN | EPOLLRDHUP, &crowd->handler);
}

bool
crowd_has_reported(const struct crowd *crowd)
{
	return !crowd->id || crowd->has_reported;
}

static void
order(struct crowd *crowd, char what)
{
	crowd->has_reported = false;
	if (write(crowd->fd, &what, 1) != 1)
		crowd->has_reported = true;
}

void
crowd_act(struct crowd *crowd, const struct options *options)
{
	if (!crowd->id)
		return;
	if (options->crowd_act == CROWD_LEAVES)
		kill(crowd->id, SIGKILL);
	else
		order(crowd, ORDER_ACT);
}

void
crowd_finish(struct crowd *crowd)
{
	if (crowd->id)
		order(crowd, ORDER_FINISH);
}

void
crowd_end(struct crowd *crowd)
{
	if (!crowd->id)
		return;
	kill(crowd->id, SIGKILL);
	while (waitpid(crowd->id, NULL, 0) < 0 && errno == EINTR)
		;
	close(crowd->fd);
	crowd->id = 0;
}
