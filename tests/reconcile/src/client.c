/* client.c - see client.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "proof.h"
#include "sse.h"
#include "ws.h"

#define HANDSHAKE_NS_MAX  (30 * NS_PER_S)
#define REQUEST_BYTES_MAX 4096

/* An event, whichever transport has brought it; texts point into what was read. */
struct event {
	const char *name, *data, *id;
	size_t name_size, data_size, id_size;
};

static struct counts *
counts_of(struct client *client)
{
	return &client->proof->counts[client->transport];
}

static void
trace(struct client *client, const char *what, int32_t channel, uint32_t number)
{
	struct trace *trace = &client->traces[client->trace_count++ % CLIENT_TRACE];
	size_t size = client->id ? strlen(client->id) : 0, room = sizeof(trace->id) - 1;

	trace->at_ms = proof_now_ms(client->proof);
	trace->channel = channel;
	trace->number = number;
	snprintf(trace->what, sizeof(trace->what), "%s", what);
	snprintf(trace->id, sizeof(trace->id), "%s",
		client->id ? client->id + (size > room ? size - room : 0) : "-");
}

/* 1 to channels_max different channels. */
static bool
choose_channels(struct client *client)
{
	struct proof *proof = client->proof;
	uint32_t count = 1 + (uint32_t)proof_random(proof, proof->options->channels_max);

	client->channels = calloc(count, sizeof(client->channels[0]));
	client->ledgers = calloc(count, sizeof(client->ledgers[0]));
	client->live_from = calloc(count, sizeof(client->live_from[0]));
	client->replayed_below = calloc(count, sizeof(client->replayed_below[0]));
	client->came = calloc(count, sizeof(client->came[0]));
	client->old_next = calloc(count, sizeof(client->old_next[0]));
	if (!client->channels || !client->ledgers || !client->live_from || !client->replayed_below ||
		!client->came || !client->old_next)
		return false;
	while (client->channel_count < count) {
		uint32_t channel = (uint32_t)proof_random(proof, proof->options->channels), i = 0;

		while (i < client->channel_count && client->channels[i] != channel)
			i++;
		if (i < client->channel_count)
			continue;
		client->channels[i] = channel;
		client->ledgers[i].numbers = &proof->publishers[channel].numbers;
		client->ledgers[i].transport = client->transport;
		proof->publishers[channel].clients++;
		client->channel_count++;
	}
	return true;
}

bool
client_init(struct client *client, struct proof *proof, uint32_t index)
{
	uint64_t choice = proof->options->transports;

	*client = (struct client){.proof = proof, .index = index, .fd = -1};
	client->transport = choice == CHOICE_WS || (choice == CHOICE_BOTH && index % 2 == 0) ? TRANSPORT_WS
											     : TRANSPORT_SSE;
	counts_of(client)->clients++;
	proof->unfinished++;
	return choose_channels(client);
}

static void
disconnect(struct client *client, bool abruptly)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct proof *proof = client->proof;

	if (client->fd >= 0) {
		loop_remove(&proof->loop, LOOP_READERS, client->fd);
		if (abruptly)
			setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(client->fd);
	}
	client->fd = -1;
	if (client->state == CLIENT_CONNECTING)
		proof->connecting--;
	if (client->is_live)
		proof->live--;
	client->is_live = false;
	client->state = CLIENT_AWAY;
	free(client->rest);
	client->rest = NULL;
	client->rest_size = 0;
}

static bool
has_old(const struct client *client)
{
	return client->old && client->old->fd >= 0;
}

static void
restart_ledgers(struct client *client)
{
	for (uint32_t i = 0; i < client->channel_count; i++)
		counts_of(client)->excused +=
			ledger_restart(&client->ledgers[i], proof_now_ms(client->proof));
}

static void
flush_held(struct client *client);
static void
forget_overlap(struct client *client);

/* The old connection is over.  Where the new one is not live yet, the client was without one. */
static void
end_old(struct client *old, const char *why)
{
	struct client *client = old->successor;

	trace(client, why, -1, 0);
	disconnect(old, false);
	if (!client->is_live) {
		counts_of(client)->without_connection++;
		restart_ledgers(client);
	}
	flush_held(client);
}

