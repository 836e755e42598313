"""Publish requests that are more than one message: arrays, many channels, lines, times of their own, and such as are
repeated with their key."""

import json
import threading

import pytest

from http1 import Connection, get, post, request
from server import DIRECT, Server
from sseclient import EventStream
from wsclient import WebSocket


def send(server, body, headers=None, path="/messages", content_type="application/json"):
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return request(server.port, post(body, headers, path=path, content_type=content_type))


def message(channel, value, **more):
    return {"channel": channel, "message": value, **more}


# --- arrays

def test_an_array_is_published_and_answered_in_order(server):
    with WebSocket(server.port, "many") as ws:
        ws.read_frame()
        answer = send(server, [message("many", 1), message("other", 2), message("many", 3)])
        assert answer.status == 202
        assert answer.body == b'[{"subscribers":1},{"subscribers":0},{"subscribers":1}]'
        assert [ws.message() for _ in range(2)] == [("many", 1), ("many", 3)]


def test_what_is_wrong_with_one_is_said_in_its_place_and_does_not_stop_the_others(server):
    with EventStream(server.port, "mixed") as sse:
        sse.raw()
        answer = send(server, [message("mixed", 1), 7, {"channel": "mixed"}, message("", 1), message("mixed", 2)])
        assert answer.status == 202
        parts = answer.json
        assert [parts[0], parts[4]] == [{"subscribers": 1}] * 2
        assert [p["status"] for p in parts[1:4]] == [400] * 3
        assert "object" in parts[1]["error"] and "'message'" in parts[2]["error"] and "empty" in parts[3]["error"]
        assert [sse.message() for _ in range(2)] == [("mixed", 1), ("mixed", 2)]


@pytest.mark.parametrize("body,word", [("[", "ends too early"), ("[]", "empty"), ('[{"channel":"c","message":1}', "ends"),
                                       ('[{"channel":"c","message":1},]', "not JSON")])
def test_an_array_that_is_none_publishes_nothing(server, body, word):
    with EventStream(server.port, "c") as sse:
        sse.raw()
        answer = send(server, body)
        assert answer.status == 400 and word in answer.error
        server.publish("c", "next")
        assert sse.message() == ("c", "next")


def test_the_number_of_messages_is_limited(server):
    one = '{"channel":"c","message":1}'
    answer = send(server, f"[{','.join([one] * 1000)}]")
    assert answer.status == 202 and len(answer.json) == 1000
    answer = send(server, f"[{','.join([one] * 1001)}]")
    assert answer.status == 413 and "more than 1000" in answer.error


def test_each_message_counts_in_the_metrics(server):
    before = server.metric("pub_messages_total")
    send(server, [message("c", 1), message("c", 2), {}])
    send(server, {"channels": ["a", "b"], "message": 1})
    assert server.metric("pub_messages_total") == before + 4


# --- channels

def test_one_message_goes_to_many_channels(server):
    with WebSocket(server.port, "one,two") as ws, EventStream(server.port, "two") as sse:
        ws.read_frame(), sse.raw()
        answer = send(server, {"channels": ["one", "two", "three", "one"], "message": "x"})
        assert (answer.status, answer.json) == (202, {"subscribers": 3})
        assert [ws.message() for _ in range(2)] == [("one", "x"), ("two", "x")]
        assert sse.message() == ("two", "x")


def test_channels_of_a_message_are_limited(server):
    names = [f"c{i}" for i in range(128)]
    assert send(server, {"channels": names, "message": 1}).status == 202
    answer = send(server, {"channels": names + ["last"], "message": 1})
    assert answer.status == 400 and "'last' is over the 128 allowed" in answer.error


# --- Idempotency-Key

def keyed(server, key, body, **options):
    return send(server, body, headers=[f"Idempotency-Key: {key}"], **options)


def test_a_repeat_with_its_key_is_answered_as_the_first_and_published_once(server):
    with WebSocket(server.port, "once") as ws:
        ws.read_frame()
        first = keyed(server, "k1", message("once", 1))
        assert (first.status, first.json) == (202, {"subscribers": 1})
        ws2 = WebSocket(server.port, "once")
        ws2.read_frame()
        again = keyed(server, "k1", message("once", 1))
        assert (again.status, again.body) == (first.status, first.body)
        keyed(server, "k2", message("once", 2))
        assert [ws.message() for _ in range(2)] == [("once", 1), ("once", 2)]
        assert ws2.message() == ("once", 2)
        ws2.close()


def test_a_key_may_stand_in_the_query_and_the_header_counts_for_more(server):
    path = "/messages?idempotency_key=in%20query"
    assert send(server, message("c", 1), path=path).status == 202
    assert send(server, message("c", 2), path=path).status == 422
    assert keyed(server, "in query", message("c", 2)).status == 422
    assert keyed(server, "in header", message("c", 2), path=path).status == 202
    for bad in ("", "x" * 256, "%00"):
        assert send(server, message("c", 1), path=f"/messages?idempotency_key={bad}").status == 400


