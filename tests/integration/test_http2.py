"""HTTP/2 over TLS, frame by frame: many streams of one connection, each with its own pace, flow control and end."""

import json
import os
import random
import signal
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

from h2client import (END_HEADERS, ENABLE_CONNECT, H2, HEADERS, MAX_CONCURRENT_STREAMS, PING as PING_FRAME, Stream,
                      literal, make_certificate)
from http1 import get
from ports import free_port
from server import DIRECT, Server
from sseclient import HEARTBEAT, RECONNECT
from tokens import Key, write_jwks
from wsclient import CLOSE, PING, PING_TEXT, PONG, TEXT, frame

VHOST = """
{ "vhosts": [{
  "name": "tls", "port": "%d", "host-ssl-cert": "%s", "host-ssl-key": "%s", "alpn": "h2,http/1.1",
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/auth/tickets", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "%s": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}] }
"""
BODY = b'{"channel":"h2","message":"x"}'
# what libwebsockets cannot do, where it serves HTTP/2 (push.direct=off)
of_lws = pytest.mark.skipif(DIRECT, reason="Push's own sockets can")
of_lws_alone = pytest.mark.skipif(DIRECT, reason="over Push's own sockets the front door's table asks it")
of_direct = pytest.mark.skipif(not DIRECT, reason="lws cannot")
PONG_TEXT = '{"event":"pong","data":{}}'
RECONNECT_TEXT = '{"event":"reconnect","data":{}}'


def start(folder, option="push.broker.vhost", **env):
    certificate, key = make_certificate(folder)
    port = free_port()
    running = Server(conf_d={"30-tls": VHOST % (port, certificate, key, option)}, **env)
    running.connect = lambda **options: H2(port, certificate, **options)
    running.tls_port, running.context = port, ssl.create_default_context(cafile=certificate)
    return running


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    with start(tmp_path_factory.mktemp("tls"), PUSH_CLIENT_QUEUE_MAX_SIZE="200kb") as running:
        yield running


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    with start(tmp_path_factory.mktemp("tls"), option="push-broker-vhost", PUSH_RECONNECT_DITHER_MIN_DURATION="2s",
               PUSH_RECONNECT_DITHER_MAX_DURATION="2500ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="700ms",
               PUSH_HEARTBEAT_INTERVAL_DURATION="300ms") as running:
        yield running


def subscribed(stream):
    assert stream.status == 200
    assert stream.event() == HEARTBEAT
    return stream


def message(stream):
    event = stream.event()
    while event == HEARTBEAT:
        event = stream.event()
    assert event and event.startswith(b"event:message\ndata:"), event
    return json.loads(event.split(b"data:", 1)[1].split(b"\n", 1)[0])["message"]


def opened(stream):
    assert stream.status == 200
    assert stream.frame() == (TEXT, PING_TEXT.encode())
    return stream


def next_frame(stream):
    """The next frame that is no heartbeat."""
    got = stream.frame()
    while got and (got[0] == PING or got == (TEXT, PING_TEXT.encode())):
        got = stream.frame()
    return got


def is_close(got, code):
    return got and (got[0], got[1][:2]) == (CLOSE, struct.pack(">H", code))


def test_the_heads_are_those_of_http_1(tls):
    with tls.connect() as h2:
        stream = subscribed(h2.get("/sse/messages?channels=a"))
        assert stream.headers["content-type"] == "text/event-stream"
        assert "no-cache" in stream.headers["cache-control"]
        assert stream.headers["x-accel-buffering"] == "no"
        assert "connection" not in stream.headers and "transfer-encoding" not in stream.headers
        answer = h2.post(BODY)
        assert answer.status == 202 and answer.headers["content-type"] == "application/json"
        assert answer.whole() == b'{"subscribers":0}'


def test_one_connection_carries_many_streams_and_publishes(tls):
    with tls.connect() as h2:
        streams = [subscribed(h2.get(f"/sse/messages?channels=h2,own{n}")) for n in range(10)]
        for n in range(50):
            assert h2.post(b'{"channel":"h2","message":%d}' % n).whole() == b'{"subscribers":10}'
        for stream in streams:
            assert [message(stream) for _ in range(50)] == list(range(50))
        for n, stream in enumerate(streams):
            assert h2.post(b'{"channel":"own%d","message":"mine"}' % n).whole() == b'{"subscribers":1}'
            assert message(stream) == "mine"