/* The connection is over; the next one is due after `wait_ns`. */
static void
end(struct client *client, const char *why, bool abruptly, uint64_t wait_ns)
{
	if (client->successor) {
		end_old(client, why);
		return;
	}
	trace(client, why, -1, 0);
	/* where there is an old one, it brings the same */
	if (client->id)
		for (uint32_t i = 0; i < client->channel_count; i++)
			ledger_cut(&client->ledgers[i]);
	else if (client->is_live && !has_old(client))
		restart_ledgers(client);
	client->has_fresh_gap = client->is_asked = false;
	disconnect(client, abruptly);
	client->due_ns = clock_ns() + wait_ns;
	forget_overlap(client);
}

static uint64_t
soon_ns(struct client *client)
{
	return 20 * NS_PER_MS + proof_random(client->proof, 400 * NS_PER_MS);
}

static void
violation(struct client *client, uint32_t i, const struct finding *finding, const char *what)
{
	report_violation(client, i, finding, what);
}

/* The id of any event is the position in all channels. */
static void
take_id(struct client *client, const struct event *event)
{
	if (client->proof->options->ids == IDS_OFF)
		return;
	if (!event->id_size) {
		if (client->proof->has_ids) {
			counts_of(client)->without_id++;
			violation(client, UINT32_MAX, NULL, "an event without an id");
		}
		return;
	}
	if (event->id_size > CLIENT_ID_BYTES_MAX)
		proof_fail("an id is longer than 512 bytes", client->proof->options->channel_name);
	free(client->id);
	client->id = strndup(event->id, event->id_size);
	if (!client->id)
		proof_fail("memory is out", "");
	for (uint32_t i = 0; client->has_fresh_gap && i < client->channel_count; i++)
		ledger_position(&client->ledgers[i]);
	client->has_fresh_gap = false;
}

/* The value of a member whose text or number needs no decoding; NULL: there is none. */
static const char *
member(const char *text, size_t size, const char *key, size_t *ret_size)
{
	const char *at = memmem(text, size, key, strlen(key)), *stop;

	if (!at)
		return NULL;
	at += strlen(key);
	stop = at;
	while (stop < text + size && *stop != '"' && *stop != ',' && *stop != '}')
		stop++;
	*ret_size = (size_t)(stop - at);
	return at;
}

/* The client's own index of the channel that `data` names; UINT32_MAX: of none. */
static uint32_t
channel_of(struct client *client, const struct event *event)
{
	const char *prefix = client->proof->options->channel_name;
	size_t size, prefix_size = strlen(prefix);
	const char *name = member(event->data, event->data_size, "\"channel\":\"", &size);
	uint32_t channel;

	if (!name || size <= prefix_size || memcmp(name, prefix, prefix_size))
		return UINT32_MAX;
	channel = (uint32_t)strtoul(name + prefix_size, NULL, 10);
	for (uint32_t i = 0; i < client->channel_count; i++)
		if (client->channels[i] == channel)
			return i;
	return UINT32_MAX;
}

static void
count_finding(struct client *client, uint32_t i, const struct finding *finding)
{
	struct counts *counts = counts_of(client);
	uint32_t told = finding->told < finding->lost ? finding->told : finding->lost;

	counts->gaps_superfluous += finding->is_superfluous;
	switch (finding->verdict) {
	case VERDICT_FINE: return;
	case VERDICT_FIRST_OR_HOLE_TOLD: counts->told += finding->lost; return;
	case VERDICT_LATE_UNCERTAIN: counts->late_uncertain++; return;
	case VERDICT_SILENT:
		counts->silent += finding->lost;
		violation(client, i, finding, "lost without a word");
		return;
	case VERDICT_WRONG_GAP:
		counts->wrong_gaps++;
		counts->told += told;
		counts->silent += finding->lost - told;
		violation(client, i, finding, "told of a wrong number");
		return;
	case VERDICT_DUPLICATE:
		counts->duplicates++;
		violation(client, i, finding, "came twice");
		return;
	case VERDICT_LATE:
		counts->late++;
		violation(client, i, finding, "came behind a later one");
		return;
	case VERDICT_NEVER_SENT:
		counts->damaged++;
		violation(client, i, finding, "was never sent");
		return;
	}
}

