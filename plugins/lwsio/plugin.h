/*
 * plugin.h - the one symbol that a plugin exports.
 *
 * lws loads libprotocol_NAME.so and looks for a symbol NAME; everything else in it is hidden.
 */
#ifndef PUSH_LWSIO_PLUGIN_H
#define PUSH_LWSIO_PLUGIN_H

#include <libwebsockets.h>

/* clang-format off */
#define PUSH_PLUGIN(symbol, title, protocol_array)                                                           \
	__attribute__((visibility("default"))) extern const lws_plugin_protocol_t symbol;                    \
	const lws_plugin_protocol_t symbol = {                                                               \
		.hdr = {title, "lws_protocol_plugin", LWS_BUILD_HASH, LWS_PLUGIN_API_MAGIC},                 \
		.protocols = protocol_array,                                                                 \
		.count_protocols = LWS_ARRAY_SIZE(protocol_array),                                           \
	}
/* clang-format on */

/* What one lws_write() may be given: less, and lws cuts it and copies the rest into its own heap. */
#define PUSH_TX_PACKET_BYTES (256 * 1024)

/* lws allocates as much for each WebSocket, and reads it and LWS_PRE at a time; messages of clients are small
 * and come in pieces. */
#define PUSH_WS_RX_BYTES 160

/* lws closes a WebSocket over TLS as broken after PUSH_LWS_READS_MAX reads in one go (its `sanity`), and
 * reads until no byte of the record is left.  So as many reads have to empty a full record. */
#define PUSH_LWS_READS_MAX        99
#define PUSH_TLS_RECORD_BYTES_MAX 16384
_Static_assert((PUSH_WS_RX_BYTES + LWS_PRE) * PUSH_LWS_READS_MAX > PUSH_TLS_RECORD_BYTES_MAX,
	"a full TLS record would close its connection");

#endif
