/*
 * redis_private.h - the structs that the files of this folder share.  Nobody else includes this.
 *
 *   engine_redis.c    the engine's interface, and what belongs to no other file
 *   topology.c        which server is responsible for which channel
 *   node.c            one server: its two connections, and whether they deliver
 *   connection.c      a link that comes back: names to addresses, back-off
 *   publishes.c       a publish from the request to its answer
 *   subscriptions.c   a channel's subscription from its first client to some time after its last
 *   counts.c          how many clients a channel has here, for publishes anywhere
 *   history.c         history that Redis keeps
 *   peers.c           the other Push nodes, and how many clients they have
 *   reading.c         what is kept of a channel, for who asks
 *   room.c            history makes room for other keys
 *   values.c          small values by name
 *   notices.c         what all nodes must know
 *   calls.c           what one Push node asks another
 *   receipts.c        how many a message was written to
 *   render.c          what is seen of the servers, as metrics
 */
#ifndef PUSH_REDIS_PRIVATE_H
#define PUSH_REDIS_PRIVATE_H

#include "core/channel.h"
#include "core/hub.h"
#include "core/redis_slot.h"
#include "core/redis_url.h"
#include "core/redis_stats.h"
#include "core/receipt.h"
#include "core/tracker.h"
#include "redis/refusals.h"
#include "redis/call_text.h"
#include "redis/engine_redis.h"
#include "redis/link.h"
#include "loop/resolve.h"
#include "redis/scripts.h"
#include "redis/seen.h"
#include "trace/tracer.h"

#define REDIS_ID_BYTES    (PUSH_REDIS_NODE_ID_BYTES + 1)
#define REDIS_LABEL_BYTES 300 /* host:port, for logs */

/* "18446744073709551615-18446744073709551615", with the NUL */
#define REDIS_POSITION_BYTES 48

/* Nobody can subscribe to it through Push, where names have no control characters. */
#define REDIS_PRIVATE_MARK '\x1e'

struct redis_counting;
struct redis_engine;
struct redis_fetch;
struct redis_node;
struct redis_receipt;
struct redis_tracking;

/* A link that comes back by itself. */
struct redis_connection {
	struct push_redis_link link;
	struct redis_engine *engine;
	struct push_list item; /* in engine->connections */
	char host[256];        /* a name, an address, or a path where port is 0 */
	char label[REDIS_LABEL_BYTES];
	uint16_t port;
	bool wanted, resolving;
	uint64_t retry_us; /* when to try again; 0: not waiting */
	unsigned int failures;
	uint64_t token; /* of the lookup under way */
	struct sockaddr_storage addresses[PUSH_REDIS_ADDRESSES_MAX];
	size_t address_count, next_address;
	char last_error[PUSH_REDIS_ERROR_BYTES]; /* that was logged */
};

struct redis_node {
	struct push_list item; /* in engine->nodes */
	struct redis_engine *engine;
	struct redis_connection commands, subscriptions;
	bool is_up;      /* both */
	bool is_new;     /* its connection for subscriptions was neither up nor down yet */
	bool has_slots;  /* it is responsible for some channels */
	bool is_loading; /* scripts were sent, and the last is not answered yet */
	uint16_t first_slot;
	/* subscriptions of channels that it is responsible for; each is in one of these */
	struct push_list to_ask, asked, live, refused;
	uint32_t batch; /* of the last SUBSCRIBE */
	uint64_t ask_again_us, ask_refused_us;
	uint32_t asked_count; /* of `asked` */
	/* counts.c: channels whose number of clients is to be told to Redis, by when, or now; was accepted,
	 * the oldest first; is to be looked at again.  `counting`: commands of these without an answer */
	struct push_list to_tell_later, to_tell, told, to_check;
	uint32_t counting;
	uint64_t room_us;           /* room.c: when history was to make room last; 0: not yet */
	unsigned int room_first;    /* the partition that is to make room first next time */
	uint64_t count_refused_us;  /* counts.c: when one was refused that others would be, too, or tried
				       since; 0: none */
	struct push_channel *probe; /* a channel of one's own there; NULL: none yet */
	uint64_t probe_sent_us, probe_due_us;
	uint64_t proven_us; /* when the last probe that came back was sent: until then everything had come */
	uint64_t deaf_since_us; /* 0: its subscriptions are well */
	unsigned int probes_lost;
	uint64_t down_since_us, up_since_us;
	uint64_t publish_us;                         /* from sent to answered, of the last publish */
	char why_down[PUSH_REDIS_REFUSAL_BYTES_MAX]; /* of either; empty: not known */
	struct push_redis_refusals refusals;         /* of publishes */
	struct push_redis_refusals claims;           /* of the keys of publishes */
};

