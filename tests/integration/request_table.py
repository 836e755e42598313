"""Requests and their answers as data: front_door/*.txt, and what sends them and checks what comes back.

    = the promise that this row keeps
    >>>
    POST /messages HTTP/1.1
    Host: push.example
    Content-Length: ${size}
                                            an empty line
    {"channel":"${channel}","message":1}\\
    <<< 202
    content-type: application/json
    {"subscribers":1}
    stays

What is sent (>>>): each line ends with CR LF; a backslash at its end takes that away.  \\r, \\n, \\t, \\0, \\xHH and \\\\ are
bytes.  ${channel} is the row's own channel, of 4 letters, ${size} counts what is behind the empty line, ${y*300} is 300 times y, and
${uuids*113} so many UUIDs.  A line `&&&` begins another request in the same segment, for which ${size} counts anew.

What comes back (<<< status, maybe several): `name: value` is a header, `- name` one that may not be there, `~ words` are in
the body, and a line that begins with { or [ is the whole body.

At the end of a row the connection `stays` (one more publish is answered on it), `ends` (with nothing behind the answers),
`ends early` (any of the answers but the first may be missing), `waits` (nothing more comes, for a second) or is a `stream` (the first event comes), a `websocket` (the
first ping comes) or its `refusal` (an error and a Close frame).  As many messages
arrive in the channel as answers were 202, or as a line `published 3` says.

`@lws reason` begins what is expected of lws' sockets instead, plain and TLS, `@lws-tls reason` of those with TLS only, and
`@h2 reason` of HTTP/2 (http2_table.py); what is sent is the same unless it says otherwise.  `whole` in a row: it means
something else when its bytes come one by one.  `missing why`: what is to come is not there yet.
"""

import json
import re
import socket
import uuid
from pathlib import Path

import http2_table
from http1 import Answer, Connection, post
from sseclient import EventStream
from wsclient import WebSocket

FOLDER = Path(__file__).resolve().parent / "front_door"
SLACK_S = 60
ENDS = ("stays", "ends", "ends early", "waits", "stream", "websocket", "refusal")
QUIET_S = 1
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