static void
take_number(struct client *client, uint32_t i, uint32_t number, bool is_last)
{
	struct proof *proof = client->proof;
	bool was_finished = client_is_finished(client);
	struct finding finding = ledger_take(&client->ledgers[i], number, proof_now_ms(proof));

	count_finding(client, i, &finding);
	if (number < client->replayed_below[i] && finding.verdict < VERDICT_DUPLICATE)
		counts_of(client)->replayed++;
	if (client->is_live && client->live_from[i] && number >= client->live_from[i] &&
		finding.verdict < VERDICT_DUPLICATE)
		client->ledgers[i].numbers->all[number].at_once++;
	if (is_last)
		ledger_finish(&client->ledgers[i], number);
	if (!was_finished && client_is_finished(client))
		proof->unfinished--;
}

static void
hold(struct client *client, uint32_t i, uint32_t number, bool is_last)
{
	if (client->held_count == client->held_capacity) {
		uint32_t capacity = client->held_capacity ? client->held_capacity * 2 : 16;
		struct held *grown = realloc(client->held, capacity * sizeof(grown[0]));

		if (!grown)
			proof_fail("memory is out", "");
		client->held = grown;
		client->held_capacity = capacity;
	}
	client->held[client->held_count++] = (struct held){i, number, is_last};
}

/* What the old connection has brought before counts once; what this one brings a second time does not. */
static void
take_new(struct client *client, uint32_t i, uint32_t number, bool is_last)
{
	if (number > client->came[i] && number < client->old_next[i])
		counts_of(client)->overlapped++;
	else
		take_number(client, i, number, is_last);
	client->came[i] = number;
}

static void
flush_held(struct client *client)
{
	for (uint32_t i = 0; i < client->channel_count; i++)
		client->old_next[i] = client->ledgers[i].next;
	for (uint32_t k = 0; k < client->held_count; k++)
		take_new(client, client->held[k].index, client->held[k].number, client->held[k].is_last);
	client->held_count = 0;
}

/* The next connection begins anew. */
static void
forget_overlap(struct client *client)
{
	memset(client->came, 0, client->channel_count * sizeof(client->came[0]));
	memset(client->old_next, 0, client->channel_count * sizeof(client->old_next[0]));
	client->held_count = 0;
}

static void
take_message(struct client *client, const struct event *event)
{
	uint32_t i = channel_of(client, event), number;
	size_t size;
	const char *text = member(event->data, event->data_size, "\"message\":\"", &size);
	bool is_last;

	number = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
	trace(client, "message", i == UINT32_MAX ? -1 : (int32_t)client->channels[i], number);
	if (i == UINT32_MAX || !number) {
		counts_of(client)->damaged++;
		violation(client, UINT32_MAX, NULL, "a message that is none of this client's");
		return;
	}
	is_last = memmem(text, size, " last", 5) != NULL;
	if (client->successor)
		take_number(client, i, number, is_last);
	else if (has_old(client))
		hold(client, i, number, is_last);
	else
		take_new(client, i, number, is_last);
	take_id(client, event);
}

static void
take_gap(struct client *client, const struct event *event)
{
	struct counts *counts = counts_of(client);
	uint32_t i = channel_of(client, event);
	size_t size;
	const char *missed = member(event->data, event->data_size, "\"missed\":", &size);
	bool is_number = missed && size && *missed >= '0' && *missed <= '9';
	uint32_t count = is_number ? (uint32_t)strtoul(missed, NULL, 10) : MISSED_UNKNOWN;
	bool has_channel = memmem(event->data, event->data_size, "\"channel\"", 9) != NULL;

	trace(client, is_number ? "gap of" : "gap", i == UINT32_MAX ? -1 : (int32_t)client->channels[i],
		is_number ? count : 0);
	counts->gaps++;
	counts->gaps_unknown += !is_number;
	if (client->proof->options->no_gaps) {
		counts->refused_gaps++;
		violation(client, i, NULL, "a gap, and nothing may be missing");
	}
	client->has_fresh_gap = true;
	if (has_channel) {
		if (i == UINT32_MAX) {
			counts->damaged++;
			violation(client, i, NULL, "a gap in a channel that is none of this client's");
		} else {
			ledger_gap(&client->ledgers[i], count);
		}
		return;
	}
	counts->gaps_without_channel++;
	for (i = 0; i < client->channel_count; i++) {
		ledger_gap(&client->ledgers[i], MISSED_UNKNOWN);
		counts->told_late += ledger_excuse(&client->ledgers[i]);
	}
}