/* What a subscription is for. */
enum redis_purpose {
	REDIS_PURPOSE_CLIENTS,
	REDIS_PURPOSE_BEATS,
	REDIS_PURPOSE_CALLS,
	REDIS_PURPOSE_NOTICES,
	REDIS_PURPOSE_HEADS,
	REDIS_PURPOSE_PROBE,
	REDIS_PURPOSE_COUNT
};

/* A command that brings along who handles its answer: the context of a REDIS_AWAITED_REQUEST.  It is answered
 * or lost, once for each time that it is awaited. */
struct redis_request {
	void (*item)(struct redis_request *request, const struct push_redis_place *place,
		const struct push_redis_reply *item); /* NULL: of no interest */
	void (*answer)(
		struct redis_node *node, struct redis_request *request, const struct push_redis_reply *reply);
	void (*lost)(struct redis_request *request);
};

/* Those that Redis remembers. */
enum redis_notices_state {
	REDIS_NOTICES_UNSUBSCRIBED,
	REDIS_NOTICES_TO_READ,
	REDIS_NOTICES_READING,
	REDIS_NOTICES_READING_IN_VAIN, /* the subscription was lost meanwhile */
	REDIS_NOTICES_READ,
};

enum subscription_state {
	SUBSCRIPTION_NEW,
	SUBSCRIPTION_TO_ASK,
	SUBSCRIPTION_ASKED,
	SUBSCRIPTION_LIVE,
};

/* What the engine keeps of a channel: channel->upstream. */
struct redis_subscription {
	struct push_list item; /* in its node's to_ask, asked, live or refused */
	struct push_list tell; /* in one of its node's four lists of counts, or alone */
	struct push_list idle; /* in engine->idle while nobody listens, or alone */
	struct redis_engine *engine;
	struct push_channel *channel;
	struct redis_node *node; /* NULL: nobody is responsible now; then `item` is in engine->homeless */
	uint64_t idle_since_us;
	uint64_t tell_us; /* when it is to be told, or was */
	uint64_t checked_us;
	uint64_t expire_us; /* when its key was given its time last */
	uint32_t batch;
	uint32_t told; /* clients, as Redis has accepted; UINT32_MAX: not known */
	uint16_t slot;
	struct redis_counting *counting; /* counts.c, a command under way; NULL: none */
	uint8_t tell_state;              /* counts.c */
	bool may_be_counted;             /* Redis may have a number other than 0 */
	uint8_t state;  /* enum subscription_state; TO_ASK may be shown as LIVE, after a loss */
	bool was_live;  /* confirmed before, so that a new confirmation comes after a gap */
	bool is_missed; /* its subscribers did not wait for it */
	bool is_private;
	bool is_alone; /* to be asked for in a command of its own, since one of its batch was refused */

	/* history.c, of a channel with history: */
	bool is_settled; /* it is known where it stands */
	bool is_lost;    /* it may have missed something, and its partition is held back for it */
	struct push_list ask_history; /* in engine->to_fetch, or alone */
	struct push_list unconfirmed; /* in its partition's, or alone */
	struct redis_fetch *fetch;    /* under way; NULL: none */
	uint8_t unloaded_count;       /* in a row, the script that was called was not there */
	uint64_t settled_us;
};

/* Channels whose messages are numbered together. */
struct redis_partition {
	uint16_t slot; /* where it lies in a cluster, and its hash tag there */
	char tag[PUSH_REDIS_SLOT_TAG_BYTES];
	bool is_used;                       /* a channel of it was settled */
	uint32_t lost_count;                /* of its channels */
	uint64_t epoch;                     /* the newest that the server has told; 0: none yet */
	struct push_channel *announcements; /* of its head; NULL: none yet */
	struct push_list unconfirmed;       /* subscriptions that are settled, and wait for the head */
	uint64_t head_asked_us, retry_us;
	uint64_t head_pause_us; /* between two questions; 0: the shortest */
	bool is_unannounced;    /* we may not publish its head to us, or not hear of it */
	uint8_t head_unloaded_count;
	uint64_t check_us; /* not before: where that is so, ask all channels where they stand */
};

