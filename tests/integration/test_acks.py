"""WebSocket clients that acknowledge: what they do not comes again, and a client with a name goes on behind its last ack."""

import contextlib
import itertools
import os
import signal
import socket
import ssl
import struct

import pytest

from h2client import make_certificate
from http1 import get
from resuming import WsReader, gap, message, resumed
from ports import free_port
from server import Server
from sseclient import HEARTBEAT, EventStream
from test_tls import VHOST
from wsclient import PING_TEXT, WebSocket

names = (f"room-{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}, PUSH_HISTORY_SIZE=20, PUSH_HISTORY_RULES="off:=0 short:=2",
                PUSH_ACK_TIMEOUT="400ms", PUSH_ACK_RETRIES=2, PUSH_ACK_WINDOW=4,
                PUSH_RECONNECT_DITHER_MIN_DURATION="1h", PUSH_RECONNECT_DITHER_MAX_DURATION="1h") as running:
        context = ssl.create_default_context(cafile=certificate)
        running.ways = {"plain": {"port": running.port},
                        "tls": {"port": port, "wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}}
        yield running


@pytest.fixture(params=["plain", "tls"])
def come(request, server):
    """A function that opens a client that acknowledges, over TCP and over TLS."""
    opened = []

    def come(channels, more="&acks=true", last_id=None):
        opened.append(WsReader(channels=channels, last_id=last_id, more=more, **server.ways[request.param]))
        return opened[-1]

    yield come
    for client in opened:
        client.close()


@pytest.fixture
def room():
    return next(names)


@pytest.fixture
def name():
    return "client." + next(names)


def ack(client, last_id=None):
    client.say("ack", id=last_id or client.id)


def nothing_comes(client):
    """What was asked for has been answered, and nothing else came before."""
    client.say("ping")
    while True:
        event = client._event()
        assert event["event"] in ("pong", "ping"), event
        if event["event"] == "pong":
            return


def leave(server, client, left=0):
    """Goes, and waits until the server has seen that; `left` others are still there."""
    client.close()
    server.wait_metric('push_connections{transport="ws"}', left)


def test_past_the_window_nothing_comes_until_an_ack_does_and_nothing_is_dropped(server, come, room):
    client = come(f"{room},off:{room}")
    for i in range(10):
        server.publish(room, i)
    server.publish("off:" + room, "live")
    assert [client.next() for _ in range(4)] == [message(room, i) for i in range(4)]
    assert client.next() == message("off:" + room, "live")
    ack(client)
    assert [client.next() for _ in range(4)] == [message(room, i) for i in range(4, 8)]
    ack(client)
    assert [client.next() for _ in range(2)] == [message(room, i) for i in (8, 9)]
    ack(client)
    nothing_comes(client)
    server.publish(room, 10)
    assert client.next() == message(room, 10)
    ack(client)
    nothing_comes(client)


def test_what_is_not_acknowledged_comes_again_in_the_same_bytes_and_newer_messages_behind_it(server, come, room):
    client = come(room)
    frames = []
    for i in range(3):
        server.publish(room, i)
        event = client._event()
        while event["event"] == "ping":
            event = client._event()
        frames.append(event)
    ack(client, frames[0]["data"]["id"])
    assert [client._event() for _ in range(2)] == frames[1:]
    ack(client, frames[2]["data"]["id"])
    server.publish(room, 3)
    assert client.next() == message(room, 3)
    ack(client)
    nothing_comes(client)


def test_a_client_that_never_acknowledges_is_closed(server, come, room):
    label = 'push_disconnects_total{transport="ws",reason="no_ack"}'
    closed, again = server.metric(label), server.metric("push_redelivered_total")
    client = come(room)
    server.publish(room, 1)
    assert [client.next() for _ in range(3)] == [message(room, 1)] * 3
    assert client.socket.close_code() == 1001
    server.wait_metric(label, closed + 1)
    assert server.metric("push_redelivered_total") == again + 2
    server.wait_metric("push_unacknowledged_messages", 0)


def test_what_history_drops_meanwhile_is_a_gap(server, come, room):
    channel = "short:" + room
    client = come(channel)
    for i in range(9):
        server.publish(channel, i)
    assert [client.next() for _ in range(4)] == [message(channel, i) for i in range(4)]
    ack(client)
    assert [client.next() for _ in range(3)] == [gap(channel), message(channel, 7), message(channel, 8)]


@pytest.mark.parametrize("last_id", ["nonsense", "", "0.1.zzz", "0.zzzzzzzz.1", "1.0.1", "x" * 2000, "%"])
def test_an_id_from_outside_is_never_trusted(server, come, room, last_id):
    client = come(room)
    server.publish(room, 1)
    assert client.next() == message(room, 1)
    client.say("ack", id=last_id, ref=7)
    # an epoch long ago is older than everything, and an older ack is ignored
    if last_id == "0.1.zzz":
        nothing_comes(client)
    else:
        assert client.next() == ("error", {"error": "'id' was not sent on this connection", "ref": 7})
    assert client.next() == message(room, 1)


def test_who_did_not_ask_cannot_acknowledge(server, come, room):
    client = come(room, more="")
    server.publish(room, 1)
    assert client.next() == message(room, 1)
    ack(client)
    assert client.next()[0] == "error"
    nothing_comes(client)
    client = come(room)
    client.say("resume", id=client.position())
    assert client.next()[0] == "error"


def test_a_client_with_a_name_goes_on_behind_its_last_ack(server, come, room, name):
    more = f"&client={name}"
    server.publish(room, "before")
    client = come(room, more)
    client.position()
    for i in range(4):
        server.publish(room, i)
    assert [client.next() for _ in range(3)] == [message(room, i) for i in range(3)]
    ack(client)
    assert client.next() == message(room, 3)
    leave(server, client)
    server.publish(room, 4)
    again = come(room, more)
    assert [again.next() for _ in range(3)] == [message(room, 3), message(room, 4), resumed(2)]


def test_a_name_whose_first_connection_acknowledged_nothing_loses_nothing(server, come, room, name):
    client = come(room, f"&client={name}")
    client.position()
    leave(server, client)
    server.publish(room, 1)
    again = come(room, f"&client={name}")
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]


def test_a_name_outlives_its_worker_and_is_new_to_a_broker_that_begins_anew(room, name):
    with Server(PUSH_HISTORY_SIZE=20) as own:
        client = WsReader(own.port, room, more=f"&client={name}")
        assert client.first_ping()["new"] is True
        own.publish(room, 1)
        assert client.next() == message(room, 1)
        ack(client)
        own.wait_metric("push_acks_total", 1)
        client.close()
        own.wait_metric("ws_connections_count", 0)
        client = WsReader(own.port, room, more=f"&client={name}")
        assert "new" not in client.first_ping() and client.next() == resumed(0)
        os.kill(own.worker(), signal.SIGKILL)
        with contextlib.suppress(ConnectionError):
            assert client.next() is None
        own.wait_until_ready()  # with another worker
        client = WsReader(own.port, room, more=f"&client={name}")
        assert "new" not in client.first_ping() and client.next() == resumed(0)
        client.close()
    with Server(PUSH_HISTORY_SIZE=20) as own:
        client = WsReader(own.port, room, more=f"&client={name}")
        assert client.first_ping()["new"] is True
        client.close()


def test_an_id_in_the_request_counts_more(server, come, room, name):
    client = come(room, f"&client={name}")
    start = client.position()
    server.publish(room, 1)
    assert client.next() == message(room, 1)
    ack(client)
    leave(server, client)
    again = come(room, f"&client={name}", last_id=start)
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]