class Send:
    def __init__(self):
        self.requests = [[]]

    def bytes(self, channel):
        return b"".join(self.request(lines, channel) for lines in self.requests)

    @staticmethod
    def request(lines, channel):
        text = b"".join(line.encode() + b"\r\n" for line in lines)
        text = re.sub(rb"(?<!\\)((?:\\\\)*)\\\r\n", rb"\1", text)
        text = re.sub(rb"\\(x[0-9a-f]{2}|.)", lambda found: bytes([int(found[1][1:], 16)]) if found[1][:1] == b"x"
                      else ESCAPES[found[1]], text)
        text = text.replace(b"${channel}", channel.encode())
        text = re.sub(rb"\$\{uuids\*(\d+)\}", lambda found: ",".join(str(uuid.UUID(int=n)) for n in range(int(found[1]))).encode(),
                      text)
        text = re.sub(rb"\$\{([^{}]+?)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
        return text.replace(b"${size}", b"%d" % len(text.lstrip().partition(b"\r\n\r\n")[2]))


class Expect:
    def __init__(self, status):
        self.status, self.headers, self.absent, self.words, self.body = status, {}, [], [], None

    def add(self, line):
        if line.startswith("~ "):
            self.words.append(line[2:])
        elif line.startswith("- "):
            self.absent.append(line[2:])
        elif line[0] in "{[":
            self.body = line
        else:
            name, colon, value = line.partition(":")
            assert colon, line
            self.headers[name] = value.strip()

    def check(self, answer):
        got = f"{answer.status} {answer.headers} {answer.body[:300]!r}"
        assert answer.status == self.status, got
        for name, value in self.headers.items():
            assert answer.headers.get(name) == value, f"{name}: {got}"
        for name in self.absent:
            assert name not in answer.headers, got
        for words in self.words:
            assert words in answer.text, got
        assert self.body is None or answer.text == self.body, got


class Script:
    """What is sent, what comes back, and how it ends."""

    def __init__(self):
        self.steps, self.end, self.published, self.reason, self.missing = [], None, None, "", None

    def add(self, line):
        last = self.steps[-1] if self.steps else None
        if self.end and not line:
            return
        if line == ">>>":
            self.steps.append(Send())
        elif line == "&&&":
            last.requests.append([])
        elif line.startswith("<<< "):
            self.steps.append(Expect(int(line[4:])))
        elif line in ENDS:
            self.end = line
        elif line.startswith("missing "):
            self.missing = line.split(" ", 1)[1]
        elif line.startswith("published "):
            self.published = int(line.split()[1])
        elif isinstance(last, Send):
            last.requests[-1].append(line)
        elif line:
            last.add(line)

    def sends(self):
        return [step for step in self.steps if isinstance(step, Send)]


class Row:
    def __init__(self, file, name):
        self.file, self.name, self.may_be_cut = file, name, True
        self.scripts = {"direct": Script()}

    def script(self, wire):
        kinds = {"lws-tls": ("lws-tls", "lws", "direct"), "lws": ("lws", "direct"), "h2": ("h2", "direct"),
                 "h2c": ("h2", "direct")}.get(wire, ("direct",))
        return next(self.scripts[kind] for kind in kinds if kind in self.scripts)

    def bytes(self, channel="table"):
        return b"".join(send.bytes(channel) for send in self.scripts["direct"].sends())

    def finish(self):
        for kind, script in self.scripts.items():
            if not script.sends():
                script.steps[:0] = self.scripts["direct"].sends()[:1]
            assert script.end and (kind == "direct" or script.reason), f"{self.file}: {self.name}"


def read(file):
    rows, script = [], None
    for line in (FOLDER / f"{file}.txt").read_text().splitlines():
        if line.startswith("= "):
            rows.append(Row(file, line[2:]))
            script = rows[-1].scripts["direct"]
        elif line.startswith("#") or not rows:
            continue
        elif line == "whole":
            rows[-1].may_be_cut = False
        elif re.match("@(lws|lws-tls|h2) ", line):
            kind, reason = line[1:].split(" ", 1)
            script = rows[-1].scripts[kind] = Script()
            script.reason = reason
        else:
            script.add(line)
    for row in rows:
        row.finish()
    assert len({row.name for row in rows}) == len(rows), file
    return rows


class Pieces(Connection):
    """Sends few bytes at a time."""

    def send(self, data):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = max(1, len(data) // 400)
        for start in range(0, len(data), step):
            super().send(data[start:start + step])
        return self


def read_answer(connection, is_head):
    status, reason, headers = connection.read_head()
    body = b""
    if is_head or status < 200 or status == 204 or headers.get("content-type") == "text/event-stream":
        pass
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(connection.read_until(b"\r\n"), 16):
            body += connection.read_exactly(size + 2)[:-2]
        connection.read_exactly(2)
    elif "content-length" in headers:
        body = connection.read_exactly(int(headers["content-length"]))
    else:
        assert connection.is_closed()
        body, connection.buffer = connection.buffer, b""
    return Answer(status, reason, headers, body)


def send(connection, data):
    try:
        connection.send(data)
    except ConnectionError:
        pass  # refused before it was all sent


def check_end(connection, script, channel):
    if script.end == "stays":
        assert connection.buffer == b"", connection.buffer
        send(connection, post(json.dumps({"channel": channel, "message": "stays"})))
        answer = read_answer(connection, False)
        assert (answer.status, answer.text) == (202, '{"subscribers":1}'), f"afterwards {answer.status} {answer.body!r}"
    elif script.end == "stream":
        connection.read_until(b"event:heartbeat\ndata:{}\n\n")
    elif script.end in ("websocket", "refusal"):
        connection.__class__, connection.answer = WebSocket, True
        first = json.loads(connection.read_frame()[1])
        assert ("error" in first) == (script.end == "refusal"), first
        assert script.end == "websocket" or connection.close_code() == 1008
    elif script.end == "waits":
        connection.socket.settimeout(QUIET_S)
        assert not connection.is_closed() and connection.buffer == b"", f"it does not wait: {connection.buffer!r}"
    else:
        assert connection.is_closed(), "it stays"
        assert connection.buffer == b"", f"behind the answers: {connection.buffer!r}"


def converse(connection, script, channel):
    """Returns how many answers were 202."""
    accepted, heads = 0, []
    for number, step in enumerate(script.steps):
        if isinstance(step, Send):
            data = step.bytes(channel)
            heads += [request.bytes(channel)[:5] == b"HEAD " for request in one_by_one(step)]
            send(connection, data)
            continue
        try:
            answer = read_answer(connection, bool(heads) and heads[0])
        except EOFError:
            if script.end == "ends early" and number > 1 and not connection.buffer:
                break
            raise AssertionError(f"it ended before {step.status}, with {connection.buffer!r}") from None
        except TimeoutError:
            raise AssertionError(f"nothing came instead of {step.status}: {connection.buffer!r}") from None
        if answer.status >= 200:
            heads = heads[1:]
        step.check(answer)
        accepted += answer.status == 202
    check_end(connection, script, channel)
    return accepted


def one_by_one(step):
    for lines in step.requests:
        one = Send()
        one.requests = [lines]
        yield one


def ask(script, channel, kind=Connection, **where):
    with kind(timeout=SLACK_S, **where) as connection:
        return converse(connection, script, channel)


def run(row, wire, server_port, channel, **where):
    """Sends the row over a wire, and raises AssertionError if anything else than it says comes back."""
    script = row.script(wire)
    with EventStream(server_port, channel, timeout=SLACK_S) as events:
        events.raw()
        if "http2" in where:
            accepted = http2_table.ask(where["http2"], script, channel, SLACK_S)
        else:
            accepted = ask(script, channel, **where)
        with Connection(server_port, timeout=SLACK_S) as after:
            assert after.send(post(json.dumps({"channel": channel, "message": "the end"}))).read_answer().status == 202
        got = []
        while (message := events.message()[1]) != "the end":
            got.append(message)
    got = [message for message in got if message != "stays"]
    wanted = accepted if script.published is None else script.published
    assert len(got) == wanted, f"published {got}, answered {accepted} times 202"
