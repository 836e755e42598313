"""The rows of request_table.py over HTTP/2: of each that can be said in it, the same requests and the same answers.

What HTTP/2 has no words for stays with HTTP/1: its versions, lines, chunks and codings, what Connection says, pipelines that
end in the middle, and lengths that are not the body's (which h2spec sends).  A WebSocket's upgrade is an extended CONNECT
(RFC 8441).  Requests of one segment are streams that are opened at once.

A connection carries row after row, of each thread its own: `ends` is the end of the stream only, and one more publish is
accepted on the connection.  Where that is expected of HTTP/2 alone (`@h2 reason`), the connection ends, and `<<< 0` is a
stream that is ended without an answer (RST_STREAM).
"""

import json
import re
import threading

from h2client import FRAME_BYTES, H2
from http1 import Answer
from wsclient import CLOSE, TEXT

SAYABLE = re.compile(rb"([!-~]+) (/[!-~]*|\*) HTTP/1\.1\Z")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\Z")
# RFC 9113, 8.2.2: of the connection, which HTTP/2 has frames for
OF_THE_CONNECTION = {"connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "http2-settings", "te"}
OF_THE_UPGRADE = {"connection", "upgrade", "sec-websocket-key", "sec-websocket-accept"}
UPGRADE = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}


class Request:
    """Of the bytes of a request: what is said of it in HTTP/2; not `is_sayable` if that cannot be."""

    def __init__(self, data):
        head, blank, self.body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        line, fields = SAYABLE.match(lines[0]), [FIELD.match(line) for line in lines[1:]]
        self.is_sayable = bool(blank and line and all(fields))
        if self.is_sayable:
            self.method, self.target = line[1].decode(), line[2].decode()
            self.fields = [(field[1].decode().lower(), field[2]) for field in fields]
            self._understand()

    def _understand(self):
        values = {name: value.decode("latin-1") for name, value in self.fields}
        names = [name for name, _ in self.fields]
        self.is_upgrade = UPGRADE.items() <= values.items() and self.method == "GET"
        self.length = values.get("content-length")
        self.authority = values.get("host")
        self.is_sayable = (self.method != "CONNECT" and names.count("host") == 1 and names.count("content-length") < 2
                           and (self.is_upgrade or not OF_THE_CONNECTION & set(names))
                           and bool(re.fullmatch(r"\d{1,18}", self.length or "0"))
                           and len(self.body) <= int(self.length or "0"))

    def open(self, h2):
        head = [(":method", "CONNECT" if self.is_upgrade else self.method), (":scheme", h2.scheme),
                (":authority", self.authority), (":path", self.target)]
        if self.is_upgrade:
            head.append((":protocol", "websocket"))
        left = OF_THE_UPGRADE if self.is_upgrade else ()
        head += [(name, value) for name, value in self.fields if name != "host" and name not in left]
        has_body = self.is_upgrade or int(self.length or "0") > 0
        stream = h2.open(head, end=not has_body)
        stream.missing = int(self.length or "0")
        if self.body:
            send_body(stream, self.body)
        return stream


def send_body(stream, data):
    stream.missing -= len(data)
    for start in range(0, len(data), FRAME_BYTES):
        stream.send(data[start:start + FRAME_BYTES], end=start + FRAME_BYTES >= len(data) and not stream.missing)


def requests_of(send, channel):
    return [Request(send.request(lines, channel)) for lines in send.requests]


def is_body(steps, number):
    """Whether what is sent there is a body only, which had to wait for a 100."""
    return number > 0 and getattr(steps[number - 1], "status", None) == 100


def can_say(row):
    """Whether the row's requests can be said in HTTP/2."""
    script = row.scripts["direct"]
    requests = [lines for step in script.sends() if not is_body(script.steps, script.steps.index(step)) for lines in step.requests]
    answers = [step for step in script.steps if getattr(step, "status", 100) != 100]
    return script.end != "waits" and len(requests) == len(answers) and all(
        is_body(script.steps, number) or all(request.is_sayable for request in requests_of(step, "table"))
        for number, step in enumerate(script.steps) if step in script.sends())