@pytest.mark.parametrize("pieces", [1, 2, 7, len(BODY)])
def test_a_body_may_come_in_any_pieces(tls, pieces):
    with tls.connect() as h2:
        answer = h2.post(BODY, pieces=pieces)
        assert answer.status == 202
        assert answer.whole() == b'{"subscribers":0}'


# frames 0 (the head) to 4, by the write in which they go out
@pytest.mark.parametrize("writes", ["01234", "0 1 2 3 4", "01 234", "0 1234", "012 3 4", "0123 4", "01 2 3 4"])
def test_the_frames_of_a_publish_may_come_in_any_segments(tls, writes):
    with tls.connect() as h2:
        h2.hold()
        answer = h2.post(BODY, pieces=4)
        frames = h2.release()
        for group in writes.split():
            h2.socket.sendall(b"".join(frames[int(n)] for n in group))
            tls.publish("other", 1)
        assert answer.status == 202
        assert answer.whole() == b'{"subscribers":0}'


@pytest.mark.parametrize("body", [BODY, b""], ids=["body", "empty"])
def test_a_stream_may_be_ended_by_an_empty_frame(tls, body):
    with tls.connect() as h2:
        for _ in range(3):
            h2.hold()
            stream = h2.post(body, end=False).send(b"", end=True)
            h2.socket.sendall(b"".join(h2.release()))
            assert stream.status == (202 if body else 400)
        assert h2.post(BODY).status == 202


def test_all_the_streams_that_are_allowed_may_publish_at_once(tls):
    with tls.connect() as h2:
        allowed, streams = h2.settings[MAX_CONCURRENT_STREAMS], []
        for n in range((3 if DIRECT else 20) * allowed):
            streams.append(h2.post(BODY))
            while sum(not stream.ended for stream in streams) >= allowed:
                h2.read_frame()
        assert all(stream.status == 202 for stream in streams)


def test_a_hundred_event_streams_share_a_connection_from_the_first_burst_on(tmp_path):
    """As many as a browser with many tabs opens, which share it; and the log has nothing of them but at level debug."""
    with start(tmp_path, PUSH_LOG_LEVEL="debug") as server, server.connect() as h2:
        h2.hold()
        streams = [h2.get("/sse/messages?channels=tabs") for _ in range(100)]
        h2.socket.sendall(b"".join(h2.release()))
        assert {stream.status for stream in streams} == {200}
        assert {stream.event() for stream in streams} == {HEARTBEAT}
        assert server.publish("tabs", 1).json == {"subscribers": 100}
        assert {stream.event() for stream in streams} == {b'event:message\ndata:{"channel":"tabs","message":1}\n\n'}
        assert not [line for line in server.process.lines if "] E: " in line or "] W: " in line]


@of_lws
@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_body_without_its_length_is_411_and_stops_nobody(tls, pieces, together):
    with tls.connect() as h2:
        h2.hold()
        stream = h2.post(BODY, pieces=pieces, length=False)
        frames = h2.release()
        if together:  # then lws 4.3 loops over the body, unless the connection is ended
            h2.socket.sendall(b"".join(frames))
            assert stream.status == 411
        else:
            h2.socket.sendall(frames[0])
            assert stream.status == 411
            h2.socket.sendall(b"".join(frames[1:]))
            assert h2.post(BODY).status == 202
    assert get(tls.port, "/sse/messages", timeout=3).status == 400
    assert tls.publish("other", 1).status == 202