def test_of_two_connections_with_one_name_the_newer_wins(server, come, room, name):
    more = f"&client={name}&acks=true"
    older = come(room, more)
    older.position()
    server.publish(room, 1)
    server.publish(room, 2)
    assert older.next() == message(room, 1)
    first = older.id
    newer = come(room, more)
    assert [newer.next() for _ in range(3)] == [message(room, 1), message(room, 2), resumed(2)]
    ack(newer)
    nothing_comes(newer)
    ack(older, first)
    leave(server, older, left=1)
    leave(server, newer)
    last = come(room, more)
    assert last.next() == resumed(0)


def test_the_end_of_a_killed_connection_is_kept_too(server, come, room, name):
    client = come(room, f"&client={name}")
    for i in range(3):
        server.publish(room, i)
    assert [client.next() for _ in range(2)] == [message(room, 0), message(room, 1)]
    ack(client)
    assert client.next() == message(room, 2)
    nothing_comes(client)
    client.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leave(server, client)
    again = come(room, f"&client={name}")
    assert [again.next(), again.next()] == [message(room, 2), resumed(1)]


@pytest.mark.parametrize("query,wrong", [
    ("client=", "'client' must"), ("client=a%20b", "'client' must"), ("client=" + "x" * 65, "'client' must"),
    ("client=%25zz", "'client' must"), ("client=a&client=b", "'client' must"), ("acks=yes", "'acks' must"),
    ("acks=false&client=a", "'client' is not supported"), ("acks=%00", "'acks' must"), ("client=%c3%a4", "'client' must")])
