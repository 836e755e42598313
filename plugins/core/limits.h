/*
 * limits.h - every fixed limit of Push, with its unit, its reason and what
 * happens there.  Limits that an operator may choose are options (options.h);
 * the bounds of those are here.
 */
#ifndef PUSH_CORE_LIMITS_H
#define PUSH_CORE_LIMITS_H

/* Depth of a JSON document: deeper ones are refused with 400.  Deep enough for any data made by hand or by
 * a serialiser, shallow enough for every client's recursive parser. */
#define PUSH_JSON_DEPTH_MAX 128

/* Members of an object of which none may come twice: each is compared with all before it.  Tokens have ten, those
 * of large providers thirty. */
#define PUSH_JSON_UNIQUE_MEMBERS_MAX 128

/* One line of text that tells a person what is wrong; longer ones are cut. */
#define PUSH_ERROR_TEXT_BYTES_MAX 384

/* Why publishes cannot succeed now: an address, and a server's words. */
#define PUSH_TROUBLE_BYTES_MAX 192

/* How much of a bad value an error repeats: enough to recognise it. */
#define PUSH_ERROR_QUOTE_BYTES_MAX 64

/* Text options.  lwsws mishandles a configuration value over about 250 bytes. */
#define PUSH_OPTION_TEXT_BYTES_MAX 240

/* push.redis.url, which may come by the environment: a cluster of 16 nodes with the long names that they have
 * in Kubernetes. */
#define PUSH_OPTION_URL_BYTES_MAX 2048

/* What all names in Redis begin with, push.redis.prefix: room for the name of an installation. */
#define PUSH_REDIS_PREFIX_BYTES_MAX 64

/* Bounds of durations: a day is longer than any proxy keeps a connection, and sums of several stay far from
 * the 64-bit microsecond range. */
#define PUSH_DURATION_US_MAX (24ull * 3600 * 1000000)

/* Bounds of sizes. */
#define PUSH_SIZE_MAX (64ull * 1024 * 1024)

/* Bounds of memory that a whole process may use for something. */
#define PUSH_MEMORY_MAX (64ull * 1024 * 1024 * 1024)

/* Bounds of the memory that all may use for everything that grows: some clients with full queues have to fit
 * in, and the rest of the process has to fit in beside it. */
#define PUSH_BUDGET_BYTES_MIN   (8ull * 1024 * 1024)
#define PUSH_BUDGET_PERCENT_MAX 90u

/* Part of that memory that may be taken by who clients are and what they may do: past it a client is put off.  No
 * client can be asked to give it back, so most is left to what can be freed. */
#define PUSH_IDENTITIES_SHARE 4u

/* Freed since the heap was last looked at, so much is worth giving back to the system. */
#define PUSH_TRIM_BYTES_MIN (16ull * 1024 * 1024)

/* Addresses, users and clients whose counts and rates are known (quota.h): more than one worker has connections,
 * 48 bytes each.  Beyond, those that say nothing are forgotten. */
#define PUSH_LIMIT_KEYS_MAX 262144u

/* The bound of push.channel.name.max and push.channels.max: an id and a name must fit into one event. */
#define PUSH_QUERY_BYTES_MAX 4096

/* Messages that one outbox may hold beside its limit in bytes: bounds the ring of pointers at 512 KB. */
#define PUSH_OUTBOX_FRAMES_MAX 65536u

/* A text from this size on is shared by all frames with it (frame.h): below, the copy is cheaper than three
 * pieces of one write. */
#define PUSH_SHARED_TEXT_BYTES_MIN 4096

/* Frames handed to the transport in one write, and so the length of the iovec on the stack. */
#define PUSH_WRITE_FRAMES_MAX 256

/* Bytes of small frames that are merged into one buffer before a write: one long copy is cheaper than an
 * iovec of many short pieces (measured: 10 frames of 130 bytes, 0.42 against 0.54 us a delivery). */
#define PUSH_COALESCE_BYTES_MAX 16384

/* How long subscribers are written to before the event loop is given back to the other sockets.  It may be
 * short: publishes that come in between are merged with what waits. */
#define PUSH_FLUSH_SLICE_US 1000ull

/* Publishers wait when so much is to be written to each subscriber on average that one write takes most of
 * it: more would not make it cheaper, only later. */
#define PUSH_BEHIND_BYTES 16384ull

/* Deliveries to outboxes, 10 ns each, before the flush has its turn. */
#define PUSH_TURN_DELIVERIES_MAX 65536ull

/* The longest flush delay: beyond, it is no trade for throughput any more but a slow server. */
#define PUSH_FLUSH_DELAY_US_MAX 1000000ull