class Connections:
    """A connection of each thread, which is opened when it is needed."""

    def __init__(self, port, certificate=None):
        self.port, self.certificate, self.kept, self.all = port, certificate, threading.local(), []

    def get(self, timeout):
        if not getattr(self.kept, "connection", None):
            self.kept.connection = H2(self.port, self.certificate, timeout=timeout)
            self.all.append(self.kept.connection)
        return self.kept.connection

    def drop(self):
        self.kept.connection = None

    def close(self):
        for connection in self.all:
            connection.close()


def read_answer(stream, is_open):
    """is_open: the answer is a stream, of which the head is read."""
    status, headers = stream.status, stream.headers or {}
    assert not OF_THE_CONNECTION & set(headers), headers
    assert all(name == name.lower() for name in headers), headers
    body = b"" if is_open or headers.get("content-type") == "text/event-stream" else stream.whole()
    assert is_open or "content-length" not in headers or len(body) in (0, int(headers["content-length"])), headers
    return Answer(status, "", {name: value for name, value in headers.items() if name[0] != ":"}, body)


def adapt(expect, stream):
    """What is expected of a stream: of the headers those that are not of the connection."""
    adapted = type(expect)(200 if expect.status == 101 else expect.status)
    adapted.headers = {name: value for name, value in expect.headers.items() if name not in OF_THE_CONNECTION | OF_THE_UPGRADE}
    adapted.absent, adapted.words, adapted.body = expect.absent, expect.words, expect.body
    return adapted


def check_stream(stream, end):
    if end == "stream":
        assert stream.event() == b"event:heartbeat\ndata:{}\n\n"
    else:
        opcode, payload = stream.frame()
        assert opcode == TEXT and ("error" in json.loads(payload)) == (end == "refusal"), payload
        assert end == "websocket" or (stream.frame() or [None])[0] == CLOSE
    stream.cancel()


def check_end(h2, streams, script, channel):
    if script.end in ("stream", "websocket", "refusal"):
        check_stream(streams[-1], script.end)
    if script.reason and script.end.startswith("ends"):
        h2.fill_until_the_end()
        return
    answer = h2.post(json.dumps({"channel": channel, "message": "stays"}).encode())
    assert (answer.status, answer.whole()) == (202, b'{"subscribers":1}'), f"afterwards {answer.status} {answer.data!r}"
    assert all(stream.ended for stream in streams) or script.end in ("stream", "websocket", "refusal"), "a stream is left open"


def converse(h2, script, channel):
    """Returns how many answers were 202."""
    accepted, streams, waiting, sends = 0, [], [], script.sends()
    for number, step in enumerate(script.steps):
        if step in sends and is_body(script.steps, number):
            send_body(waiting[0], step.bytes(channel))
        elif step in sends:
            waiting += [request.open(h2) for request in requests_of(step, channel)]
            streams += waiting
        elif step.status == 100:
            waiting[0].wait(lambda: waiting[0].interim or waiting[0].headers)
            assert waiting[0].interim == [step.status], (waiting[0].interim, waiting[0].headers)
        else:
            stream = waiting.pop(0)
            answer = read_answer(stream, is_open=not waiting and script.end in ("stream", "websocket", "refusal"))
            adapt(step, stream).check(answer)
            accepted += answer.status == 202
    check_end(h2, streams, script, channel)
    return accepted


def ask(connections, script, channel, timeout):
    """As request_table's converse(), on a connection that is left for the next row if nothing went wrong."""
    h2 = connections.get(timeout)
    try:
        accepted = converse(h2, script, channel)
    except EOFError:
        connections.drop()
        raise AssertionError(f"the connection ended: GOAWAY {h2.goaway}") from None
    except Exception:
        connections.drop()
        raise
    if script.reason and script.end.startswith("ends"):
        connections.drop()
    return accepted