def test_the_answer_to_an_array_is_kept_as_a_whole(server):
    body = [message("c", 1), {}, message("c", 2)]
    first = keyed(server, "array", body)
    assert first.json[1]["status"] == 400
    assert keyed(server, "array", body).body == first.body


def test_a_key_that_is_used_for_another_body_is_refused(server):
    assert keyed(server, "other", message("c", 1)).status == 202
    answer = keyed(server, "other", message("c", 2))
    assert (answer.status, answer.reason) == (422, "Unprocessable Content")
    assert "Idempotency-Key" in answer.error


def test_a_key_is_free_again_where_nothing_was_published(server):
    assert keyed(server, "again", {"channel": "c"}).status == 400
    assert keyed(server, "again", message("c", 1)).status == 202


def test_a_key_is_limited(server):
    assert keyed(server, "k" * 255, message("c", 1)).status == 202
    for key in ("k" * 256, "käy"):
        answer = keyed(server, key, message("c", 1))
        assert answer.status == 400 and "Idempotency-Key" in answer.error


def test_a_browser_may_send_a_key(server):
    answer = get(server.port, "/messages", method="OPTIONS",
                 headers=["Origin: http://a", "Access-Control-Request-Method: POST"])
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


# --- lines, that come with a length

def read_body(connection, headers):
    if "content-length" in headers:
        return connection.read_exactly(int(headers["content-length"]))
    body = b""
    while size := int(connection.read_until(b"\r\n"), 16):
        body += connection.read_exactly(size)
        connection.read_exactly(2)
    return body


def test_lines_are_published_and_answered_in_order(server):
    with WebSocket(server.port, "lines") as ws:
        ws.read_frame()
        body = '{"channel":"lines","message":1}\n\r\n{"channel":\n{"channel":"lines","message":2}\r\n'
        with Connection(server.port) as connection:
            connection.send(post(body, content_type="application/x-ndjson"))
            status, _, headers = connection.read_head()
            assert (status, headers["content-type"]) == (202, "application/x-ndjson")
            parts = [json.loads(line) for line in read_body(connection, headers).splitlines()]
        assert [parts[0], parts[2]] == [{"subscribers": 1}] * 2
        assert parts[1]["status"] == 400 and len(parts) == 3
        assert [ws.message() for _ in range(2)] == [("lines", 1), ("lines", 2)]


def test_what_does_not_go_with_lines_is_refused(server):
    for headers, path in ((["Idempotency-Key: k"], "/messages"), ([], "/messages?wait=written")):
        answer = send(server, "{}\n", headers, path=path, content_type="application/x-ndjson")
        assert answer.status == 400 and "application/x-ndjson" in answer.error


# --- ttl

def test_a_message_that_outlived_its_own_time_is_not_replayed():
    with Server(PUSH_HISTORY_SIZE=10) as server:
        server.publish("c", "first")
        start = get(server.port, "/messages?channel=c").json["id"]
        send(server, message("c", "short", ttl=1))
        send(server, message("c", "long", ttl="1h"))
        read = get(server.port, f"/messages?channel=c&since={start}").json
        assert [m["message"] for m in read["messages"]][-1] == "long"
        threading.Event().wait(0.02)
        read = get(server.port, f"/messages?channel=c&since={start}").json
        assert [m["message"] for m in read["messages"]] == ["long"]
        assert read["missed"] == 0


# --- a stream of lines, of any length

class Load(Connection):
    """A bulk load: what is sent, and its answer line by line."""

    def __init__(self, server, length=None, **options):
        super().__init__(server.port, **options)
        self.begun = False
        size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
        self.chunked = length is None
        self.send(f"POST /messages HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n{size}\r\n\r\n")
        self.text = b""

    def lines(self, text):
        text = text.encode()
        self.send(b"%x\r\n%s\r\n" % (len(text), text) if self.chunked else text)

    def end(self):
        self.send("0\r\n\r\n")

    def answer_head(self):
        status, _, headers = self.read_head()
        assert status == 202 and headers["content-type"] == "application/x-ndjson"
        assert headers["transfer-encoding"] == "chunked"
        self.begun = True

    def answer(self):
        """The next line; None at the end."""
        if not self.begun:
            self.answer_head()
        while b"\n" not in self.text:
            size = int(self.read_until(b"\r\n"), 16)
            self.text += self.read_exactly(size)
            self.read_exactly(2)
            if not size:
                return None
        line, self.text = self.text.split(b"\n", 1)
        return json.loads(line)


def one(channel, value):
    return json.dumps(message(channel, value)) + "\n"


direct_only = pytest.mark.skipif(not DIRECT, reason="lws takes bodies of a known size only")