/* Timers fired in one go before the event loop is given back. */
#define PUSH_WHEEL_SLICE_TIMERS 512

/* How much longer a silent client is waited for, and by how much the timer itself was late: on a busy server
 * its answer may lie in the socket, and the loop reads that before it comes back to the timers. */
#define PUSH_PONG_SECOND_LOOK_US 100000ull

/* Channels that operators are shown, those with the most subscribers: as many as a person reads.  A longer
 * name is cut, with an ellipsis: the default of push.channel.name.max fits. */
#define PUSH_RANKING_CHANNELS_MAX   100
#define PUSH_RANKING_NAME_BYTES_MAX 258

/* Looked at for that in one tick, channels and empty buckets together: some 0.2 ms. */
#define PUSH_RANKING_SLICE_MAX 2000

/* Resolution of the timing wheel. */
#define PUSH_TICK_US 10000ull

/* Missed ticks that are counted as late, one minute: what stood still for longer was stopped, not busy, and
 * the loop that counts them must not be held up by it. */
#define PUSH_LATE_TICKS_MAX 6000

/* Clocks of those who issue tokens: more than so far apart is a fault, and a token that has expired so long ago
 * is one that was taken back. */
#define PUSH_AUTH_LEEWAY_US_MAX 600000000ull

/* A drain lasts at least so long: who connected just before it is answered yet. */
#define PUSH_DRAIN_LINGER_US 200000ull

/* Messages kept of one channel: bounds its ring of entries at 4 MB, beside what the messages take. */
#define PUSH_HISTORY_SIZE_MAX 65536

/* Messages of one channel that wait until a server has said where the channel stands; beyond, it is asked
 * again. */
#define PUSH_HISTORY_PENDING_MAX 1024

/* A channel that has been in use for so long does not give way to newer ones before it was quiet for as long:
 * the time in which clients come back after a loss.  Longer, and where more channels are in use than may be
 * kept, those that come later would have no history at all. */
#define PUSH_HISTORY_SAFE_US 60000000ull

/* The shortest time to keep messages: what is due is looked for once a second. */
#define PUSH_HISTORY_TTL_US_MIN 1000000ull

/* Of a history that all workers share, what one keeps as frames: the last messages for clients that were away for a
 * moment.  What was fetched for replays stays for so many seconds beside it. */
#define PUSH_HISTORY_CACHE_BYTES   (4ull * 1024 * 1024)
#define PUSH_HISTORY_CACHE_REPLAYS 2u

/* The name of a client whose position is kept. */
#define PUSH_CLIENT_NAME_BYTES_MAX 64

/* Messages that a client may owe acks for: bounds the ring of them at 128 KB, and what one ack costs. */
#define PUSH_ACK_WINDOW_MAX 4096

/* Sent again so often, a message has been refused rather than missed. */
#define PUSH_ACK_RETRIES_MAX 100

/* Acks are waited for at least so long: a client far away needs it to answer. */
#define PUSH_ACK_TIMEOUT_US_MIN 100000ull

/* A position is kept at least so long: it is written once a second. */
#define PUSH_CLIENT_TTL_US_MIN 10000000ull

/* Small values that are kept by name (values.h), their names and their bytes, how many, and what all of them
 * take: the largest is the answer to an array of publishes.  Past either limit the oldest are forgotten. */
#define PUSH_VALUE_NAME_BYTES_MAX 640
#define PUSH_VALUE_BYTES_MAX      (512u * 1024)
#define PUSH_VALUES_MAX           65536
#define PUSH_VALUES_BYTES_MAX     (16ull * 1024 * 1024)

/* A notice to all nodes (broker/engine.h); longer ones are refused.  A name of 255 bytes, all of them escaped,
 * fits in. */
#define PUSH_NOTICE_BYTES_MAX 2048

/* Notices that are remembered for nodes that start later, and for how long at most: longer than tokens should
 * live.  Past the number those that would be over first are forgotten. */
#define PUSH_NOTICES_MAX       100000u
#define PUSH_NOTICE_TTL_US_MAX (400 * PUSH_DURATION_US_MAX)

/* Messages of one publish request, an array's elements or lines; more are refused.  What is published to many
 * channels counts once for each.  Those who have more send them as a stream of lines. */
#define PUSH_PUBLISH_MESSAGES_MAX 1000
#define PUSH_PUBLISH_SENDS_MAX    16384

/* The answer to such a request: an error of PUSH_ERROR_TEXT_BYTES_MAX for each. */
#define PUSH_PUBLISH_ANSWER_BYTES_MAX (448u * 1024)

