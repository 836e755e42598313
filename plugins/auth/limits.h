/*
 * limits.h - every fixed limit of tokens and their keys, with its unit and its reason.
 */
#ifndef PUSH_AUTH_LIMITS_H
#define PUSH_AUTH_LIMITS_H

/* A token in compact form: more than any with a list of rights that a person can read takes, and it fits into
 * the head of a request twice. */
#define PUSH_TOKEN_BYTES_MAX 4096

/* The name of a key, of a token's header (kid). */
#define PUSH_KEY_ID_BYTES_MAX 255

/* RSA keys.  Below, they can be factored some day soon; above, a check takes milliseconds. */
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

/* The name of a publish key: a line of the log has room for it. */
#define PUSH_PUBLISH_KEY_NAME_BYTES_MAX 64

/* Keys of the file push.publish.keys, each of which is compared with on each publish, 20 ns; and the file. */
#define PUSH_PUBLISH_KEYS_MAX            1024
#define PUSH_PUBLISH_KEYS_FILE_BYTES_MAX (1024u * 1024)

#endif
