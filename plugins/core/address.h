/*
 * address.h - addresses of clients, and lists of networks.
 *
 * An address is always 16 bytes: IPv4 is kept as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), so that a client that
 * reaches a dual-stack socket over IPv4 is the same client everywhere.
 */
#ifndef PUSH_CORE_ADDRESS_H
#define PUSH_CORE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "status.h"
#include "str.h"

struct push_address {
	unsigned char bytes[16]; /* in network order */
};

/* The longest text of an address, with its NUL: eight groups of four digits. */
#define PUSH_ADDRESS_TEXT_BYTES 40

/* Bits of an IPv6 address that stand for one client: a household or a server is given a /64 at least, and may
 * use any address of it (RFC 6177). */
#define PUSH_ADDRESS_CLIENT_BITS 64

/* push_address_from_v4, push_address_from_v6 - of 4 or 16 bytes in network order. */
struct push_address
push_address_from_v4(const void *bytes);
struct push_address
push_address_from_v6(const void *bytes);

bool
push_address_is_v4(const struct push_address *address);

bool
push_address_equals(const struct push_address *a, const struct push_address *b);

/*
 * push_address_parse - `192.0.2.1` or `2001:db8::1`: no port, no zone, no brackets, no leading zeros in IPv4.
 *
 * Returns false if it is anything else; `ret` is unchanged then.
 */
bool
push_address_parse(struct push_address *ret, struct push_str text);

/*
 * push_address_parse_host - likewise, and with what proxies add: `192.0.2.1:80`, `[2001:db8::1]`,
 * `[2001:db8::1]:80`.
 */
bool
push_address_parse_host(struct push_address *ret, struct push_str text);

/* push_address_print - the text of an address (RFC 5952); IPv4 as IPv4.  Returns `to`. */
const char *
push_address_print(const struct push_address *address, char to[PUSH_ADDRESS_TEXT_BYTES]);

/* push_address_of_client - what limits go by: the network of an IPv6 address, an IPv4 address itself. */
struct push_address
push_address_of_client(const struct push_address *address);

/* Networks of one list: as many as fit into an option. */
#define PUSH_NETWORKS_MAX 64

struct push_networks {
	size_t count;
	struct {
		struct push_address address;
		unsigned int bits; /* 0 to 128; of IPv4 96 more than it is written with */
	} list[PUSH_NETWORKS_MAX];
};

/*
 * push_networks_parse - the value of an option: addresses, networks such as 10.0.0.0/8, and the words
 * `loopback` (127.0.0.0/8, ::1) and `private` (RFC 1918, RFC 4193), separated by commas or spaces.
 *
 * @name: of the option, for errors.
 * Errors: PUSH_INVALID, with the part that is wrong in `error`.
 */
enum push_status PUSH_MUST_USE
push_networks_parse(struct push_networks *ret, const char *name, const char *text, struct push_error *error);

/* push_networks_have - whether an address is in one of them. */
bool
push_networks_have(const struct push_networks *networks, const struct push_address *address);

#endif