static void
take_heartbeat(struct client *client, const struct event *event)
{
	struct proof *proof = client->proof;

	trace(client, "heartbeat", -1, 0);
	if (!proof->knows_ids) {
		proof->knows_ids = true;
		proof->has_ids = event->id_size != 0;
	}
	take_id(client, event);
	if (client->is_live || client->successor)
		return;
	client->is_live = client->has_been_live = true;
	client->live_ns = clock_ns();
	proof->live++;
	for (uint32_t i = 0; i < client->channel_count; i++) {
		ledger_live(&client->ledgers[i]);
		client->live_from[i] = client->ledgers[i].numbers->sent + 1;
	}
}

static bool
is_named(const struct event *event, const char *name)
{
	return event->name_size == strlen(name) && !memcmp(event->name, name, event->name_size);
}

/* Returns false if the connection is over by it. */
static bool
take_event(struct client *client, const struct event *event)
{
	struct counts *counts = counts_of(client);
	size_t size;
	const char *replayed;

	if (is_named(event, "message")) {
		take_message(client, event);
	} else if (is_named(event, "heartbeat") || is_named(event, "ping")) {
		take_heartbeat(client, event);
	} else if (is_named(event, "gap")) {
		take_gap(client, event);
	} else if (is_named(event, "resumed")) {
		replayed = member(event->data, event->data_size, "\"replayed\":", &size);
		counts->resumed++;
		counts->replayed_told += replayed ? strtoul(replayed, NULL, 10) : 0;
		trace(client, "resumed", -1, replayed ? (uint32_t)strtoul(replayed, NULL, 10) : 0);
		if (event->id_size)
			take_id(client, event);
	} else if (is_named(event, "reconnect")) {
		counts->reconnect_events++;
		proof_asked(client->proof);
		if (client->proof->options->overlap_ns) {
			client->is_asked = true;
			return true;
		}
		end(client, "reconnect", false, soon_ns(client));
		return false;
	} else {
		counts->damaged++;
		violation(client, UINT32_MAX, NULL, "an event that is not known");
	}
	return true;
}

static void
send_frame(struct client *client, unsigned char opcode, const char *text, size_t size)
{
	char frame[WS_CLIENT_HEAD_BYTES + WS_CONTROL_BYTES_MAX];

	/* A few bytes that a working connection always has room for; a broken one shows when it is read. */
	(void)!write(client->fd, frame, ws_frame_put(frame, opcode, text, size));
}

static bool
take_text(struct client *client, const struct ws_frame *frame)
{
	static const char pong[] = "{\"event\":\"pong\"}";
	struct event event = {.data = frame->text, .data_size = frame->size};

	event.name = member(frame->text, frame->size, "\"event\":\"", &event.name_size);
	event.id = member(frame->text, frame->size, "\"id\":\"", &event.id_size);
	if (!event.id)
		event.id_size = 0;
	if (!event.name)
		event.name_size = 0;
	if (is_named(&event, "ping"))
		send_frame(client, WS_TEXT, pong, sizeof(pong) - 1);
	return take_event(client, &event);
}

/* By the server: without a word before if it has not asked to reconnect, or by a reset. */
static void
count_end(struct client *client, bool is_reset)
{
	counts_of(client)->ends++;
	counts_of(client)->abrupt += is_reset || (!client->is_asked && !client->successor);
}