@of_lws_alone
def test_errors_are_those_of_http_1_and_leave_the_connection_usable(tls):
    with tls.connect() as h2:
        sse = subscribed(h2.get("/sse/messages?channels=h2"))
        for stream, status in (
                (h2.post(b"nope"), 400), (h2.post(b""), 400), (h2.post(BODY, kind="text/plain"), 415),
                (h2.post(b"{}"), 400), (h2.get("/messages"), 405), (h2.get("/sse/messages"), 400),
                (h2.get("/sse/messages?channels=,"), 400), (h2.request("POST", "/messages"), 415 if DIRECT else 411),
                (h2.request("DELETE", "/messages"), 405), (h2.post(BODY, path="/messages/sub"), 404),
                (h2.request("POST", "/sse/messages?channels=a"), 405)):
            assert stream.status == status
            assert list(json.loads(stream.whole())) == ["error"]
        assert h2.request("OPTIONS", "/messages").status == 204
        assert h2.post(BODY).status == 202
        assert message(sse) == "x"


@of_lws_alone
def test_a_body_over_the_limit_is_413_and_the_others_live_on(tls):
    with tls.connect() as h2:
        sse = subscribed(h2.get("/sse/messages?channels=h2"))
        for _ in range(2):
            stream = h2.post(b"x" * 65_537, pieces=5)
            assert stream.status == 413
        assert h2.post(BODY).status == 202
        assert message(sse) == "x"


def test_a_body_of_another_length_than_announced_publishes_nothing(tls):
    with tls.connect() as watching, tls.connect() as h2:
        sse = subscribed(watching.get("/sse/messages?channels=h2"))
        for length in (len(BODY) - 1, len(BODY) + 1):
            stream = h2.post(BODY, length=length)
            try:
                stream.wait(lambda: stream.headers or stream.ended or h2.goaway)
                assert not stream.headers or int(stream.headers[":status"]) >= 400
            except EOFError:
                pass
            h2.close()
            h2 = tls.connect()
        assert tls.publish("h2", "end").status == 202
        assert message(sse) == "end"


def test_a_cancelled_stream_disturbs_no_other(tls):
    with tls.connect() as h2:
        streams = [subscribed(h2.get("/sse/messages?channels=cancel")) for _ in range(3)]
        streams[1].cancel()
        for n in range(3):
            assert tls.publish("cancel", n).status == 202
            assert message(streams[0]) == message(streams[2]) == n


@of_lws
@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_a_cancelled_stream_is_forgotten_at_the_end_of_its_lifetime(mortal, kind):
    # lws 4.3 tells no one of RST_STREAM, and shows nothing by which it could be seen: until then the stream is
    # counted as a subscriber, and takes one of its connection's 24 places
    with mortal.connect() as h2:
        if kind == "ws":
            opened(h2.websocket("/ws/messages?channels=cancel")).cancel()
        else:
            subscribed(h2.get("/sse/messages?channels=cancel")).cancel()
        assert mortal.publish("cancel", 1).json == {"subscribers": 1}
        mortal.wait_metric("push_subscriptions", 0)
        mortal.wait_metric(f"{kind}_connections_count", 0)
        assert h2.post(BODY).whole() == b'{"subscribers":0}'


@of_direct
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_body_is_as_long_as_its_frames(tls, pieces):
    with tls.connect() as h2:
        assert h2.post(BODY, pieces=pieces, length=False).status == 202


@of_direct
@pytest.mark.parametrize("kind", ["sse", "ws"])
def test_a_cancelled_stream_is_forgotten_at_once(tls, kind):
    with tls.connect() as h2:
        if kind == "ws":
            opened(h2.websocket("/ws/messages?channels=cancel")).cancel()
        else:
            subscribed(h2.get("/sse/messages?channels=cancel")).cancel()
        assert h2.post(b'{"channel":"cancel","message":1}').whole() == b'{"subscribers":0}'


def test_a_connection_that_ends_takes_its_streams_with_it(tls):
    with tls.connect() as h2:
        for _ in range(5):
            subscribed(h2.get("/sse/messages?channels=gone"))
        assert tls.publish("gone", 1).json == {"subscribers": 5}
    tls.wait_metric("push_subscriptions", 0)
    assert tls.publish("gone", 1).json == {"subscribers": 0}


