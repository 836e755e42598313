"""Clients that come back: what they missed is replayed, or they are told that it is gone."""

import itertools
import re
import ssl
import threading

import pytest

from h2client import H2, make_certificate
from http1 import get, publish
from resuming import READERS, SseReader, WsReader, gap, message, resumed
from ports import free_port
from redis_servers import wait_until
from server import DIRECT, Server
from sseclient import HEARTBEAT, EventStream
from test_tls import VHOST
from wsclient import PING_TEXT, WebSocket

names = (f"room-{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port = free_port()
    tls = VHOST.replace("http/1.1", "h2,http/1.1") % (port, certificate, key)
    with Server(conf_d={"30-tls": tls}, PUSH_HISTORY_SIZE=20, PUSH_HISTORY_TTL="1m",
                PUSH_HISTORY_RULES="short:=3 brief:=10/1s off:=0", PUSH_RECONNECT_DITHER_MIN_DURATION="1h",
                PUSH_RECONNECT_DITHER_MAX_DURATION="1h") as running:
        running.tls_port, running.certificate = port, certificate
        context = ssl.create_default_context(cafile=certificate)
        running.wrap = lambda plain: context.wrap_socket(plain, server_hostname="localhost")
        yield running


@pytest.fixture(params=["plain", "tls"])
def way(request, server):
    return {"port": server.port} if request.param == "plain" else {"port": server.tls_port, "wrap": server.wrap}


@pytest.fixture(params=READERS)
def reader(request, way):
    """A function that opens a client of each transport, over TCP and over TLS."""
    opened = []

    def come(channels, last_id=None, **options):
        opened.append(READERS[request.param](channels=channels, last_id=last_id, **way, **options))
        return opened[-1]

    yield come
    for client in opened:
        client.close()


@pytest.fixture
def room():
    return next(names)


@pytest.mark.parametrize("name", ["lastEventId", "lastEventID", "Last-Event-ID", "last-event-id", "LASTEVENTID"])
def test_the_names_that_polyfills_give_the_id_count(server, reader, room, name):
    """Also behind the one that the page has written, which is older then."""
    first = reader(room)
    for number in (1, 2):
        publish(server.port, room, number)
        assert first.next() == message(room, number)
        if number == 1:
            older = first.id
    for more in (f"&{name}={first.id}", f"&last_event_id={older}&{name}={first.id}", f"&last_event_id={first.id}&{name}="):
        again = reader(room, more=more)
        assert again.next() == resumed(0)
    again = reader(room, more=f"&{name}={older}")
    assert [again.next(), again.next()] == [message(room, 2), resumed(1)]


def test_a_client_that_comes_back_gets_what_it_missed_and_then_goes_on(server, reader, room):
    first = reader(room)
    server.publish(room, 1)
    assert first.next() == message(room, 1)
    first.close()
    server.publish(room, "two")
    server.publish(room, {"three": 3})
    again = reader(room, first.id)
    server.publish(room, 4)
    assert [again.next() for _ in range(4)] == [message(room, "two"), message(room, {"three": 3}), resumed(2),
                                                message(room, 4)]


def test_the_id_may_come_in_the_query(server, reader, room):
    first = reader(room)
    server.publish(room, 1)
    assert first.next() == message(room, 1)
    server.publish(room, 2)
    again = reader(room, first.id, header=False)
    assert [again.next(), again.next()] == [message(room, 2), resumed(1)]


def test_a_client_that_has_received_nothing_knows_its_position_from_the_heartbeat(server, reader, room):
    first = reader(room)
    position = first.position()
    first.close()
    server.publish(room, 1)
    again = reader(room, position)
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]


def test_one_id_resumes_all_channels_in_the_order_of_the_publishes(server, reader, room):
    other = next(names)
    first = reader(f"{room},{other}")
    position = first.position()
    for i in range(6):
        server.publish(other if i % 2 else room, i)
    again = reader(f"{room},{other}", position)
    assert [again.next() for _ in range(6)] == [message(other if i % 2 else room, i) for i in range(6)]
    assert again.next() == resumed(6)


def test_an_id_is_short(server, reader, room):
    assert len(reader(room).position()) < 64
    assert len(reader(",".join(next(names) for _ in range(128))).position()) < 512


def test_what_history_has_lost_is_told_in_front_of_what_is_left(server, reader, room):
    channel = "short:" + room
    first = reader(channel)
    position = first.position()
    for i in range(5):
        server.publish(channel, i)
    again = reader(channel, position)
    assert [again.next() for _ in range(4)] == [gap(channel, 2), *(message(channel, i) for i in (2, 3, 4))]
    server.publish(channel, 5)
    assert again.next() == message(channel, 5)


def test_messages_leave_when_they_are_too_old(server, reader, room):
    channel = "brief:" + room
    first = reader(channel)
    position = first.position()
    server.publish(channel, 1)
    wait_until(lambda: get(server.port, f"/messages?channel={channel}").json["messages"] == [], "it is too old")
    assert reader(channel, position).next() == gap(channel, 1)


def test_a_channel_without_history_is_a_gap_for_who_comes_back(server, reader, room):
    channel = "off:" + room
    position = reader(f"{room},{channel}").position()
    server.publish(channel, 1)
    server.publish(room, 2)
    again = reader(f"{room},{channel}", position)
    assert [again.next(), again.next()] == [gap(channel), message(room, 2)]


@pytest.mark.parametrize("last_id", ["nonsense", "0.1.zzzzzzzz", "%25%22%7B", "0.0.0-1.0.0", "5.1.1", "x" * 2000, "%F0%28%8C",
                                     "%00", "0.1.1%00", "+", ""])