/* Returns the bytes taken, 0 if it is not whole, -1 if the connection is over (and ended). */
static long
take_frame(struct client *client, char *bytes, size_t size)
{
	struct ws_frame frame;
	long taken = ws_frame_parse(bytes, size, &frame);

	if (taken == 0)
		return 0;
	if (taken > 0 && frame.opcode == WS_TEXT && frame.is_last)
		return take_text(client, &frame) ? taken : -1;
	if (taken > 0 && frame.opcode == WS_PONG)
		return taken;
	if (taken > 0 && frame.opcode == WS_PING) {
		send_frame(client, WS_PONG, frame.text, frame.size);
		return taken;
	}
	if (taken < 0 || frame.opcode != WS_CLOSE) {
		counts_of(client)->damaged++;
		violation(client, UINT32_MAX, NULL, "a frame that no server may send");
	} else {
		count_end(client, false);
	}
	end(client, "close", false, soon_ns(client));
	return -1;
}

static long
take_block(struct client *client, char *bytes, size_t size)
{
	struct sse_event block;
	long taken = (long)sse_event_parse(bytes, size, &block);
	struct event event;

	if (taken <= 0 || !block.data)
		return taken;
	event = (struct event){
		block.name, block.data, block.id, block.name_size, block.data_size, block.id_size};
	return take_event(client, &event) ? taken : -1;
}

/* Returns the bytes used, -1 if the connection is over. */
static long
take_stream(struct client *client, char *bytes, size_t size)
{
	size_t used = 0;

	while (used < size) {
		long taken = client->transport == TRANSPORT_WS
				     ? take_frame(client, bytes + used, size - used)
				     : take_block(client, bytes + used, size - used);

		if (taken < 0)
			return -1;
		if (!taken)
			break;
		used += (size_t)taken;
	}
	return (long)used;
}

static void
refused(struct client *client, const char *answer, size_t size)
{
	struct proof *proof = client->proof;

	counts_of(client)->refused++;
	if (!proof->first_refusal[0])
		snprintf(proof->first_refusal, sizeof(proof->first_refusal), "%.*s",
			(int)strcspn(answer, "\r\n"), size ? answer : "nothing");
	end(client, "refused", false, soon_ns(client));
}

/* Returns the bytes of the head, 0 if more are needed, -1 if the connection is over. */
static long
take_head(struct client *client, const char *bytes, size_t size)
{
	struct response response;
	long head = response_parse(bytes, size, &response);

	if (!head)
		return 0;
	if (head < 0 || response.status != (client->transport == TRANSPORT_WS ? 101 : 200)) {
		refused(client, bytes, size);
		return -1;
	}
	client->is_chunked = response.is_chunked;
	client->state = CLIENT_OPEN;
	client->proof->connecting--;
	return head;
}

static bool
keep_rest(struct client *client, const char *bytes, size_t size)
{
	char *kept = size ? realloc(client->rest, size) : NULL;

	if (size && !kept)
		proof_fail("memory is out", "");
	if (size)
		memcpy(kept, bytes, size);
	else
		free(client->rest);
	client->rest = kept;
	client->rest_size = (uint32_t)size;
	return true;
}

/* `fresh` bytes have come behind the rest in scratch.  Returns false if the connection is over. */
static bool
take_bytes(struct client *client, size_t fresh)
{
	char *bytes = client->proof->scratch;
	size_t size = client->rest_size, used_of_chunks;
	long used;

	if (client->state == CLIENT_CONNECTING) {
		bytes[size + fresh] = 0;
		used = take_head(client, bytes, size + fresh);
		if (used <= 0)
			return !used && keep_rest(client, bytes, size + fresh);
		bytes += used;
		fresh = size + fresh - (size_t)used;
		size = 0;
	}
	if (client->is_chunked) {
		used = chunked_decode(&client->chunked, bytes + size, fresh, &used_of_chunks);
		fresh = used < 0 ? 0 : (size_t)used;
	}
	used = take_stream(client, bytes, size + fresh);
	return used >= 0 && keep_rest(client, bytes + used, size + fresh - (size_t)used);
}

