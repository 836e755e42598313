"""HTTP/1.1 over a plain socket: exact bytes out, parsed answers in."""

import json as _json
import socket


class Answer:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return _json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Chunks:
    """The body of a chunked answer (RFC 9112, 7.1), however its bytes are cut."""

    def __init__(self):
        self.raw, self.contents, self.is_whole = b"", [], False

    def take(self, data):
        """The contents of the chunks that have come whole with these bytes."""
        self.raw += data
        contents = b""
        while b"\r\n" in self.raw:
            assert not self.is_whole, f"behind the last chunk: {self.raw!r}"
            line, rest = self.raw.split(b"\r\n", 1)
            size = int(line, 16)
            assert line == b"%x" % size, line
            if len(rest) < size + 2:
                break
            assert rest[size:size + 2] == b"\r\n", rest[:size + 2]
            self.raw, self.is_whole = rest[size + 2:], not size
            if size:
                self.contents.append(rest[:size])
            contents += rest[:size]
        return contents


class Connection:
    def __init__(self, port, host="127.0.0.1", timeout=15, wrap=None, source=None, first=b""):
        """source: the address to come from, such as 127.0.0.2.  first: bytes in front of everything."""
        self.socket = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self.socket.sendall(first)
        if wrap:
            self.socket = wrap(self.socket)
        self.buffer, self.chunks = b"", None

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def fill(self):
        """Reads more; False at the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += self.chunks.take(data) if self.chunks else data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f"closed before {mark!r}: {self.buffer!r}")
        head, self.buffer = self.buffer.split(mark, 1)
        return head + mark

    def read_exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise EOFError(f"closed, {size} bytes wanted: {self.buffer!r}")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_head(self):
        lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        _, status, reason = (lines[0].split(" ", 2) + [""])[:3]
        headers = {}
        for line in lines[1:]:
            if line:
                name, value = line.split(":", 1)
                headers[name.strip().lower()] = value.strip()
        return int(status), reason, headers

    def read_stream_head(self):
        """Of an answer whose body is then read without its chunks."""
        status, reason, headers = self.read_head()
        if headers.get("transfer-encoding") == "chunked":
            self.chunks = Chunks()
            self.buffer = self.chunks.take(self.buffer)
        return status, reason, headers

    def read_answer(self):
        status, reason, headers = self.read_head()
        return Answer(status, reason, headers, self.read_exactly(int(headers.get("content-length", 0))))

    def is_closed(self):
        """Waits for the end, whatever comes before it."""
        try:
            while self.fill():
                pass
            return True
        except (TimeoutError, socket.timeout):
            return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def post(body, headers=None, path="/messages", content_type="application/json", length=None):
    """The bytes of a publish request."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {path} HTTP/1.1", "Host: test"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += headers or []
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def request(port, data, **options):
    with Connection(port, **options) as connection:
        return connection.send(data).read_answer()


def get(port, path, method="GET", headers=(), **options):
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    return request(port, "\r\n".join(lines) + "\r\n\r\n", **options)


def publish(port, channel, message, ttl=None, **options):
    more = {} if ttl is None else {"ttl": ttl}
    return request(port, post(_json.dumps({"channel": channel, "message": message, **more})), **options)