/* A publish under way. */
struct redis_publish {
	struct push_list item; /* in engine->waiting, ->unwritten or ->uncertain, or alone */
	push_publish_done_fn done;
	void *context;
	uint64_t deadline_us;          /* while it waits to be sent, to be written, or to be certainly over */
	uint64_t ttl_us;               /* the message's own; 0: none */
	uint64_t sent_us, patience_us; /* from then on, to its deadline at the server */
	struct redis_node *node;       /* that it was sent to */
	uint64_t others;               /* clients of other nodes */
	uint64_t receivers;            /* Redis': Push nodes and plain clients */
	uint32_t nodes;                /* other Push nodes that receive */
	uint32_t dead;                 /* that may still receive */
	uint8_t parts_left;            /* answers to come */
	bool is_published, is_refused, is_passing; /* the refusal is */
	bool has_deadline;                         /* at the server, as it was sent */
	bool has_made_room;                        /* history has, for the key of this publish */
	uint8_t late_count;                        /* how often the server has refused it for that */
	bool is_repeat;                            /* an earlier one of the same id was published */
	uint8_t once_size;                         /* of that id; 0: none */
	bool is_counting_alive, is_counting_own;
	char counting[REDIS_ID_BYTES];   /* the node that is_counting_alive */
	struct redis_tracking *tracking; /* owned; NULL: nobody asks how many it is written to */
	uint64_t subscribers;            /* that are answered when it is written */
	uint32_t channel_size, payload_size;
	uint16_t slot;
	char bytes[]; /* the channel's name, the payload, the id */
};

struct redis_peer {
	char id[REDIS_ID_BYTES];
	uint64_t heard_us;
	uint8_t silent_beats; /* of ours, since it was heard */
	bool is_dead;
};

struct redis_engine {
	struct push_engine engine; /* first: the two are cast into each other */
	const struct push_options *options;
	struct push_hub *hub;
	struct push_redis_stats *stats;
	struct push_engine_host host;
	struct push_redis_url url;
	struct push_redis_settings settings;
	struct ssl_ctx_st *tls;
	struct push_sources sources;
	struct push_resolver *resolver;
	struct push_source resolver_source;
	struct push_list connections, nodes;
	struct push_list homeless, idle;
	uint64_t next_token;
	uint64_t random;
	uint64_t now_us;
	bool is_awake;      /* a flush was asked for */
	bool should_resend; /* somebody may take what waits */
	uint64_t refusal_logged_us, refused_logged_us[REDIS_PURPOSE_COUNT];
	uint64_t check_counts_us; /* not before then */
	uint64_t count_asked_us;  /* counts.c: when somebody asked last to look at one */
	uint64_t count_doubt_us;  /* peers.c: when this node did */
	uint64_t counted_us;      /* counts.c: up to then changes have been told at once */

	/* topology.c */
	struct redis_node *single; /* standalone, sentinel */
	struct redis_node **slots; /* cluster: PUSH_REDIS_SLOT_COUNT; NULL: nobody */
	struct push_redis_slot_tags *tags;
	struct redis_connection query; /* to a sentinel, or to any server of the cluster */
	struct push_redis_settings query_settings;
	size_t next_seed;
	uint64_t ask_us; /* when to ask again */
	bool is_asking;
	struct redis_map *map; /* what is being read, or is to be applied; NULL: neither */

	/* publishes.c */
	struct push_list waiting, unwritten, uncertain; /* by deadline */
	uint32_t publish_count;
	uint64_t publish_bytes;
	struct push_buf scratch;

	/* history.c */
	unsigned int partition_count; /* 0: no channel has history */
	struct redis_partition partitions[PUSH_PARTITIONS_MAX];
	struct push_redis_scripts scripts;
	struct push_list to_fetch; /* subscriptions */

	/* values.c */
	uint32_t value_count; /* under way */

	/* notices.c */
	push_notice_fn notice; /* NULL: nobody receives any */
	void *notice_context;
	struct push_channel *notices; /* NULL: it is not held yet */
	struct redis_request notices_page;
	uint64_t notices_read, notices_due_us; /* of the reading under way; when to read */
	struct push_redis_seen notices_seen;
	uint32_t notice_count; /* to be answered */
	uint8_t notices_state; /* enum redis_notices_state */
	bool has_notices;      /* all were read once */