def test_a_bad_request_is_refused_and_says_why(server, room, query, wrong):
    for way in server.ways.values():
        with WebSocket(channels=f"{room}&{query}", **way) as client:
            event = client.event()
            assert list(event) == ["error"]
            assert wrong in event["error"] or "control character" in event["error"]
            assert client.close_code() == 1008


def test_the_longest_name_is_taken(server, come, room):
    client = come(room, "&client=" + room.rjust(64, "x"))
    client.position()
    nothing_comes(client)


@pytest.mark.parametrize("query", ["acks=true", "acks=false", "client=a"])
def test_an_event_stream_cannot_acknowledge_and_is_told_so(server, room, query):
    answer = get(server.port, f"/sse/messages?channels={room}&{query}")
    assert answer.status == 400
    assert answer.json == {"error": f"'{query.split('=')[0]}' is not supported with an event stream"}


def test_without_history_no_byte_changes():
    more = "a&acks=true&client=me"
    with Server() as plain, EventStream(plain.port, more) as sse, WebSocket(plain.port, more) as ws:
        assert sse.raw() == HEARTBEAT
        assert ws.read_frame()[1].decode() == PING_TEXT
        plain.publish("a", "hello")
        assert sse.raw() == b'event:message\ndata:{"channel":"a","message":"hello"}\n\n'
        assert ws.next()[1] == b'{"event":"message","data":{"channel":"a","message":"hello"}}'


def test_metrics_are_right(server):
    text = server.check_metrics()
    for metric in ("push_acks_total", "push_redelivered_total", "push_unacknowledged_messages"):
        assert f"\n{metric} " in text
    assert server.metric("push_acks_total") > 0


@pytest.mark.parametrize("name,value,wrong", [
    ("PUSH_ACK_TIMEOUT", "50ms", "push.ack.timeout"), ("PUSH_ACK_TIMEOUT", "121s", "push.ack.timeout"),
    ("PUSH_ACK_RETRIES", "101", "push.ack.retries"), ("PUSH_ACK_WINDOW", "0", "push.ack.window"),
    ("PUSH_ACK_WINDOW", "4097", "push.ack.window"), ("PUSH_CLIENT_TTL", "1s", "push.client.ttl")])
def test_a_bad_option_stops_the_start_and_is_named(name, value, wrong):
    running = Server(wait=False, **{name: value})
    try:
        assert running.process.wait() != 0
        assert wrong in running.process.output()
    finally:
        running.stop()