/* An Idempotency-Key, and how long the answer to it is kept. */
#define PUSH_IDEMPOTENCY_KEY_BYTES_MAX 255
#define PUSH_IDEMPOTENCY_US            300000000ull

/* The id of one publish of a request with an Idempotency-Key: half of a SHA-256 in hex, two numbers. */
#define PUSH_ONCE_BYTES_MAX 64

/* What is not written yet is sent so long before a publisher elsewhere waits no longer, or a quarter of that time: the
 * way back (receipt.h). */
#define PUSH_RECEIPT_WAY_US 250000ull

/* Lines of one stream that are published and not answered yet, 100 bytes each: past it no more are read. */
#define PUSH_LINES_UNANSWERED_MAX 256

/* Messages that are read from history at once: what is asked for by default, at most, and about how many
 * bytes. */
#define PUSH_READ_MESSAGES_DEFAULT 100
#define PUSH_READ_MESSAGES_MAX     1000
#define PUSH_READ_MESSAGES_BYTES   (256u * 1024)

/* Publishes of one WebSocket client that are not answered yet: one more is refused, and then the client is
 * not read from until there is room. */
#define PUSH_WS_PUBLISHES_MAX 64

/* Of one client, what waits while the application is asked about a publish of it: past half of it the client is not
 * read from, and past it a publish is refused. */
#define PUSH_WS_PUBLISHES_WAITING_BYTES_MAX 16384u

/* Channels that the application is asked about in one question on a publish, and their bytes: as many as a short
 * answer can grant (PUSH_IDENTITY_PATTERNS_MAX, PUSH_IDENTITY_BYTES_MAX). */
#define PUSH_PERMISSION_CHANNELS_MAX       256u
#define PUSH_PERMISSION_CHANNELS_BYTES_MAX 7168u

/* What a client may have echoed in the answers to its commands. */
#define PUSH_REF_BYTES_MAX 64

/* A control frame with an object of its own: a channel's name escaped at worst six times as long, and an id.
 */
#define PUSH_EVENT_BYTES_MAX (6 * PUSH_QUERY_BYTES_MAX + 2048)

/* A client's own mark on a request, which each answer repeats: an UUID with its quotes is 38 bytes. */
#define PUSH_REF_BYTES_MAX 64

/* What a request to change channels is answered, by its own bytes: an error repeats at most that of a name,
 * and says why in less than a hundred bytes; the shortest name takes three. */
#define PUSH_CONTROL_ANSWER_FACTOR 48

/* Sizes of queues that are told apart when the largest are looked for: powers of two, up to 32 bits. */
#define PUSH_QUEUE_SIZE_CLASSES 32

/* What is freed in one turn when memory is short: each closes a connection, or drops a message. */
#define PUSH_RELIEF_CLIENTS_MAX  512u
#define PUSH_RELIEF_MESSAGES_MAX 16384u

/* Answers that wait for a client to read them: past it the client is not read from (intake.h).  More than any
 * burst of commands that an honest client sends before it reads, little beside a queue. */
#define PUSH_ANSWERS_WAITING_BYTES_MAX 65536u

/* Refused channels of one command that have an error of their own; the others share one, which names as many
 * of them as fit. */
#define PUSH_LIVE_ERRORS_MAX     16u
#define PUSH_LIVE_MORE_BYTES_MAX 16384u

/* Changes of channels that a client asks for before its stream has begun; more of them are refused. */
#define PUSH_LIVE_EARLY_BYTES_MAX 16384

/* A client's address in a log: the longest of IPv6, its port and what stands around. */
#define PUSH_PEER_BYTES_MAX 64

/* Names of channels in one line of the log; there is room for one of 255 bytes, however it is escaped.  Lines
 * of lws have 1024 bytes, with its own mark. */
#define PUSH_LOG_NAMES_BYTES_MAX 640u
#define PUSH_LOG_LINE_BYTES_MAX  900u

/* Lines of the level debug that a process writes in a second; of more it says only how many they were.  A
 * line is a write to a pipe, some microseconds of the loop. */
#define PUSH_LOG_DEBUG_LINES_A_SECOND 200u

/* Waiting publishes' answers, headers of a reply and other small texts on the stack. */
#define PUSH_REPLY_BYTES_MAX 1024

/* The metrics' text: some hundred families, with a cluster's servers among the labels. */
#define PUSH_METRICS_BYTES_MAX (256 * 1024)

/* Bounds of push.auth.hook.timeout: a client's own patience, and what a call over a network takes at least. */
#define PUSH_HOOK_TIMEOUT_US_MIN 50000ull
#define PUSH_HOOK_TIMEOUT_US_MAX 30000000ull

#endif