	/* calls.c */
	struct push_channel *calls_channel; /* where this node is called */
	struct push_list calls;             /* of others, under way, by deadline */
	uint32_t call_count;
	uint64_t last_number; /* of calls and receipts */
	push_serve_fn serve;  /* NULL: nothing is */
	void *serve_context;

	/* receipts.c */
	struct push_receipts receipts;
	uint64_t receipt_bytes;
	struct push_list tracked[PUSH_REDIS_TRACKED_BUCKETS]; /* by number */
	uint32_t tracked_count;

	/* reading.c */
	uint32_t reading_count; /* under way */

	/* peers.c */
	char id[REDIS_ID_BYTES], name[REDIS_ID_BYTES + 8];
	struct push_channel *beats;
	uint64_t beat_us; /* when to speak next */
	uint64_t heard_self_us, told_again_us;
	uint8_t moved[PUSH_REDIS_SLOT_COUNT / 8]; /* slots that have another server, not announced yet */
	bool has_moved;                           /* one of them */
	uint64_t moved_us;                        /* the last one */
	uint64_t deaf_since_us;                   /* others are to hear of that; 0: of nothing */
	uint64_t well_since_us; /* when its own clients were told of what they may have missed */
	struct redis_peer *peers;
	size_t peer_count;
	uint64_t beat_receivers; /* of our last beat */
	uint64_t ghosts;         /* of them: connections of dead nodes */
};

/* --- engine_redis.c --- */

/* redis_set_now - when this turn is. */
void
redis_set_now(struct redis_engine *engine, uint64_t now_us);

/* redis_wake - have redis_flush() called at the end of the turn. */
void
redis_wake(struct redis_engine *engine);