@direct_only
def test_lines_are_published_as_they_come_and_their_answers_stream_back(server):
    with WebSocket(server.port, "stream") as ws, Load(server) as load:
        ws.read_frame()
        for i in range(3):
            load.lines(one("stream", i))
            assert load.answer() == {"subscribers": 1}
            assert ws.message() == ("stream", i)
        load.lines(one("stream", 3)[:-1])
        load.end()
        assert load.answer() == {"subscribers": 1}
        assert load.answer() is None
        assert ws.message() == ("stream", 3)
        # the connection is as good as new
        assert load.send(post(json.dumps(message("stream", 4)))).read_answer().json == {"subscribers": 1}


@direct_only
def test_a_line_may_be_cut_anywhere(server):
    text = one("c", "ünï") + "\r\n" + one("c", 2) + '{"bad\n' + one("c", 3)
    for size in (1, 2, 3, 7, 50):
        with Load(server) as load:
            raw = text.encode()
            for i in range(0, len(raw), size):
                piece = raw[i:i + size]
                load.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            load.end()
            answers = [load.answer() for _ in range(5)]
            assert [a and a.get("status", 202) for a in answers] == [202, 202, 400, 202, None]


@direct_only
def test_a_line_over_the_limit_is_an_error_and_does_not_end_the_stream(server):
    long = one("c", "x" * 65536)
    with Load(server, length=2 * len(one("c", 1)) + 2 * len(long) - 1) as load:
        for text in (one("c", 1), long, one("c", 1), long[:-1]):
            load.lines(text)
        answers = [load.answer() for _ in range(5)]
        assert answers[0] == answers[2] == {"subscribers": 0}
        assert answers[1]["status"] == answers[3]["status"] == 413
        assert "push.message.max.size" in answers[1]["error"] and answers[4] is None


@direct_only
def test_a_stream_may_be_much_longer_than_a_message(server):
    count, part = 20000, 500
    with EventStream(server.port, "bulk") as sse, Load(server, timeout=60) as load:
        sse.raw()
        got = []

        def read_messages():
            for _ in range(count):
                got.append(sse.message()[1])

        reader = threading.Thread(target=read_messages)
        reader.start()
        for start in range(0, count, part):
            load.lines("".join(one("bulk", i) for i in range(start, start + part)))
            for _ in range(part):
                assert load.answer() == {"subscribers": 1}
        load.end()
        assert load.answer() is None
        reader.join(30)
        assert got == list(range(count))


@direct_only
def test_who_does_not_read_the_answers_is_not_read_either(server):
    """Memory stays bounded, and all is well when they are read at last."""
    lines = 2_000_000
    with Load(server, timeout=5) as load:
        load.socket.settimeout(2)
        text = (one("c", 1) * 2000).encode()
        chunk = b"%x\r\n%s\r\n" % (len(text), text)
        sent = 0
        before = server.metric("process_resident_memory_bytes")
        with pytest.raises((TimeoutError, OSError)):
            while sent < lines:
                load.socket.sendall(chunk)
                sent += 2000
        assert server.metric("process_resident_memory_bytes") - before < 16 << 20
        assert get(server.port, "/").status == 200


@direct_only
def test_an_empty_stream_has_an_empty_answer(server):
    for text in ("", "\n\n \r\n"):
        with Load(server) as load:
            if text:
                load.lines(text)
            load.end()
            assert load.answer() is None
    with Load(server, length=0) as load:
        assert load.answer() is None


@direct_only
def test_malformed_chunks_end_the_connection_behind_what_was_answered(server):
    with Load(server) as load:
        load.lines(one("c", 1))
        assert load.answer() == {"subscribers": 0}
        load.send("zz\r\n")
        assert load.is_closed()
    with Load(server) as load:
        answer = load.send("zz\r\n").read_answer()
        assert answer.status == 400 and "chunks" in answer.error


@direct_only
def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(server):
    for _ in range(20):
        load = Load(server)
        load.lines(one("c", 1) + '{"chan')
        load.close()
    server.wait_metric("push_direct_connections", 0)
    assert server.publish("c", 1).status == 202


@pytest.mark.skipif(DIRECT, reason="direct sockets take any")
def test_lws_takes_lines_of_a_known_and_bounded_size_only(server):
    with Load(server) as load:
        assert load.read_answer().status == 411
    answer = send(server, one("c", 1) * 4000, content_type="application/x-ndjson")
    assert answer.status == 413
    answer = send(server, one("c", 1) * 1001, content_type="application/x-ndjson")
    assert answer.status == 413 and "more than 1000" in answer.error


@direct_only
def test_a_stream_that_stalls_is_ended(server):
    with Load(server) as begun, Load(server) as silent:
        begun.lines(one("c", 1) + '{"channel":')
        assert begun.answer() == {"subscribers": 0}
        answer = silent.read_answer()
        assert answer.status == 408 and "in time" in answer.error
        assert begun.is_closed() and b"0\r\n\r\n" not in begun.buffer
