"""An HTTP/2 client that shows every frame and gives no more window than it is told to (RFC 9113, RFC 8441)."""

import socket
import ssl
import struct
import subprocess
import time

import hpack

from wsclient import WebSocket

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
FRAME_BYTES = 16_384  # at most, unless the other side says that it takes more
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW, ENABLE_CONNECT = 3, 4, 8


def make_certificate(folder):
    """A new self-signed certificate for localhost: its path and that of its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def literal(name, value):
    """A header that neither side has to remember, without Huffman coding (RFC 7541, 6.2.2)."""
    name, value = name.encode(), value if isinstance(value, bytes) else value.encode()
    return b"\x00" + string(name) + string(value)


def string(text):
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    rest, size = [], size - 127
    while size >= 128:
        rest.append(size % 128 + 128)
        size //= 128
    return bytes([127, *rest, size]) + text


class H2:
    """One connection.  auto_window: whether what arrives is given back to the sender at once.  No certificate: not over TLS,
    and without being asked whether the server speaks HTTP/2."""

    def __init__(self, port, certificate=None, window=65535, auto_window=True, timeout=15, receive_buffer=None, source=None):
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(timeout)
        if source:
            plain.bind((source, 0))
        plain.connect(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.scheme = plain, "http"
        if certificate:
            context = ssl.create_default_context(cafile=certificate)
            context.set_alpn_protocols(["h2"])
            self.socket, self.scheme = context.wrap_socket(plain, server_hostname="localhost"), "https"
            assert self.socket.selected_alpn_protocol() == "h2"
        self.buffer, self.auto_window, self.next_stream, self.port = b"", auto_window, 1, port
        self.streams, self.settings, self.goaway, self.held = {}, {}, None, None
        self.decoder, self.block = hpack.Decoder(), b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, window))
        while not self.settings:
            self.read_frame()

    def frame(self, kind, flags, stream, payload=b""):
        data = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
        if self.held is None:
            self.socket.sendall(data)
        else:
            self.held.append(data)

    def hold(self):
        """From now on frames are kept; they are returned by the next call of release()."""
        self.held = []

    def release(self):
        held, self.held = self.held, None
        return held

    def give_window(self, stream, size):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def open(self, headers, end=True):
        number, self.next_stream = self.next_stream, self.next_stream + 2
        stream = self.streams[number] = Stream(self, number)
        block = b"".join(literal(name, value) for name, value in headers)
        pieces = [block[start:start + FRAME_BYTES] for start in range(0, len(block), FRAME_BYTES)]
        for at, piece in enumerate(pieces):
            flags = END_HEADERS if at + 1 == len(pieces) else 0
            self.frame(CONTINUATION if at else HEADERS, flags | (END_STREAM if end and not at else 0), number, piece)
        return stream

    def request(self, method, path, headers=(), end=True):
        return self.open([(":method", method), (":scheme", self.scheme), (":authority", f"localhost:{self.port}"),
                          (":path", path), *headers], end)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, body, path="/messages", pieces=1, length=None, kind="application/json", end=True):
        """length: what the request says that it is; False: nothing.  end: whether the last piece ends the stream."""
        length = len(body) if length is None else length
        headers = [("content-type", kind)] + ([("content-length", str(length))] if length is not False else [])
        stream = self.request("POST", path, headers, end=False)
        size = -(-len(body) // pieces) or 1
        for start in range(0, len(body) or 1, size):
            stream.send(body[start:start + size], end=end and start + size >= len(body))
        return stream

    def websocket(self, path):
        return self.open([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", self.scheme),
                          (":authority", f"localhost:{self.port}"), (":path", path), ("sec-websocket-version", "13")],
                         end=False)

    def fill(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the connection has ended")
            self.buffer += data

    def read_frame(self):
        self.fill(9)
        size, kind, flags = int.from_bytes(self.buffer[:3], "big"), self.buffer[3], self.buffer[4]
        number = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        self.fill(9 + size)
        payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
        stream = self.streams.get(number)
        if kind == SETTINGS and not flags & ACK:
            self.settings = {key: value for key, value in struct.iter_unpack(">HI", payload)} or {0: 0}
            self.frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])
        elif kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                headers, self.block = dict(self.decoder.decode(self.block)), b""  # all of them: each may change the table
                if stream:
                    stream.take_headers(headers)
        elif kind == DATA:
            if stream:
                stream.data += payload
            if payload and self.auto_window:
                self.give_window(0, size)
                if not flags & END_STREAM:
                    self.give_window(number, size)
        elif kind == RST_STREAM and stream:
            stream.reset = struct.unpack(">I", payload)[0]
        if stream and (kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM)):
            stream.ended = True

    def is_silent(self, seconds=0.3):
        """Reads whatever there is; whether then nothing comes for so long, and the connection lives."""
        end = time.monotonic() + 20 * seconds
        timeout = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            while time.monotonic() < end:
                self.read_frame()
        except TimeoutError:
            return True
        except (EOFError, OSError):
            pass
        finally:
            self.socket.settimeout(timeout)
        return False

    def fill_until_the_end(self):
        """Until the server closes the connection."""
        try:
            while True:
                self.read_frame()
        except (EOFError, ConnectionError):
            pass

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Stream:
    """One stream of a connection; reading it reads the others, too."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.headers, self.interim, self.data, self.ended, self.reset = None, [], b"", False, None

    def take_headers(self, headers):
        if headers.get(":status", "").startswith("1"):
            self.interim.append(int(headers[":status"]))
        else:
            self.headers = headers | (self.headers or {})  # the second ones are trailers

    def send(self, data, end=False):
        self.connection.frame(DATA, END_STREAM if end else 0, self.number, data)
        return self

    def cancel(self):
        self.connection.frame(RST_STREAM, 0, self.number, struct.pack(">I", 8))

    def wait(self, condition):
        while not condition():
            self.connection.read_frame()
        return self

    @property
    def status(self):
        """Of the answer; 0: the stream was ended without one."""
        self.wait(lambda: self.headers or self.ended)
        return int(self.headers[":status"]) if self.headers else 0

    def whole(self):
        """The body, when all of it is there."""
        return self.wait(lambda: self.ended).data

    def take(self, size):
        self.wait(lambda: len(self.data) >= size or self.ended)
        got, self.data = self.data[:size], self.data[size:]
        return got

    def event(self):
        """The bytes of the next SSE event; None at the end."""
        self.wait(lambda: b"\n\n" in self.data or self.ended)
        if b"\n\n" not in self.data:
            return None
        event, self.data = self.data.split(b"\n\n", 1)
        return event + b"\n\n"

    def frame(self):
        """(opcode, payload) of the next whole WebSocket message or control frame; None at the end."""
        opcode, payload, final = None, b"", False
        while not final:
            head = self.take(2)
            if len(head) < 2:
                return None
            final, code = bool(head[0] & 0x80), head[0] & 0x0F
            opcode = code or opcode
            size = head[1]
            if size == 126:
                size = int.from_bytes(self.take(2), "big")
            elif size == 127:
                size = int.from_bytes(self.take(8), "big")
            payload += self.take(size)
        return opcode, payload


class OnStream:
    """A client of http1.Connection's kind whose bytes are those of a stream, on a connection of its own."""

    def connect(self, port, certificate, **options):
        self.h2, self.buffer, self.chunks = H2(port, certificate, **options), b"", None
        self.socket = self.h2.socket

    def head(self, stream):
        self.stream = stream
        self.status, self.headers = stream.status, stream.headers

    def send(self, data):
        if not self.stream.ended:
            self.stream.send(data if isinstance(data, bytes) else data.encode())
        return self

    def fill(self):
        while not self.stream.data and not self.stream.ended:
            try:
                self.h2.read_frame()
            except (EOFError, ConnectionError):
                return False
        data, self.stream.data = self.stream.data, b""
        self.buffer += data
        return bool(data)


class WebSocketStream(OnStream, WebSocket):
    """A WebSocket by RFC 8441."""

    def __init__(self, port, channels, certificate=None, answer=True, **options):
        self.connect(port, certificate, **options)
        self.answer = answer
        self.head(self.h2.websocket(f"/ws/messages?channels={channels}"))
