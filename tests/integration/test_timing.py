"""Heartbeats, lifetimes and grace periods, with short settings; the waits of one server run side by side."""

import time

import pytest

from server import Server
from sseclient import HEARTBEAT, RECONNECT, EventStream
from wsclient import CLOSE, PING, PING_TEXT, PONG, TEXT, WebSocket, frame

SLACK_S = 1.0  # of a busy machine
SEEN_LATE_S = 0.3  # on a busy machine: a period whose start was seen late looks shorter


@pytest.fixture(scope="module")
def beating():
    with Server(PUSH_HEARTBEAT_INTERVAL_DURATION="300ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="1s") as running:
        yield running


@pytest.fixture(scope="module")
def mortal():
    with Server(PUSH_RECONNECT_DITHER_MIN_DURATION="2s", PUSH_RECONNECT_DITHER_MAX_DURATION="3s",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as running:
        yield running


def test_heartbeats_come_at_once_and_every_interval(beating):
    with WebSocket(beating.port, "a") as ws, EventStream(beating.port, "a") as sse:
        start = time.monotonic()
        for _ in range(5):
            assert sse.raw() == HEARTBEAT
            assert ws.read_frame() == (TEXT, PING_TEXT.encode())
            assert ws.read_frame() == (PING, b"push")
            ws.send(frame(PONG, "push"))
        assert 1.2 - SEEN_LATE_S <= time.monotonic() - start <= 1.2 + SLACK_S


@pytest.mark.parametrize("answer", [
    frame(TEXT, '{"event":"pong"}'), frame(PONG, "push"), frame(TEXT, '{"event":"whatever"}')],
    ids=["pong in json", "pong of the protocol", "anything else"])
def test_a_client_that_answers_or_speaks_lives_on(beating, answer):
    with WebSocket(beating.port, "a") as ws:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            got = ws.read_frame()
            assert got and got[0] in (TEXT, PING)
            if got[0] == PING:
                ws.send(answer)


def test_a_silent_client_is_closed_after_the_grace_period(beating):
    closed = beating.metric('push_disconnects_total{transport="ws",reason="no_pong"}')
    with WebSocket(beating.port, "a", answer=False) as ws:
        start = time.monotonic()
        opcode, payload = ws.next()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe9")
        assert 1 - SEEN_LATE_S <= time.monotonic() - start <= 1 + SLACK_S
        assert ws.is_closed()
        assert time.monotonic() - start <= 2 + SLACK_S
    beating.wait_metric('push_disconnects_total{transport="ws",reason="no_pong"}', closed + 1)


def test_an_event_stream_needs_no_answers(beating):
    with EventStream(beating.port, "a") as sse:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert sse.raw() == HEARTBEAT


def test_a_websocket_is_asked_to_reconnect_and_closed_with_1001_at_its_end(mortal):
    with WebSocket(mortal.port, "a") as ws:
        start = time.monotonic()
        assert ws.next() == (TEXT, b'{"event":"reconnect","data":{}}')
        asked = time.monotonic()
        assert ws.close_code() == 1001
        closed = time.monotonic()
        assert 1.5 - SEEN_LATE_S <= asked - start <= 2.5 + SLACK_S
        assert 0.5 - SEEN_LATE_S <= closed - asked <= 0.5 + SLACK_S


def test_an_event_stream_is_asked_to_reconnect_and_ends(mortal):
    with EventStream(mortal.port, "a") as sse:
        start = time.monotonic()
        assert sse.next() == RECONNECT
        asked = time.monotonic()
        assert sse.next() is None
        ended = time.monotonic()
        assert 2 - SEEN_LATE_S <= ended - start <= 3 + SLACK_S
        assert 0.5 - SEEN_LATE_S <= ended - asked <= 0.5 + SLACK_S


def test_a_websocket_that_ignores_the_close_is_dropped_after_the_grace_period(mortal):
    with WebSocket(mortal.port, "a") as ws:
        while ws.next()[0] != CLOSE:
            pass
        start = time.monotonic()
        assert ws.is_closed()
        assert 0.5 - SEEN_LATE_S <= time.monotonic() - start <= 0.5 + SLACK_S


def test_lifetimes_are_spread_between_min_and_max(mortal):
    ended = 'push_disconnects_total{transport="sse",reason="lifetime"}'
    mortal.wait_metric("sse_connections_count", 0)
    before = mortal.metric(ended)
    first = time.monotonic()
    streams = [EventStream(mortal.port, "a") for _ in range(40)]
    last = time.monotonic()
    ends = []
    for stream in streams:
        while stream.raw() is not None:
            pass
        ends.append(time.monotonic())
        stream.close()
    # read one after the other, an end shows up no earlier than that of a stream before
    assert ends[0] - first >= 1.8 and ends[-1] - last <= 3 + SLACK_S
    mortal.wait_metric(ended, before + 40)


def test_messages_arrive_until_the_end(mortal):
    with WebSocket(mortal.port, "until") as ws:
        assert ws.next() == (TEXT, b'{"event":"reconnect","data":{}}')
        assert mortal.publish("until", 1).json == {"subscribers": 1}
        assert ws.message() == ("until", 1)
