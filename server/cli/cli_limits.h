/* cli_limits.h - the fixed limits of the command `push`, with their units, their reasons and what happens
 * there.
 */
#ifndef PUSH_CLI_CLI_LIMITS_H
#define PUSH_CLI_CLI_LIMITS_H

/* Words of a command line that are no options: as many channels as one connection may have by default, and
 * more. */
#define CLI_WORDS_MAX 1024

/* Headers given with --header. */
#define CLI_HEADERS_MAX 16

/* A URL's host (a name of DNS, RFC 1035) and its path. */
#define CLI_HOST_BYTES_MAX 255
#define CLI_PATH_BYTES_MAX 512

/* The longest request target: the server refuses a longer head. */
#define CLI_TARGET_BYTES_MAX 8192

/* An answer: 256 kB of history and its escapes, or the metrics of a server with many workers. */
#define CLI_ANSWER_BYTES_MAX (16u << 20)

/* One message with its frame: far above push.message.max.size of any server (64 MB at most). */
#define CLI_MESSAGE_BYTES_MAX (80u << 20)

/* A position: 30 bytes for each of 16 partitions, and some. */
#define CLI_ID_BYTES_MAX 1024

/* A connection that is not made, or does not bring its first event, in so long is given up. */
#define CLI_OPEN_US 10000000ull

/* How long an answer may take: ?wait=written waits for push.publish.wait.max, 5 s by default. */
#define CLI_ANSWER_S 60

/* Silence that counts as a loss: two heartbeats, and this much more. */
#define CLI_SILENCE_US   5000000ull
#define CLI_HEARTBEAT_US 30000000ull

/* The pause before a connection is tried again: up to the first, twice as long each time, up to the last. */
#define CLI_RETRY_FIRST_US 500000ull
#define CLI_RETRY_LAST_US  30000000ull

/* A token or publish key: the server takes no longer one. */
#define CLI_TOKEN_BYTES_MAX 4096

/* How often the file of --token is read while the server waits for another token. */
#define CLI_TOKEN_FILE_US 1000000ull

/* A connection that served for so long counts as good: the pauses begin anew. */
#define CLI_STABLE_US 5000000ull

/* While moving to a new connection the old one is closed after so much quiet, and at the latest after so
 * long. */
#define CLI_QUIET_US 150000ull
#define CLI_MOVE_US  1500000ull

/* How long copies of what the old connection brought are recognised after a move that found no quiet moment.
 */
#define CLI_SETTLE_US 3000000ull

/* Messages remembered and held back during a move; at the limit the old connection is closed at once. */
#define CLI_COPIES_MAX 65536

/* How long a closing handshake may take at the end. */
#define CLI_CLOSE_US 500000ull

/* A publish with a key is sent so often at most. */
#define CLI_PUBLISH_TRIES_MAX 8

/* Lines published by one request: a server that serves TLS takes 1000 lines and 64 kB
 * (push.message.max.size). */
#define CLI_BATCH_LINES_MAX 1000
#define CLI_BATCH_BYTES_MAX (48 * 1024)

/* The longest line from stdin. */
#define CLI_LINE_BYTES_MAX (64u << 20)

/* Messages read by one request, the server's own limit. */
#define CLI_PAGE_MESSAGES_MAX 1000

#endif