static void
read_all(struct client *client, bool to_the_end)
{
	struct proof *proof = client->proof;

	for (;;) {
		size_t room = CLIENT_SCRATCH_BYTES - 1 - client->rest_size;
		ssize_t got;

		if (client->rest_size)
			memcpy(proof->scratch, client->rest, client->rest_size);
		got = read(client->fd, proof->scratch + client->rest_size, room);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			count_end(client, got < 0);
			end(client, got < 0 ? "reset" : "end", false, soon_ns(client));
			return;
		}
		client->heard_ns = clock_ns();
		if (!take_bytes(client, (size_t)got))
			return;
		/* A short read has emptied the socket: a further arrival is a new edge. */
		if (!to_the_end && (size_t)got < room)
			return;
	}
}

/* Ids are opaque: whatever they are made of, they are encoded. */
static size_t
put_encoded(char *to, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t size = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			strchr("._-", c)) {
			to[size++] = (char)c;
			continue;
		}
		to[size++] = '%';
		to[size++] = digits[c >> 4];
		to[size++] = digits[c & 15];
	}
	return size;
}

/* An EventSource says its id in a header; by WebSocket, and for one event stream in two, it is in the query.
 */
static size_t
put_request(struct client *client, char *to)
{
	const struct options *options = client->proof->options;
	bool is_ws = client->transport == TRANSPORT_WS;
	bool in_header = client->id && !is_ws && client->connections % 2;
	size_t size = (size_t)sprintf(to, "GET /%s/messages?channels=", is_ws ? "ws" : "sse");

	for (uint32_t i = 0; i < client->channel_count; i++)
		size += (size_t)sprintf(
			to + size, "%s%s%u", i ? "," : "", options->channel_name, client->channels[i]);
	if (client->id && !in_header) {
		size += (size_t)sprintf(to + size, "&last_event_id=");
		size += put_encoded(to + size, client->id);
	}
	size += (size_t)sprintf(to + size, " HTTP/1.1\r\nHost: %s\r\n", options->targets[client->node]);
	if (in_header)
		size += (size_t)sprintf(to + size, "Last-Event-ID: %s\r\n", client->id);
	return size +
	       (size_t)sprintf(to + size, "%s\r\n",
		       is_ws ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			       "Sec-WebSocket-Key: " WS_KEY "\r\n"
			     : "Accept: text/event-stream\r\n");
}

static void
failed(struct client *client)
{
	counts_of(client)->failed++;
	end(client, "failed", false, soon_ns(client));
}

static void
send_request(struct client *client)
{
	/* 32 names of up to 50 bytes, and an id that is encoded three to one */
	char request[REQUEST_BYTES_MAX + 3 * CLIENT_ID_BYTES_MAX];
	size_t size = put_request(client, request);

	for (uint32_t i = 0; i < client->channel_count; i++) {
		ledger_connect(&client->ledgers[i]);
		client->replayed_below[i] = client->ledgers[i].numbers->decided + 1;
		client->live_from[i] = 0;
	}
	if (net_error(client->fd) || write(client->fd, request, size) != (ssize_t)size) {
		failed(client);
		return;
	}
	client->has_sent_request = true;
	counts_of(client)->connections++;
}