/* redis_log - one line for the operator. */
void
redis_log(struct redis_engine *engine, enum push_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* redis_log_refusal - Redis has answered a command of ours with an error; now and then one is logged, each
 * with debug. */
void
redis_log_refusal(struct redis_engine *engine, const struct redis_node *node, const char *what,
	const struct push_redis_reply *reply);

/* redis_log_refusal_of - likewise, of those that share `*logged_us`, which is when one was logged last. */
void
redis_log_refusal_of(struct redis_engine *engine, const struct redis_node *node, const char *what,
	const struct push_redis_reply *reply, uint64_t *logged_us);

/* redis_random_upto - uniform in [0, limit]; not for secrets. */
uint64_t
redis_random_upto(struct redis_engine *engine, uint64_t limit);

/* --- connection.c --- */

void
redis_connection_init(struct redis_connection *connection, struct redis_engine *engine,
	enum push_redis_role role, const struct push_redis_settings *settings,
	const struct push_redis_link_owner *owner, void *context);

/* redis_connection_fini - close it; nobody is told. */
void
redis_connection_fini(struct redis_connection *connection);

/* redis_connection_start - connect, and again whenever it is lost.  @port: 0 for a path. */
void
redis_connection_start(struct redis_connection *connection, const char *host, uint16_t port);

/* redis_connection_is_up / _is_down - to be called by the link's owner when it is told. */
void
redis_connection_is_up(struct redis_connection *connection);

/* redis_connection_redirect - from the next attempt on, to another server. */
void
redis_connection_redirect(struct redis_connection *connection, const char *host, uint16_t port);

/* Returns true if this is news: the first failure, or another reason than before. */
bool
redis_connection_is_down(struct redis_connection *connection, const char *why);

/* redis_connections_tick - retry, watch, and settle what has failed. */
void
redis_connections_tick(struct redis_engine *engine);

/* redis_connections_settle - tell the owners of links that have failed in this turn. */
void
redis_connections_settle(struct redis_engine *engine);

/* redis_connections_resolved - the resolver has something. */
void
redis_connections_resolved(void *context, uint64_t token, enum push_status status,
	const struct sockaddr_storage *addresses, size_t count, const char *error);

/* --- node.c --- */

/* redis_node_obtain - the node of that address; a new one if there is none.  NULL when memory is out. */
struct redis_node *
redis_node_obtain(struct redis_engine *engine, const char *host, uint16_t port);

/* redis_node_destroy - its subscriptions become homeless. */
void
redis_node_destroy(struct redis_node *node);

bool
redis_node_takes_publishes(const struct redis_node *node);

bool
redis_node_takes_subscriptions(const struct redis_node *node);

void
redis_node_tick(struct redis_node *node);

/* redis_node_probed - a probe has come back. */
void
redis_node_probed(struct redis_node *node);

/* --- topology.c --- */

enum push_status
redis_topology_init(struct redis_engine *engine);

void
redis_topology_fini(struct redis_engine *engine);

/* redis_topology_node - who is responsible for a slot; NULL: nobody that is known. */
struct redis_node *
redis_topology_node(struct redis_engine *engine, uint16_t slot);

uint16_t
redis_topology_slot(const struct redis_engine *engine, const char *channel, size_t size);

/* redis_topology_is_in_doubt - whether an error says that somebody else is responsible, now or soon. */
bool
redis_topology_is_in_doubt(struct redis_engine *engine, const struct push_redis_reply *error);

/* redis_topology_apply - what was learned, outside of any link's callback: nodes may go. */
void
redis_topology_apply(struct redis_engine *engine);

/* redis_topology_doubt - something does not fit what is known: ask soon. */
void
redis_topology_doubt(struct redis_engine *engine);

void
redis_topology_tick(struct redis_engine *engine);

/* --- publishes.c --- */

void
redis_publish(struct redis_engine *engine, const struct push_publication *publication,
	push_publish_done_fn done, void *context);

void
redis_publish_item(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_place *place, const struct push_redis_reply *item);

void
redis_publish_answer(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

void
redis_publish_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited);

/* redis_publishes_send - send what waits, now that somebody may take it. */
void
redis_publishes_send(struct redis_engine *engine);

void
redis_publishes_tick(struct redis_engine *engine);

/* redis_publish_written - all receipts are there. */
void
redis_publish_written(struct redis_engine *engine, struct redis_publish *publish);

/* redis_publishes_fail - all that wait; the engine ends. */
void
redis_publishes_fail(struct redis_engine *engine);

/* --- values.c --- */

/* redis_value_get, redis_value_put - see push_engine. */
void
redis_value_get(struct push_engine *engine, const char *name, size_t name_size, uint64_t now_us,
	push_value_done_fn done, void *context);

void
redis_value_put(struct push_engine *engine, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, bool only_if_new, uint64_t now_us, push_value_done_fn done,
	void *context);

void
redis_value_answer(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

void
redis_value_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited);

/* --- notices.c --- */

/* redis_notice_put, redis_notices_watch, redis_notices_are_read - see push_engine: notify, on_notice,
 * has_notices. */
void
redis_notice_put(struct push_engine *engine, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us,
	push_notice_done_fn done, void *context);

void
redis_notices_watch(struct push_engine *engine, push_notice_fn notice, void *context);

bool
redis_notices_are_read(const struct push_engine *engine);

void
redis_notices_init(struct redis_engine *engine);

void
redis_notices_fini(struct redis_engine *engine);

/* redis_notice_heard - a notice, of whomever. */
void
redis_notice_heard(struct redis_engine *engine, const char *text, size_t size);

/* redis_notices_subscribed - what comes from now on is heard; what came before is to be read. */
void
redis_notices_subscribed(struct redis_engine *engine);

/* redis_notices_flush - begin to read if that is due. */
void
redis_notices_flush(struct redis_engine *engine);

/* --- calls.c --- */

#define REDIS_VERB_WRITTEN "written"

enum push_status
redis_calls_init(struct redis_engine *engine);

/* redis_calls_fini - those under way fail, and none is served any more. */
void
redis_calls_fini(struct redis_engine *engine);

void
redis_calls_tick(struct redis_engine *engine);

/* redis_call, redis_serve - see push_engine. */
void
redis_call(struct push_engine *engine, const char *node, size_t node_size, const char *verb, const char *text,
	size_t size, uint64_t now_us, push_value_done_fn done, void *context);

void
redis_serve(struct push_engine *engine, push_serve_fn serve, void *context);

/* redis_notify - tell a node something that it need not answer, as far as that is possible now. */
void
redis_notify(struct redis_engine *engine, const char *node, uint64_t number, const char *verb,
	const char *text, size_t size);

/* redis_next_number - of a call or a receipt. */
uint64_t
redis_next_number(struct redis_engine *engine);

/* redis_calls_heard - a message on this node's own channel, of whomever. */
void
redis_calls_heard(struct redis_engine *engine, const char *text, size_t size);

/* redis_call_published, redis_call_lost - what became of the PUBLISH of a call. */
void
redis_call_published(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

void
redis_call_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited);

/* --- receipts.c --- */

void
redis_receipts_init(struct redis_engine *engine);

/* redis_receipts_fini - tell what has been written so far. */
void
redis_receipts_fini(struct redis_engine *engine);

/* redis_receipts_flush - tell of messages that are written. */
void
redis_receipts_flush(struct redis_engine *engine);

void
redis_receipts_tick(struct redis_engine *engine);

/*
 * redis_receipt_begin - take off a message's payload whom to tell how many it is written to.
 *
 * What is delivered from now on is counted for it, until redis_receipt_end(), which takes NULL, too.
 * Returns NULL: nobody asks, or nobody can be told.
 */
struct redis_receipt *
redis_receipt_begin(struct redis_engine *engine, const char **payload, size_t *size);

void
redis_receipt_end(struct redis_engine *engine, struct redis_receipt *receipt);

/* redis_receipt_heard - a node says how many clients it has written a message to. */
void
redis_receipt_heard(
	struct redis_engine *engine, const char *node, uint64_t number, const char *text, size_t size);

/* redis_tracking_create - for a publish whose `tracker` is to know.  NULL: too many, or memory is out. */
struct redis_tracking *
redis_tracking_create(struct redis_engine *engine, struct push_tracker *tracker);

void
redis_tracking_destroy(struct redis_engine *engine, struct redis_tracking *tracking);

/* redis_tracking_restart - it is sent, maybe again. */
void
redis_tracking_restart(struct redis_tracking *tracking);

/* redis_tracking_head - write what its payload begins with.  Returns its size. */
size_t
redis_tracking_head(const struct redis_engine *engine, const struct redis_tracking *tracking,
	char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX]);