def test_an_id_from_outside_is_never_trusted(server, reader, room, last_id):
    client = reader(room, last_id, header=False)
    assert client.next() == gap(room)
    server.publish(room, "live")
    assert client.next() == message(room, "live")


def test_an_id_of_a_server_that_is_gone_is_a_gap_with_all_that_there_is(server, reader, room):
    server.publish(room, 1)
    client = reader(room, "0.1.zzz")
    assert [client.next(), client.next()] == [gap(room), message(room, 1)]


def test_no_message_is_lost_or_doubled_between_replay_and_live(server, reader, room):
    """While clients come back again and again, somebody publishes as fast as he can."""
    channel, count = room, 400
    done = threading.Event()

    def publish_all():
        for i in range(count):
            publish(server.port, channel, i)
        done.set()

    client, got = reader(channel), []
    client.position()
    publisher = threading.Thread(target=publish_all)
    publisher.start()
    missed = False
    while not got or got[-1] != count - 1:
        event, data = client.next()
        if event == "message":
            assert missed or data["message"] == (got[-1] + 1 if got else 0)
            missed = False
            got.append(data["message"])
            if len(got) % 10 == 5:
                client.close()
                client = reader(channel, client.id)
        missed = missed or event == "gap"
    publisher.join()
    assert got == sorted(set(got))


def test_a_slow_reader_gets_a_long_history_piece_by_piece():
    with Server(PUSH_HISTORY_SIZE=1000, PUSH_CLIENT_QUEUE_MAX_SIZE="20kb", PUSH_SOCKET_SEND_BUFFER_SIZE="64kb") as small:
        client = SseReader(small.port, "long")
        position = client.position()
        client.close()
        text = "x" * 1000
        for i in range(300):
            small.publish("long", f"{i} {text}")
        again = SseReader(small.port, "long", position)
        assert [again.next()[1]["message"].split()[0] for _ in range(300)] == [str(i) for i in range(300)]
        assert again.next() == resumed(300)
        again.close()
        assert small.metric('push_disconnects_total{transport="sse",reason="slow"}') == 0


def test_over_http2_an_event_stream_without_an_id_in_its_query_is_told_that_it_may_have_missed_something(server, room):
    """lws does not show the header there, so nobody knows whether it comes back.  Push's own sockets do."""
    with H2(server.tls_port, server.certificate) as connection:
        fresh = connection.get(f"/sse/messages?channels={room}")
        assert fresh.event().startswith(b"event:heartbeat")
        if not DIRECT:
            assert fresh.event() == f'event:gap\ndata:{{"channel":"{room}","missed":"unknown"}}\n\n'.encode()
        server.publish(room, 1)
        message_text = fresh.event()
        position = message_text.split(b"\nid:", 1)[1].split(b"\n", 1)[0].decode()
        server.publish(room, 2)
        query, headers = f"&last_event_id={position}", []
        if DIRECT:
            query, headers = "", [("last-event-id", position)]
        again = connection.get(f"/sse/messages?channels={room}{query}", headers=headers)
        assert again.event().startswith(b"event:heartbeat")
        assert again.event().startswith(f'event:message\ndata:{{"channel":"{room}","message":2'.encode())


def test_a_websocket_may_ask_when_it_is_open(server, room):
    first = WsReader(server.port, room)
    position = first.position()
    server.publish(room, 1)
    again = WsReader(server.port, room)
    again.say("resume", id=position)
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]
    server.publish(room, 2)
    assert again.next() == message(room, 2)


def test_an_event_stream_is_told_when_to_come_back_at_a_random_time(server, room):
    def retry():
        with EventStream(server.port, room) as stream:
            return int(re.search(rb"\nretry:(\d+)\n", stream.raw()).group(1))

    times = {retry() for _ in range(8)}
    assert len(times) > 3 and all(500 <= t <= 2500 for t in times)


def test_without_history_no_byte_changes():
    with Server() as plain, EventStream(plain.port, "a&last_event_id=0.1.2", headers=["Last-Event-ID: 0.1.2"]) as sse, \
            WebSocket(plain.port, "a&last_event_id=0.1.2") as ws:
        assert sse.raw() == HEARTBEAT
        assert ws.read_frame()[1].decode() == PING_TEXT
        plain.publish("a", "hello")
        assert sse.raw() == b'event:message\ndata:{"channel":"a","message":"hello"}\n\n'
        assert ws.next()[1] == b'{"event":"message","data":{"channel":"a","message":"hello"}}'


def test_what_is_kept_is_bounded_and_counted():
    with Server(PUSH_HISTORY_SIZE=1000, PUSH_HISTORY_MEMORY_MAX="64kb") as small:
        for i in range(200):
            small.publish(f"channel-{i}", "x" * 500)
        wait_until(lambda: small.metric("push_history_messages") + small.metric("push_history_dropped_total") == 200,
                   "all are counted, which is done with each tick")
        assert small.metric("push_history_bytes") <= 64 * 1024
        assert small.metric("push_history_dropped_total") > 50
        small.check_metrics()


@pytest.mark.parametrize("name,value,wrong", [
    ("PUSH_HISTORY_SIZE", "70000", "push.history.size"), ("PUSH_HISTORY_TTL", "10ms", "push.history.ttl"),
    ("PUSH_HISTORY_MEMORY_MAX", "1kb", "push.history.memory.max"), ("PUSH_HISTORY_RULES", "chat:", "'chat:'"),
    ("PUSH_HISTORY_RULES", "a=1 b=x", "'b=x'"), ("PUSH_HISTORY_RULES", "a=1/0", "'a=1/0'")])
def test_a_bad_option_stops_the_start_and_is_named(name, value, wrong):
    running = Server(wait=False, **{name: value})
    try:
        assert running.process.wait() != 0
        assert wrong in running.process.output()
    finally:
        running.stop()