static void
ready(struct handler *handler, uint32_t events)
{
	struct client *client = (struct client *)handler;

	if (client->fd < 0)
		return;
	if (!client->has_sent_request) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			send_request(client);
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		read_all(client, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

/* When it will be cut off: mostly after some seconds, sometimes in the middle of the replay. */
static uint64_t
stay_ns(struct client *client)
{
	struct proof *proof = client->proof;

	if (!proof->options->stay_ns)
		return 24 * 3600 * NS_PER_S;
	if (client->has_been_live && !proof_random(proof, 8))
		return proof_random(proof, 50 * NS_PER_MS) >> proof_random(proof, 8);
	return proof_random(proof, 2 * proof->options->stay_ns);
}

static void
connect_client(struct client *client, uint64_t now_ns)
{
	struct proof *proof = client->proof;

	client->handler.ready = ready;
	client->state = CLIENT_CONNECTING;
	client->has_sent_request = client->is_chunked = false;
	client->chunked = (struct chunked){0};
	client->connections++;
	client->node = (uint32_t)proof_random(proof, proof->options->target_count);
	client->heard_ns = now_ns;
	client->cut_ns = now_ns + stay_ns(client);
	proof->connecting++;
	trace(client, "connect", -1, client->node);
	client->fd = net_connect(&proof->targets[client->node], client->index, 0);
	if (client->fd < 0 || loop_add(&proof->loop, LOOP_READERS, client->fd,
				      EPOLLIN | EPOLLOUT | EPOLLRDHUP, &client->handler))
		failed(client);
}

/* What it was asked for: the connection becomes the old one, and a new one is due at once. */
static void
follow(struct client *client, uint64_t now_ns)
{
	struct proof *proof = client->proof;
	struct client *old = client->old ? client->old : calloc(1, sizeof(*old));

	if (!old)
		proof_fail("memory is out", "");
	if (client->old && old->fd >= 0)
		end_old(old, "follow");
	loop_remove(&proof->loop, LOOP_READERS, client->fd);
	*old = *client;
	old->successor = client;
	old->old = NULL;
	old->held = NULL;
	old->is_live = false;
	client->old = old;
	if (client->is_live)
		proof->live--;
	client->is_live = client->is_asked = false;
	client->fd = -1;
	client->rest = NULL;
	client->rest_size = 0;
	client->state = CLIENT_AWAY;
	client->due_ns = now_ns;
	forget_overlap(client);
	if (loop_add(&proof->loop, LOOP_READERS, old->fd, EPOLLIN | EPOLLRDHUP, &old->handler))
		proof_fail("a connection could not be watched any more", "");
}

void
client_tick(struct client *client, uint64_t now_ns)
{
	struct proof *proof = client->proof;
	uint64_t silence_ns = client->is_live ? proof->options->silence_ns : HANDSHAKE_NS_MAX;

	if (has_old(client) && client->is_live && now_ns > client->live_ns + proof->options->overlap_ns)
		end_old(client->old, "left old");
	if (client->is_asked && client->state == CLIENT_OPEN)
		follow(client, now_ns);
	if (client->state == CLIENT_AWAY) {
		if (now_ns >= client->due_ns && proof->connecting < proof->options->connecting)
			connect_client(client, now_ns);
		return;
	}
	if (now_ns > client->heard_ns + silence_ns) {
		counts_of(client)->failed++;
		end(client, "silence", true, soon_ns(client));
	} else if (now_ns >= client->cut_ns && proof->phase == PHASE_PUBLISH && !has_old(client)) {
		counts_of(client)->cuts++;
		end(client, "cut off", proof_random(proof, 2),
			proof->options->away_ns * 3 / 4 +
				proof_random(proof, proof->options->away_ns / 2 + 1));
	}
}

void
client_leave(struct client *client)
{
	counts_of(client)->cuts++;
	end(client, "cut off", true, 24 * 3600 * NS_PER_S);
}

void
client_return(struct client *client)
{
	client->due_ns = 0;
}

bool
client_is_finished(const struct client *client)
{
	for (uint32_t i = 0; i < client->channel_count; i++)
		if (!client->ledgers[i].finished)
			return false;
	return true;
}

void
client_close(struct client *client)
{
	/* who is changing over just now is not without a connection: the old one has brought all until here */
	if (has_old(client)) {
		disconnect(client->old, false);
		flush_held(client);
	}
	for (uint32_t i = 0; i < client->channel_count; i++) {
		struct finding finding = ledger_close(&client->ledgers[i]);

		count_finding(client, i, &finding);
	}
	disconnect(client, true);
}

void
client_fini(struct client *client)
{
	disconnect(client, true);
	if (client->old)
		disconnect(client->old, true);
	free(client->old);
	free(client->held);
	for (uint32_t i = 0; client->ledgers && i < client->channel_count; i++)
		ledger_fini(&client->ledgers[i]);
	free(client->channels);
	free(client->ledgers);
	free(client->live_from);
	free(client->replayed_below);
	free(client->came);
	free(client->old_next);
	free(client->id);
}
