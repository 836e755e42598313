/* server_name.c - see server_name.h. */
#include <openssl/ssl.h>
#include <string.h>
#include <strings.h>

#include "tls/server_name.h"

/* A list behind its size, and in it a type, a size and a name. */
#define LIST_BYTES 2
#define ITEM_BYTES 3

static size_t
number_at(const unsigned char *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

struct push_str
push_tls_server_name(SSL *ssl)
{
	const unsigned char *bytes;
	size_t size, name_size;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) ||
		size <= LIST_BYTES + ITEM_BYTES || number_at(bytes) != size - LIST_BYTES ||
		bytes[LIST_BYTES] != TLSEXT_NAMETYPE_host_name)
		return (struct push_str){.bytes = NULL};
	name_size = number_at(bytes + LIST_BYTES + 1);
	if (name_size > size - LIST_BYTES - ITEM_BYTES)
		return (struct push_str){.bytes = NULL};
	return (struct push_str){(const char *)bytes + LIST_BYTES + ITEM_BYTES, name_size};
}

bool
push_tls_name_is(struct push_str name, const char *vhost)
{
	return strlen(vhost) == name.size && !strncasecmp(name.bytes, vhost, name.size);
}

bool
push_tls_name_is_below(struct push_str name, const char *vhost)
{
	size_t size = strlen(vhost);

	if (name.size < size + 2)
		return false;
	name.bytes += name.size - size - 1;
	return *name.bytes == '.' && !strncasecmp(name.bytes + 1, vhost, size);
}
