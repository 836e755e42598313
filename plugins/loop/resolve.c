/* resolve.c - see resolve.h. */
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop/resolve.h"

#define ADDRESSES_MAX 8
#define STACK_BYTES   (256 * 1024) /* of a thread; the resolver's modules want more than the least */

struct lookup {
	struct lookup *next;
	struct push_resolver *resolver;
	uint64_t token;
	char name[256], port[8];
	int result; /* getaddrinfo()'s */
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	size_t count;
};

struct push_resolver {
	push_resolved_fn on_result;
	void *context;
	int event_fd;
	pthread_mutex_t lock;
	/* under the lock: */
	struct lookup *done;
	unsigned int running;
	bool is_orphan;
};

static void
free_resolver(struct push_resolver *resolver)
{
	while (resolver->done) {
		struct lookup *lookup = resolver->done;

		resolver->done = lookup->next;
		free(lookup);
	}
	pthread_mutex_destroy(&resolver->lock);
	close(resolver->event_fd);
	free(resolver);
}

static void
look_up(struct lookup *lookup)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;

	lookup->result = getaddrinfo(lookup->name, lookup->port, &hints, &found);
	/* AI_ADDRCONFIG knows no loopback: in a container without a network 127.0.0.1 would have no address
	 */
	if (lookup->result) {
		const struct addrinfo any = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

		lookup->result = getaddrinfo(lookup->name, lookup->port, &any, &found);
	}
	if (lookup->result)
		return;
	for (const struct addrinfo *each = found; each && lookup->count < ADDRESSES_MAX; each = each->ai_next)
		if (each->ai_addrlen <= sizeof(lookup->addresses[0]))
			memcpy(&lookup->addresses[lookup->count++], each->ai_addr, each->ai_addrlen);
	freeaddrinfo(found);
}

static void *
run(void *context)
{
	struct lookup *lookup = context;
	struct push_resolver *resolver = lookup->resolver;
	bool is_orphan;

	look_up(lookup);
	pthread_mutex_lock(&resolver->lock);
	lookup->next = resolver->done;
	resolver->done = lookup;
	resolver->running--;
	is_orphan = resolver->is_orphan && !resolver->running;
	if (!resolver->is_orphan)
		eventfd_write(resolver->event_fd, 1);
	pthread_mutex_unlock(&resolver->lock);
	if (is_orphan)
		free_resolver(resolver);
	return NULL;
}

struct push_resolver *
push_resolver_create(push_resolved_fn on_result, void *context)
{
	struct push_resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return NULL;
	resolver->on_result = on_result;
	resolver->context = context;
	resolver->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (resolver->event_fd < 0 || pthread_mutex_init(&resolver->lock, NULL)) {
		if (resolver->event_fd >= 0)
			close(resolver->event_fd);
		free(resolver);
		return NULL;
	}
	return resolver;
}

void
push_resolver_destroy(struct push_resolver *resolver)
{
	bool is_idle;

	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->is_orphan = true;
	is_idle = !resolver->running;
	pthread_mutex_unlock(&resolver->lock);
	if (is_idle)
		free_resolver(resolver);
}

int
push_resolver_fd(const struct push_resolver *resolver)
{
	return resolver->event_fd;
}

/* Signals are for the loop's thread, which waits for them on a signalfd. */
static bool
start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	if (pthread_attr_init(&attributes))
		return false;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, run, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return !error;
}

bool
push_resolver_start(struct push_resolver *resolver, const char *name, uint16_t port, uint64_t token)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	bool has_room;

	if (!lookup || strlen(name) >= sizeof(lookup->name)) {
		free(lookup);
		return false;
	}
	lookup->resolver = resolver;
	lookup->token = token;
	strcpy(lookup->name, name);
	snprintf(lookup->port, sizeof(lookup->port), "%u", port);
	pthread_mutex_lock(&resolver->lock);
	has_room = resolver->running < PUSH_RESOLVES_MAX;
	resolver->running += has_room;
	pthread_mutex_unlock(&resolver->lock);
	if (has_room && start_thread(lookup))
		return true;
	if (has_room) {
		pthread_mutex_lock(&resolver->lock);
		resolver->running--;
		pthread_mutex_unlock(&resolver->lock);
	}
	free(lookup);
	return false;
}

void
push_resolver_ready(struct push_resolver *resolver)
{
	struct lookup *lookup;
	eventfd_t count;

	(void)eventfd_read(resolver->event_fd, &count);
	pthread_mutex_lock(&resolver->lock);
	lookup = resolver->done;
	resolver->done = NULL;
	pthread_mutex_unlock(&resolver->lock);
	while (lookup) {
		struct lookup *next = lookup->next;

		resolver->on_result(resolver->context, lookup->token,
			lookup->result ? PUSH_UNAVAILABLE : PUSH_OK, lookup->addresses, lookup->count,
			lookup->result ? gai_strerror(lookup->result) : "");
		free(lookup);
		lookup = next;
	}
}