def test_a_stream_without_window_is_cut_off_at_its_limit_and_holds_up_no_other(tls):
    with tls.connect(window=1000, auto_window=False) as h2:
        h2.give_window(0, 50_000_000)
        stuck = h2.get("/sse/messages?channels=stuck")
        good = h2.get("/sse/messages?channels=stuck")
        h2.give_window(good.number, 50_000_000)
        subscribed(stuck), subscribed(good)
        for n in range(60):
            assert tls.publish("stuck", [n, "w" * 9000]).status == 202
            assert message(good)[0] == n
        tls.wait_metric('push_disconnects_total{transport="sse",reason="slow"}', 1)
        assert tls.publish("stuck", "end").json == {"subscribers": 1}
        assert message(good) == "end"
        stuck.wait(lambda: stuck.ended)


def cpu_seconds(server):
    fields = Path(f"/proc/{server.worker()}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_large_message_crosses_a_small_window_piece_by_piece(tls):
    with tls.connect(window=100) as h2:
        sse = subscribed(h2.get("/sse/messages?channels=small"))
        for n in range(3):
            assert tls.publish("small", [n, "s" * 20_000]).json == {"subscribers": 1}
            assert message(sse) == [n, "s" * 20_000]


def test_a_websocket_stream_keeps_to_the_window_of_its_connection(tls):
    # not to its own, which lws 4.3 does not tell once the stream is a WebSocket
    with tls.connect(window=10_000_000, auto_window=False) as h2:
        ws = opened(h2.websocket("/ws/messages?channels=small"))
        for n in range(5):
            assert tls.publish("small", [n, "s" * 30_000]).json == {"subscribers": 1}
        ws.wait(lambda: len(ws.data) > 64_000)
        assert h2.is_silent() and len(ws.data) < 65_536
        h2.give_window(0, 1_000_000)
        assert [json.loads(next_frame(ws)[1])["data"]["message"][0] for _ in range(5)] == list(range(5))


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_waiting_for_a_window_costs_nothing(tls, kind):
    with tls.connect(window=10_000_000 if kind == "ws" else 100, auto_window=False) as h2:
        path = f"/{kind}/messages?channels=idle"
        stream = h2.websocket(path) if kind == "ws" else h2.get(path)
        assert stream.status == 200
        for _ in range(5):
            assert tls.publish("idle", "i" * 30_000).json == {"subscribers": 1}
        before = cpu_seconds(tls)
        assert h2.is_silent(1)
        assert cpu_seconds(tls) - before < 0.3


def test_websockets_are_offered_over_http_2(tls):
    with tls.connect() as h2:
        assert h2.settings.get(ENABLE_CONNECT) == 1


def test_a_websocket_stream_speaks_as_over_http_1(tls):
    with tls.connect() as h2:
        ws, sse = opened(h2.websocket("/ws/messages?channels=w")), subscribed(h2.get("/sse/messages?channels=w"))
        ws.send(frame(TEXT, '{"event":"ping"}'))
        assert next_frame(ws) == (TEXT, PONG_TEXT.encode())
        ws.send(frame(PING, "p"))
        assert next_frame(ws) == (PONG, b"p")
        for n in range(20):
            assert h2.post(b'{"channel":"w","message":%d}' % n).whole() == b'{"subscribers":2}'
        assert [json.loads(next_frame(ws)[1])["data"]["message"] for _ in range(20)] == list(range(20))
        assert [message(sse) for _ in range(20)] == list(range(20))


def test_a_websocket_stream_without_channels_is_told_and_closed_with_1008(tls):
    with tls.connect() as h2:
        ws = h2.websocket("/ws/messages")
        assert ws.status == 200
        assert ws.frame() == (TEXT, b'{"error":"\'channels\' query parameter required"}')
        assert is_close(ws.frame(), 1008)


@pytest.mark.parametrize("bad,code", [(frame(TEXT, "junk"), 1007), (frame(2, "x"), 1003),
                                      (frame(TEXT, "x" * 5000), 1009)], ids=["not JSON", "binary", "too large"])
def test_a_websocket_stream_that_misbehaves_is_closed_and_the_others_live_on(tls, bad, code):
    with tls.connect() as h2:
        sse, ws = subscribed(h2.get("/sse/messages?channels=h2")), opened(h2.websocket("/ws/messages?channels=h2"))
        ws.send(bad)
        got = next_frame(ws)
        if got[0] == TEXT:
            assert b"error" in got[1]
            got = next_frame(ws)
        assert is_close(got, code)
        ws.send(frame(CLOSE, got[1][:2]))
        tls.wait_metric("push_subscriptions", 1)
        assert h2.post(BODY).whole() == b'{"subscribers":1}'
        assert message(sse) == "x"


def test_a_websocket_stream_that_closes_is_answered_and_forgotten(tls):
    with tls.connect() as h2:
        ws = opened(h2.websocket("/ws/messages?channels=bye"))
        ws.send(frame(CLOSE, b"\x03\xe8"))
        assert next_frame(ws) == (CLOSE, b"\x03\xe8")
        tls.wait_metric("push_subscriptions", 0)
        assert h2.post(BODY).status == 202


@of_lws_alone
@pytest.mark.parametrize("path", ["/messages", "/sse/messages?channels=a", "/ws/messages/x?channels=a", "/other"],
                         ids=["messages", "sse", "below", "other"])
def test_a_websocket_stream_elsewhere_is_refused(tls, path):
    with tls.connect() as h2:
        stream = h2.websocket(path)
        try:
            stream.wait(lambda: stream.headers or stream.ended)
            assert not stream.headers or int(stream.headers[":status"]) >= 400
        except EOFError:
            pass
    with tls.connect() as h2:
        assert h2.post(BODY).status == 202


def test_streams_are_asked_to_reconnect_and_end_and_the_connection_stays(mortal):
    with mortal.connect() as h2:
        sse, ws = subscribed(h2.get("/sse/messages?channels=a")), opened(h2.websocket("/ws/messages?channels=a"))
        got, texts = ws.frame(), []
        while got and got[0] != CLOSE:
            if got[0] == PING:
                ws.send(frame(PONG, got[1]))
            else:
                texts.append(got[1].decode())
            got = ws.frame()
        assert is_close(got, 1001)
        ws.send(frame(CLOSE, got[1]))
        assert texts.count(RECONNECT_TEXT) == 1 and set(texts) == {PING_TEXT, RECONNECT_TEXT}
        events = list(iter(sse.event, None))
        assert events.count(RECONNECT) == 1 and set(events) == {HEARTBEAT, RECONNECT}
        assert h2.post(BODY).whole() == b'{"subscribers":0}'


def test_a_websocket_stream_that_answers_lives_and_a_silent_one_is_closed(mortal):
    with mortal.connect() as h2:
        silent, lively = (opened(h2.websocket("/ws/messages?channels=a")) for _ in range(2))
        got = silent.frame()
        while got and got[0] != CLOSE:
            lively.send(frame(TEXT, '{"event":"pong"}'))
            got = silent.frame()
        assert is_close(got, 1001)
        lively.send(frame(TEXT, '{"event":"ping"}'))
        got = next_frame(lively)
        while got == (TEXT, RECONNECT_TEXT.encode()):
            got = next_frame(lively)
        assert got == (TEXT, PONG_TEXT.encode())


def test_junk_ends_only_its_own_connection(tls):
    with tls.connect() as good:
        sse = subscribed(good.get("/sse/messages?channels=h2"))
        for junk in (b"\xff" * 1000, b"\x00\x00\x00\x01\x05\x00\x00\x00\x01",
                     b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100, b"GET / HTTP/1.1\r\n\r\n"):
            with tls.connect() as bad:
                stream = bad.streams[1] = Stream(bad, 1)
                bad.socket.sendall(junk)
                try:
                    while not bad.goaway and not stream.ended:
                        bad.read_frame()
                except (EOFError, OSError, AssertionError):
                    pass
            assert good.post(BODY).whole() == b'{"subscribers":1}'
            assert message(sse) == "x"


@of_lws
def test_a_head_over_the_limit_is_refused(tls):
    with tls.connect() as h2:
        block = literal(":method", "GET") + literal(":scheme", "https") + literal(":authority", "x")
        block += literal(":path", "/sse/messages?channels=a") + literal("x-long", "y" * 10_000)
        stream = h2.get("/sse/messages?channels=a")
        h2.frame(HEADERS, END_HEADERS | 1, h2.next_stream, block)
        try:
            while not h2.goaway and not stream.ended and not h2.streams.get(h2.next_stream):
                h2.socket.settimeout(3)
                h2.read_frame()
        except (EOFError, OSError):
            pass
    with tls.connect() as h2:
        assert h2.post(BODY).status == 202


def test_the_broker_is_the_one_of_the_plain_port(tls):
    with tls.connect() as h2:
        sse = subscribed(h2.get("/sse/messages?channels=shared"))
        assert tls.publish("shared", {"a": [1]}).json == {"subscribers": 1}
        assert message(sse) == {"a": [1]}
        assert tls.metric("sse_connections_count") >= 1


class Mix:
    """A few streams and publishes whose frames are cut into writes at random."""

    def __init__(self, h2, rng):
        self.h2, self.rng = h2, rng
        self.streams, self.sockets, self.posts, self.ends_early = [], [], [], False
        self.window = 65_535  # of the connection: what may come before the server gives more (RFC 9113, 6.9.2)

    def add(self):
        kind = self.rng.choice(["sse", "ws", "post", "post", "no length"])
        if kind == "sse":
            self.streams.append(self.h2.get("/sse/messages?channels=h2"))
        elif kind == "ws":
            self.sockets.append(self.h2.websocket("/ws/messages?channels=h2"))
        else:
            body = b'{"channel":"h2","message":"%s"}' % (b"x" * self.rng.choice([1, 1, 300, 9000, 20_000, 60_000]))
            if len(body) > self.window:
                body = BODY
            self.window -= len(body)
            pieces = max(self.rng.choice([1, 1, 2, 5]), -(-len(body) // 16_000))
            length = False if kind == "no length" else None
            self.ends_early = self.ends_early or length is False
            self.posts.append(self.h2.post(body, pieces=pieces, length=length))

    def cut(self, data):
        cuts = sorted(self.rng.randrange(1, len(data)) for _ in range(self.rng.randrange(4)))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]

    def run(self, pause):
        self.h2.hold()
        for _ in range(self.rng.randrange(1, 7)):
            self.add()
        for data in self.cut(b"".join(self.h2.release())):
            self.h2.socket.sendall(data)
            if self.rng.random() < 0.5:
                pause()
        self.misbehave()
        if not self.ends_early:
            assert [stream.status for stream in self.streams + self.sockets + self.posts] == (
                [200] * len(self.streams + self.sockets) + [202] * len(self.posts))
            self.h2.is_silent(0.01)

    def misbehave(self):
        for stream in self.streams:
            if self.rng.random() < 0.3 and stream.status == 200:
                stream.cancel()
        for stream in self.sockets:
            if self.rng.random() < 0.6 and stream.status == 200:
                self.rng.choice([stream.cancel, lambda: stream.send(frame(CLOSE, b"\x03\xe8")),
                                 lambda: stream.send(frame(TEXT, "junk")),
                                 lambda: stream.send(frame(TEXT, '{"event":"ping"}'))])()


@pytest.mark.parametrize("seed", range(8))
def test_no_mix_of_streams_stops_the_others_or_leaves_anything_behind(tls, seed):
    rng = random.Random(seed)
    for _ in range(12):
        with tls.connect() as h2:
            mix = Mix(h2, rng)
            try:
                mix.run(pause=lambda: tls.publish("other", 1))
            except (EOFError, OSError):
                assert mix.ends_early
        assert tls.publish("other", 1).status == 202
    tls.wait_metric("push_subscriptions", 0)


def connect_when_taken(port):
    """Until Push has taken the port over from lws, that closes a connection which begins so."""
    for _ in range(1000):
        try:
            return H2(port)
        except (EOFError, OSError):
            time.sleep(0.02)
    raise AssertionError("Push has not taken the port over")


@of_direct
def test_what_a_websocket_sends_before_it_is_known_whose_its_path_is_is_read():
    """Without pushd lws is asked, once for each path."""
    with Server(stock=True, options={"push-direct": "on", "push-http2-cleartext": "on"}) as server, \
            connect_when_taken(server.port) as h2:
        h2.hold()
        stream = h2.websocket("/ws/messages?channels=a").send(frame(PING, b"early"))
        h2.socket.sendall(b"".join(h2.release()))
        assert opened(stream)
        got = stream.frame()
        while got != (PONG, b"early"):
            assert got[0] in (TEXT, PING)
            got = stream.frame()


def test_tokens_count_as_over_http_1(tmp_path):
    key = Key()
    write_jwks(tmp_path / "keys.json", key)
    with start(tmp_path, PUSH_AUTH_KEYS=str(tmp_path / "keys.json")) as server, \
            server.connect() as h2:
        def ask(method, path, token, body=None):
            headers = [("authorization", f"Bearer {token}")] if token else []
            if body:
                headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
            stream = h2.request(method, path, headers, end=not body)
            if body:
                stream.send(body, end=True)
            return stream

        good = key.token(subscribe=["h2"], publish=["h2"])
        events = subscribed(ask("GET", "/sse/messages?channels=h2", good))
        assert ask("POST", "/messages", good, BODY).whole() == b'{"subscribers":1}'
        assert message(events) == "x"
        for token, status in (None, 401), ("junk", 401), (key.token(publish=["a"], subscribe=["a"]), 403):
            assert ask("POST", "/messages", token, BODY).status == status
            assert ask("GET", "/sse/messages?channels=h2", token).status == status


# --- what Push's own sockets add ---


@pytest.fixture(scope="module")
def bare():
    """Without TLS, by prior knowledge."""
    with Server(PUSH_HTTP2_CLEARTEXT="on", PUSH_HISTORY_SIZE=10) as running:
        running.connect = lambda **options: H2(running.port, **options)
        yield running


def subscribed_with_history(h2, channel):
    events = h2.get(f"/sse/messages?channels={channel}")
    assert events.status == 200 and events.event().startswith(b"event:heartbeat")
    return events


@of_direct
def test_without_tls_it_is_spoken_where_the_option_says_so(bare, tls):
    with bare.connect() as h2:
        events = subscribed_with_history(h2, "bare")
        assert h2.post(b'{"channel":"bare","message":"x"}').whole() == b'{"subscribers":1}'
        assert message(events) == "x"
    with socket.create_connection(("127.0.0.1", tls.port), timeout=15) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert not plain.recv(9)[3:4] == b"\4"  # lws': no SETTINGS


@of_direct
def test_headers_that_lws_loses_arrive(bare):
    body = b'{"channel":"keyed","message":1}'
    with bare.connect() as h2:
        def post(key):
            headers = [("content-type", "application/json"), ("idempotency-key", key)]
            return h2.request("POST", "/messages", headers, end=False).send(body, end=True).whole()

        events = h2.get("/sse/messages?channels=keyed")
        assert events.status == 200 and events.event().startswith(b"event:heartbeat")
        assert [post("k1") for _ in range(2)] == [b'{"subscribers":1}'] * 2
        assert post("k2") == b'{"subscribers":1}'
        ids = [events.event().split(b"\nid:", 1)[1].split(b"\n", 1)[0].decode() for _ in range(2)]
        again = h2.get("/sse/messages?channels=keyed", headers=[("last-event-id", ids[0])])
        assert again.event().startswith(b"event:heartbeat")
        assert ids[1].encode() in again.event()  # the one that came once, and no other


@of_direct
def test_lines_are_answered_while_the_body_comes(bare):
    with bare.connect() as h2:
        events = subscribed_with_history(h2, "lines")
        stream = h2.request("POST", "/messages", [("content-type", "application/x-ndjson")], end=False)
        for n in range(3):
            stream.send(b'{"channel":"lines","message":%d}\n' % n)
            assert stream.wait(lambda n=n: stream.data.count(b"\n") == n + 1).status == 202
            assert b'"message":%d' % n in events.event()
        stream.send(b"", end=True)
        assert stream.whole().count(b'"subscribers":1') == 3


@of_direct
def test_a_body_that_is_awaited_is_asked_for(bare):
    with bare.connect() as h2:
        stream = h2.request("POST", "/messages", [("content-type", "application/json"), ("expect", "100-continue")],
                            end=False)
        stream.wait(lambda: stream.interim)
        assert stream.interim == [100] and stream.send(BODY, end=True).status == 202


@of_direct
def test_a_file_is_lws_and_comes_by_the_same_connection(bare):
    with bare.connect() as h2:
        events = subscribed_with_history(h2, "files")
        pages = [h2.get("/") for _ in range(3)]
        plain = get(bare.port, "/")
        for page in pages:
            assert page.status == 200 and page.whole() == plain.body
            assert page.headers["content-type"] == plain.headers["content-type"]
        assert h2.request("HEAD", "/").whole() == b""
        assert h2.get("/nothing-here").status == 404
        bare.publish("files", 1)
        assert b'"message":1' in events.event()


@of_direct
def test_a_flood_ends_its_own_connection_and_says_why(bare):
    with bare.connect() as good, bare.connect() as bad:
        events = subscribed_with_history(good, "flood")
        bad.hold()
        for _ in range(2000):
            bad.frame(PING_FRAME, 0, 0, b"12345678")
        bad.socket.sendall(b"".join(bad.release()))
        try:
            while not bad.goaway:
                bad.read_frame()
        except (EOFError, OSError):
            pass
        assert bad.goaway and bad.goaway[1] == 11  # ENHANCE_YOUR_CALM
        bare.wait_metric("push_http2_floods_total", 1)
        assert good.post(b'{"channel":"flood","message":7}').whole() == b'{"subscribers":1}'
        assert b'"message":7' in events.event()


@of_direct
def test_answers_that_are_not_read_give_way_when_memory_is_short():
    with Server(PUSH_HTTP2_CLEARTEXT="on", PUSH_HISTORY_SIZE=30, PUSH_MEMORY_MAX="8mb") as server, \
            H2(server.port, window=0) as h2:
        for _ in range(30):
            assert server.publish("long", "x" * 50_000).status == 202
        streams = [h2.get("/messages?channel=long&limit=30") for _ in range(20)]
        streams[0].wait(lambda: streams[0].reset)
        assert streams[0].reset == 11 and not streams[-1].reset  # the oldest first
        end = time.monotonic() + 30  # the others' answers are being made yet, and give way in their turn
        while server.publish("long", "y").status != 202:
            assert time.monotonic() < end


@of_direct
def test_a_connection_over_the_limit_is_told_so_and_ends():
    with Server(PUSH_HTTP2_CLEARTEXT="on", PUSH_LIMIT_ADDRESS_CONNECTIONS=1) as server, \
            H2(server.port) as first, H2(server.port) as second:
        assert first.post(BODY).status == 202
        refused = second.post(BODY)
        assert refused.status == 429 and "push.limit.address.connections" in json.loads(refused.whole())["error"]
        try:
            while True:
                second.read_frame()
        except EOFError:
            pass
        assert second.goaway == (1, 0)


@of_direct
def test_on_drain_clients_are_told_first_and_lose_nothing():
    with Server(PUSH_HTTP2_CLEARTEXT="on", PUSH_DRAIN_DURATION="3s",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as server, \
            H2(server.port) as h2, H2(server.port) as idle:
        events = subscribed(h2.get("/sse/messages?channels=drain"))
        os.kill(server.process.process.pid, signal.SIGTERM)
        while not h2.goaway:
            h2.read_frame()
        assert h2.goaway == (0x7FFFFFFF, 0)  # announced: which stream is the last one is not said yet
        assert h2.post(b'{"channel":"drain","message":"late"}').whole() == b'{"subscribers":1}'
        assert message(events) == "late"
        assert events.event() == RECONNECT and events.event() is None and events.reset is None
        try:
            while True:
                h2.read_frame()
        except EOFError:
            pass
        assert h2.goaway == (3, 0)
        try:
            while True:
                idle.read_frame()
        except EOFError:
            pass
        assert idle.goaway[1] == 0