/* redis_tracking_count - a node has so many clients: it is waited for. */
void
redis_tracking_count(struct redis_tracking *tracking, const char *node, uint64_t clients);

/* redis_tracking_published - all nodes are counted.  Returns whether all have said how many already. */
bool
redis_tracking_published(struct redis_tracking *tracking, struct redis_publish *publish);

/* redis_tracking_sum - tell the tracker what the nodes have said. */
void
redis_tracking_sum(struct redis_tracking *tracking);

/* --- subscriptions.c --- */

/* redis_subscriptions_flush - take up the hub's changes, and send what is to be sent. */
void
redis_subscriptions_flush(struct redis_engine *engine);

/* redis_subscription_hold - a private channel.  NULL when memory is out. */
struct push_channel *
redis_subscription_hold(struct redis_engine *engine, const char *name, size_t size);

/* redis_subscription_drop - no longer subscribe to a channel. */
void
redis_subscription_drop(struct redis_engine *engine, struct redis_subscription *subscription);

/* redis_subscription_do_not_wait - its clients need not wait for a server that is away; they are told of the
 * gap later. */
void
redis_subscription_do_not_wait(struct redis_engine *engine, struct redis_subscription *subscription);

void
redis_subscribed(struct redis_node *node, bool subscribed, const char *channel, size_t size);

void
redis_message(
	struct redis_node *node, const char *channel, size_t channel_size, const char *payload, size_t size);

/* redis_subscription_refused - the server has answered a SUBSCRIBE of `count` channels with an error. */
void
redis_subscription_refused(
	struct redis_node *node, uint32_t batch, uint32_t count, const struct push_redis_reply *reply);

/* redis_subscriptions_lost - the connection is gone, and all that was subscribed with it. */
void
redis_subscriptions_lost(struct redis_node *node);

/* redis_subscriptions_move - give each to whom the topology says, from `list`. */
void
redis_subscriptions_move(struct redis_engine *engine, struct push_list *list);

/* redis_subscriptions_missed - tell the clients of these slots' channels that they may have missed something.
 */
void
redis_subscriptions_missed(struct redis_engine *engine, const uint8_t slots[PUSH_REDIS_SLOT_COUNT / 8]);

void
redis_subscriptions_tick(struct redis_engine *engine);

/* --- counts.c --- */

/* redis_count_changed - a channel may have another number of clients. */
void
redis_count_changed(struct redis_subscription *subscription);

