"""HTTP/2 as far as the fake server needs it for event streams: frames, and the path of a request.

A path has no Huffman coding where that would be longer, which is what `PATH` is for: parentheses cost ten bits there.
"""

import struct

DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS, PRIORITY = 1, 1, 4, 32
FRAME_MAX = 16384
PATH = "/sse?channels=%c" + "(" * 40
OK = b"\x88" + b"\x0f\x10\x11text/event-stream"  # :status 200 and content-type, by their numbers in RFC 7541, A
BAD_REQUEST = b"\x8c"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(block, at, bits):
    """RFC 7541, 5.1.  Returns it and where it ends."""
    value, at, shift = block[at] & (1 << bits) - 1, at + 1, 0
    if value < (1 << bits) - 1:
        return value, at
    while True:
        value, shift, at = value + ((block[at] & 127) << shift), shift + 7, at + 1
        if block[at - 1] < 128:
            return value, at


def text(block, at):
    """The bytes as they stand, Huffman coding and all."""
    size, end = integer(block, at, 7)
    return block[end:end + size], end + size


def path_of(block):
    """The value of the literal whose name is :path, number 4 of the static table."""
    at = 0
    while at < len(block):
        if block[at] & 0x80:
            _, at = integer(block, at, 7)
            continue
        if block[at] & 0xE0 == 0x20:
            _, at = integer(block, at, 5)
            continue
        name, at = integer(block, at, 6 if block[at] & 0x40 else 4)
        if not name:
            _, at = text(block, at)
        value, at = text(block, at)
        if name == 4:
            return value.decode()
    raise ValueError("a request without a path")


class Stream:
    """What a subscriber writes to: one stream of a connection."""

    def __init__(self, writer, number):
        self.writer, self.number = writer, number

    def write(self, data):
        for at in range(0, len(data), FRAME_MAX):
            self.writer.write(frame(DATA, 0, self.number, data[at:at + FRAME_MAX]))

    def close(self):
        self.writer.write(frame(DATA, END_STREAM, self.number))


async def serve(reader, writer, open_stream):
    """Behind "PRI * HTTP/2.0".  open_stream(path) returns the coroutine function that begins the stream, or None."""
    await reader.readexactly(len(b"SM\r\n\r\n"))
    writer.write(frame(SETTINGS, 0, 0))
    while True:
        head = await reader.readexactly(9)
        size, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = await reader.readexactly(size)
        if kind == SETTINGS and not flags & ACK:
            writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            writer.write(frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            begin = open_stream(path_of(payload[5:] if flags & PRIORITY else payload))
            if begin is None:
                writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, BAD_REQUEST))
                continue
            writer.write(frame(HEADERS, END_HEADERS, stream, OK))
            await begin(Stream(writer, stream))
