"""A WebSocket client that shows every frame and may misbehave (RFC 6455)."""

import base64
import json
import os
import struct

from http1 import Connection

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PING_TEXT = '{"event":"ping","data":{}}'


def frame(opcode, payload=b"", fin=True, masked=True, rsv=0):
    payload = payload if isinstance(payload, bytes) else payload.encode()
    first = (0x80 if fin else 0) | rsv | opcode
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = struct.pack(">BB", first, mask_bit | len(payload))
    elif len(payload) < 65536:
        head = struct.pack(">BBH", first, mask_bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, mask_bit | 127, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class WebSocket(Connection):
    def __init__(self, port, channels=None, path="/ws/messages", headers=(), answer=True, **options):
        super().__init__(port, **options)
        self.answer = answer
        if channels is not None:
            path += f"?channels={channels}"
        key = base64.b64encode(os.urandom(16)).decode()
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: test", "Upgrade: websocket", "Connection: Upgrade",
                               f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]) + "\r\n\r\n")
        self.status, self.reason, self.headers = self.read_head()

    def read_frame(self):
        """(opcode, payload) of the next frame; None at the end of the connection."""
        try:
            first, second = self.read_exactly(2)
            assert not second & 0x80, "a server must not mask"
            size = second & 0x7F
            if size == 126:
                size = struct.unpack(">H", self.read_exactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.read_exactly(8))[0]
            payload = self.read_exactly(size)
        except EOFError:
            return None
        assert first & 0x70 == 0
        return first & 0x0F, payload

    def next(self):
        """The next frame that is no heartbeat, which is answered: (opcode, payload), or None at the end."""
        while True:
            got = self.read_frame()
            if got is None:
                return None
            if got[0] == PING or got == (TEXT, PING_TEXT.encode()):
                if self.answer and got[0] == PING:
                    self.send(frame(PONG, got[1]))
                continue
            return got

    def event(self):
        opcode, payload = self.next()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def message(self):
        """(channel, message) of the next event, which must be a message."""
        event = self.event()
        assert event["event"] == "message", event
        return event["data"]["channel"], event["data"]["message"]

    def close_code(self):
        """The code of the Close frame, which must be next; answers it, and waits for the end."""
        opcode, payload = self.next()
        assert opcode == CLOSE, (opcode, payload)
        self.send(frame(CLOSE, payload[:2]))
        assert self.is_closed()
        return struct.unpack(">H", payload[:2])[0]