/* redis_count_moved - it has another server, or has just got its first. */
void
redis_count_moved(struct redis_subscription *subscription);

/* redis_count_leave - before that: the server that it had need not count it any more. */
void
redis_count_leave(struct redis_subscription *subscription);

/* redis_count_used - a message has come in, so that somebody reads the number. */
void
redis_count_used(struct redis_subscription *subscription);

/* redis_count_can_clear - whether Redis can be told that a channel has no clients, or need not. */
bool
redis_count_can_clear(const struct redis_subscription *subscription);

/* redis_count_clear - the channel is dropped. */
void
redis_count_clear(struct redis_subscription *subscription);

/* redis_count_delete - the node `id` has no clients of a channel. */
void
redis_count_delete(struct redis_node *node, const char *name, size_t size, uint16_t slot, const char *id);

/* redis_count_seen - Redis has this number of our own clients of a channel. */
void
redis_count_seen(struct redis_node *node, const char *name, size_t size, uint16_t slot, uint64_t value);

/* redis_count_asked - somebody asks all nodes to look at their number of a channel, which may be none of
 * ours; and may be anybody. */
void
redis_count_asked(struct redis_engine *engine, const char *name, size_t size);

/* redis_counts_lost - the server may have forgotten everything: tell it all counts again. */
void
redis_counts_lost(struct redis_node *node);

/* redis_counts_flush - send what is to be sent, as far as publishes are not held up. */
void
redis_counts_flush(struct redis_engine *engine, struct redis_node *node);

void
redis_counts_tick(struct redis_engine *engine, struct redis_node *node);

void
redis_count_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

void
redis_count_answer_lost(struct redis_node *node, const struct push_redis_awaited *awaited);

/* --- history.c --- */

void
redis_history_init(struct redis_engine *engine);

/* redis_history_partition - of a channel with history; NULL: it has none. */
const struct redis_partition *
redis_history_partition(const struct redis_engine *engine, const char *channel, size_t size);

/* redis_history_connected - a connection for commands is up. */
void
redis_history_connected(struct redis_node *node);

/* redis_history_loaded - a script was, or was refused. */
void
redis_history_loaded(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

/* redis_history_is_unloaded - whether an error says that the server has not got the scripts; now it gets
 * them. */
bool
redis_history_is_unloaded(struct redis_node *node, const struct push_redis_reply *error);

/* redis_history_append_call - begin a command that calls a script; `arguments` follow, the number of keys
 * first. */
void
redis_history_append_call(const struct redis_engine *engine, struct push_buf *out,
	enum push_redis_script script, size_t arguments);

/* redis_history_subscribed - Redis has confirmed it.  @is_gap: clients listened before.  Later the hub is
 * told. */
void
redis_history_subscribed(struct redis_subscription *subscription, bool is_gap);

/* redis_history_lost - messages may be missed from now on; does nothing for a channel without history. */
void
redis_history_lost(struct redis_subscription *subscription);

/* redis_history_check - messages may have been missed, and it is subscribed. */
void
redis_history_check(struct redis_subscription *subscription);

/* redis_history_give_up - it cannot be known what it missed: a gap. */
void
redis_history_give_up(struct redis_subscription *subscription);

void
redis_history_dropped(struct redis_subscription *subscription);

/* redis_history_message - deliver a message that has a position; false: it has none, or none that this node
 * keeps; what says so is taken off all the same. */
bool
redis_history_message(struct redis_subscription *subscription, const char **payload, size_t *size);

/* redis_history_channels_max - how many of a partition may be kept. */
uint64_t
redis_history_channels_max(const struct redis_engine *engine);

/* redis_history_open_unkept - take off a message that it is not kept; false: it does not say so.
 * @ret_is_marked: what is kept of the channel shows that one is missing. */
bool
redis_history_open_unkept(const char **payload, size_t *size, bool *ret_is_marked);

/* redis_history_head_heard - a message of a private channel; false: it is none of these. */
bool
redis_history_head_heard(
	struct redis_engine *engine, const struct push_channel *channel, const char *text, size_t size);

void
redis_history_item(const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item);

void
redis_history_answer(const struct push_redis_awaited *awaited, const struct push_redis_reply *reply);

void
redis_history_answer_lost(const struct push_redis_awaited *awaited);

void
redis_history_head_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

/* redis_history_head_refused - a channel that we may not subscribe to may be one of announcements. */
void
redis_history_head_refused(struct redis_engine *engine, const struct push_channel *channel);

/* redis_history_flush - send what is to be asked. */
void
redis_history_flush(struct redis_engine *engine);

/* redis_read_position - an id of a stream, EPOCH-NUMBER; false: it is none. */
bool
redis_read_position(const char *text, size_t size, struct push_position *ret);

/* redis_append_position - likewise, as one part of a command. */
void
redis_append_position(struct push_buf *out, struct push_position at);

/* --- room.c --- */

/* redis_room_make - a command of `node` was refused: where that was for want of memory, history that lies
 * there makes room before whatever is sent to it next.  Returns whether to try that command again. */
bool
redis_room_make(struct redis_node *node, const struct push_redis_reply *error);

void
redis_room_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply);

