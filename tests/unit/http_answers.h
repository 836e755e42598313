/*
 * http_answers.h - a server (http_server.h) whose one answer a test may exchange while it runs.
 *
 * An answer that is empty is none: the connection stays open until the client closes it.
 */
#ifndef PUSH_TESTS_HTTP_ANSWERS_H
#define PUSH_TESTS_HTTP_ANSWERS_H

#include <poll.h>

#include "http_server.h"
#include "loop/http_client.h"

static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;
static char answer[4096];

/* @head: `200 OK`, and maybe header lines. */
static inline void
set_answer(const char *head, const char *body)
{
	pthread_mutex_lock(&answer_lock);
	snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head, strlen(body),
		body);
	pthread_mutex_unlock(&answer_lock);
}

static inline void
set_no_answer(void)
{
	pthread_mutex_lock(&answer_lock);
	answer[0] = '\0';
	pthread_mutex_unlock(&answer_lock);
}

static inline void
serve_answer(struct peer *peer)
{
	char copy[sizeof(answer)];

	while (peer_hear(peer)) {
		pthread_mutex_lock(&answer_lock);
		memcpy(copy, answer, sizeof(copy));
		pthread_mutex_unlock(&answer_lock);
		if (*copy)
			peer_say(peer, copy);
	}
}

/* Let a client go on for up to 10 ms. */
static inline void
turn_client(struct push_http_client *client, uint64_t now_us)
{
	struct pollfd one = {.fd = push_http_client_fd(client), .events = POLLIN};

	if (poll(&one, 1, 10) > 0)
		push_http_client_ready(client, now_us);
	push_http_client_tick(client, now_us);
}

#endif
