/*
 * limits.h - every fixed limit of authentication, with its unit and its reason.
 */
#ifndef PUSH_AUTH_LIMITS_H
#define PUSH_AUTH_LIMITS_H

#include "core/limits.h"

/* --- tokens and keys --- */

/* A token in compact form: more than any with a list of rights that a person can read takes, and it fits into
 * the head of a request twice. */
#define PUSH_TOKEN_BYTES_MAX 4096

/* The name of a key, of a token's header (kid). */
#define PUSH_KEY_ID_BYTES_MAX 255

/* RSA keys.  Shorter ones may soon be factored; with longer ones a check takes milliseconds. */
#define PUSH_KEY_RSA_BITS_MIN 2048
#define PUSH_KEY_RSA_BITS_MAX 8192

/* Of an RSA key's public exponent: what OpenSSL takes for large keys.  Nearly all are 65537. */
#define PUSH_KEY_RSA_EXPONENT_BYTES_MAX 8

/* Secrets for HS256: at least as long as its hash (RFC 7518, 3.2). */
#define PUSH_KEY_SECRET_BYTES_MIN 32
#define PUSH_KEY_SECRET_BYTES_MAX 512

/* Keys of one set, and files of one folder: a large provider has ten. */
#define PUSH_KEYS_MAX      64
#define PUSH_KEY_FILES_MAX 64

/* A file with keys: all that a set may have, with certificates in each. */
#define PUSH_KEY_FILE_BYTES_MAX (256u * 1024)

/* Keys that a signature is tried with, for a token that does not name one: 8 times 0.2 ms. */
#define PUSH_KEY_CANDIDATES_MAX 8

/* Verified tokens that are kept by one process, and what they take: 65,536 clients with one each. */
#define PUSH_TOKEN_CACHE_MAX       65536u
#define PUSH_TOKEN_CACHE_BYTES_MAX (32u * 1024 * 1024)

/* Refused tokens that are remembered, and for how long: one that comes in a storm is checked once a second. */
#define PUSH_TOKEN_REFUSALS_MAX 256u
#define PUSH_TOKEN_REFUSAL_US   1000000ull

/* Checks of tokens that were refused may take this part of the time, a fifth; and a burst of them, some 20 of
 * ES256.  What a tick of 10 ms spends on those that wait is as much.  */
#define PUSH_CHECK_SHARE   5u
#define PUSH_CHECK_DEBT_US 2000ull
#define PUSH_CHECK_TICK_US 2000ull

/* Tokens that wait for it, 4 kB each at most, and for how long: as a client waits that has the patience of a person. */
#define PUSH_CHECKS_WAITING_MAX 1024u
#define PUSH_CHECK_WAIT_US      2000000ull

/* The name of a publish key: a line of the log has room for it. */
#define PUSH_PUBLISH_KEY_NAME_BYTES_MAX 64

/* Keys of the file push.publish.keys, each of which is compared with on each publish, 20 ns; and the file. */
#define PUSH_PUBLISH_KEYS_MAX            1024
#define PUSH_PUBLISH_KEYS_FILE_BYTES_MAX (1024u * 1024)

/* --- push.auth.jwks.url --- */

/* One fetch of keys, and its body: as much as a file with keys may have. */
#define PUSH_JWKS_FETCH_US  5000000ull
#define PUSH_JWKS_BYTES_MAX (256u * 1024)

/* How long keys are in use before they are fetched again, if Cache-Control does not say, and the bounds of what
 * it says: a new key is in use within a minute at best, and a withdrawn one is not for more than a day. */
#define PUSH_JWKS_LIFETIME_US     600000000ull
#define PUSH_JWKS_LIFETIME_US_MIN 60000000ull
#define PUSH_JWKS_LIFETIME_US_MAX (24ull * 3600 * 1000000)

/* Between two fetches for keys that are not known, whatever tokens come. */
#define PUSH_JWKS_UNKNOWN_US 30000000ull

/* Between two tries after a failure: doubles from the first to the last. */
#define PUSH_JWKS_RETRY_FIRST_US 1000000ull
#define PUSH_JWKS_RETRY_LAST_US  60000000ull

/* Requests that wait for a fetch, 48 bytes each beside their own, and for how long: as long as a person
 * waits for a page. */
#define PUSH_JWKS_WAITS_MAX 1024u
#define PUSH_JWKS_WAIT_US   2000000ull

/* --- push.auth.hook.url --- */

/* Calls to the application at a time, a connection each, as many as a small one serves at once; those that wait
 * for one of them to end, which they do within push.auth.hook.timeout; and idle connections that are kept. */
#define PUSH_HOOK_CALLS_MAX   32u
#define PUSH_HOOK_WAITING_MAX 1024u
#define PUSH_HOOK_IDLE_MAX    8u

/* An answer: twice the rights that an identity may have, with escapes. */
#define PUSH_HOOK_ANSWER_BYTES_MAX (32u * 1024)

/* ... and with the names of the channels that were asked for. */
#define PUSH_HOOK_CLAIMS_BYTES_MAX (256u * 1024)

/* The application's reason for a refusal, for the client; the rest is cut off: a sentence. */
#define PUSH_HOOK_REASON_BYTES_MAX 200

/* When a client that gets 503 is asked to try again. */
#define PUSH_HOOK_RETRY_S 2u

/* The longest `expires_in`: a year.  Beyond, it is not meant as an end. */
#define PUSH_HOOK_EXPIRES_S_MAX (365u * 24 * 3600)

/* Answers that are kept, their bytes with their identities, and for how long at most. */
#define PUSH_HOOK_CACHE_MAX       8192u
#define PUSH_HOOK_CACHE_BYTES_MAX (8u * 1024 * 1024)
#define PUSH_HOOK_CACHE_US_MAX    3600000000ull

/* Between two lines of the log that the application fails, or answers again. */
#define PUSH_HOOK_SAY_US 10000000ull

/* --- revocations and tickets --- */

/* Revocations that a process remembers, each 56 bytes and a name; more are refused: evicting one would make a
 * revoked token valid again.  As many as an engine remembers for nodes that start later. */
#define PUSH_REVOCATIONS_MAX PUSH_NOTICES_MAX

/* Buckets of theirs that one tick looks through for those that are over: all of them within 22 s. */
#define PUSH_REVOCATIONS_SLICE 64u

/* How soon a ticket has to be used: a page that has fetched it opens its event stream at once, over a slow
 * network, too. */
#define PUSH_TICKET_OPEN_US 30000000ull

/* How long it may take a client to come back: a network that changes, and the pauses of a browser between its
 * attempts. */
#define PUSH_TICKET_RECONNECT_US 60000000ull

/* Connections of one ticket that are counted. */
#define PUSH_TICKET_CONNECTIONS_MAX 9999

#endif