/* --- reading.c --- */

/* redis_read - see push_engine. */
void
redis_read(struct push_engine *engine, const struct push_reading *reading, uint64_t now_us,
	push_value_done_fn done, void *context);

void
redis_reading_item(const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item);

void
redis_reading_answer(const struct push_redis_awaited *awaited, const struct push_redis_reply *reply);

void
redis_reading_lost(const struct push_redis_awaited *awaited);

/* --- render.c --- */

/* redis_render_state - of which kind Redis is, and which of its servers are up, as metrics. */
void
redis_render_state(const struct push_engine *engine, struct push_buf *to);

/* --- peers.c --- */

enum push_status
redis_peers_init(struct redis_engine *engine);

void
redis_peers_fini(struct redis_engine *engine);

void
redis_peers_tick(struct redis_engine *engine);

/* redis_peers_heard - a beat, of whomever. */
void
redis_peers_heard(struct redis_engine *engine, const char *text, size_t size);

/* redis_peers_answered - to a beat: how many have received it. */
void
redis_peers_answered(struct redis_engine *engine, const struct push_redis_reply *reply);

/* redis_peers_moved - channels of this slot are published elsewhere from now on. */
void
redis_peers_moved(struct redis_engine *engine, uint16_t slot);

/* redis_peers_was_deaf - messages may not have come in since then, and do again: others may have its clients
 * now. */
void
redis_peers_was_deaf(struct redis_engine *engine, uint64_t since_us);

/* redis_peers_flush - say what is to be said before anything is published. */
void
redis_peers_flush(struct redis_engine *engine);

/*
 * redis_peers_left_behind - a node that does not live has left its number of clients of a channel.
 *
 * It is deleted, unless the node's connection may still receive: then publish->dead counts it.
 */
void
redis_peers_left_behind(
	struct redis_engine *engine, struct redis_publish *publish, const char *id, size_t size);

/* redis_peers_doubt_counts - a node that has a number of clients of a channel does not receive it: now and
 * then all are asked to look at theirs. */
void
redis_peers_doubt_counts(struct redis_engine *engine, const char *channel, size_t size);

/* redis_peers_is_settled - whether all nodes that live have had the time to say so. */
bool
redis_peers_is_settled(const struct redis_engine *engine);

/* redis_peers_is_alive - whether a node's clients count. */
bool
redis_peers_is_alive(struct redis_engine *engine, const char *id, size_t size);

/* Kinds of awaited answers. */
enum {
	REDIS_AWAITED_NOTHING,
	REDIS_AWAITED_PUBLISH,
	REDIS_AWAITED_COUNTS,
	REDIS_AWAITED_COUNT, /* one's own */
	REDIS_AWAITED_COUNT_CHECK,
	REDIS_AWAITED_SUBSCRIBE,
	REDIS_AWAITED_UNSUBSCRIBE,
	REDIS_AWAITED_PROBE,
	REDIS_AWAITED_BEAT,
	REDIS_AWAITED_QUERY,
	REDIS_AWAITED_FETCH,
	REDIS_AWAITED_HEAD,
	REDIS_AWAITED_VALUE,
	REDIS_AWAITED_REQUEST, /* context: a struct redis_request */
	REDIS_AWAITED_CALL,
	REDIS_AWAITED_READING,
	REDIS_AWAITED_ROOM, /* count: of which partition */
	REDIS_AWAITED_LOAD  /* of a script; count: it is the last one */
};

#endif
