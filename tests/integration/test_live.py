"""Channels that come and go while the client is open, on both transports."""

import itertools
import json

import pytest

from http1 import publish
from redis_servers import RedisServer
from resuming import WsReader, gap, message, resumed
from server import Server
from wsclient import TEXT, WebSocket, frame

names = (f"live-{i}" for i in itertools.count())


def subscribed(channel, **more):
    return "subscribed", {"channel": channel, **more}


def unsubscribed(channel, **more):
    return "unsubscribed", {"channel": channel, **more}


@pytest.fixture
def room():
    return next(names)


@pytest.fixture
def other():
    return next(names)


@pytest.fixture(scope="module")
def kept():
    """With history of all channels but some."""
    with Server(PUSH_HISTORY_SIZE=20, PUSH_HISTORY_RULES="off:=0 short:=2",
                PUSH_RECONNECT_DITHER_MIN_DURATION="1h", PUSH_RECONNECT_DITHER_MAX_DURATION="1h") as running:
        yield running


@pytest.fixture
def ws(server):
    opened = []

    def come(channels, port=None):
        opened.append(WsReader(port or server.port, channels))
        return opened[-1]

    yield come
    for client in opened:
        client.close()


def test_a_websocket_subscribes_and_unsubscribes_while_it_is_open(server, ws, room, other):
    client = ws(room)
    client.say("subscribe", channels=[other], ref="x")
    assert client.next() == subscribed(other, ref="x")
    assert publish(server.port, other, 1).json == {"subscribers": 1}
    assert client.next() == message(other, 1)
    client.say("unsubscribe", channels=[other, room], ref=7)
    assert [client.next(), client.next()] == [unsubscribed(other, ref=7), unsubscribed(room, ref=7)]
    for channel in room, other:
        assert publish(server.port, channel, 2).json == {"subscribers": 0}
    client.say("ping")
    client.say("subscribe", channels=[room])
    assert client.next() == subscribed(room)


def test_each_bad_name_has_an_error_of_its_own(server, ws, room, other):
    client = ws(room)
    client.say("subscribe", channels=["", other, "a\u0000b", "n" * 256])
    answers = [client.next() for _ in range(4)]
    assert [(event, data["channel"]) for event, data in answers] == [
        ("error", ""), ("subscribed", other), ("error", "a\u0000b"), ("error", "n" * 256)]
    assert ["empty", "control", "256 bytes"] == [
        next(word for word in ("empty", "control", "256 bytes") if word in data["error"])
        for event, data in answers if event == "error"]


def test_no_more_channels_than_push_channels_max(ws, room):
    with Server(PUSH_CHANNELS_MAX=2) as small:
        client = ws(room, small.port)
        client.say("subscribe", channels=["b", "c"])
        assert client.next() == subscribed("b")
        event, data = client.next()
        assert (event, data["channel"]) == ("error", "c") and "over the 2 allowed" in data["error"]
        client.say("unsubscribe", channels=[room])
        client.say("subscribe", channels=["c"])
        assert [client.next(), client.next()] == [unsubscribed(room), subscribed("c")]
        client.close()


@pytest.mark.parametrize("data", [None, {}, {"channels": "a"}, {"channels": [1]}, {"channels": ["a"], "ref": {}}])
def test_what_is_no_request_is_an_error_and_the_connection_stays(ws, room, data):
    client = ws(room)
    client.socket.send(frame(TEXT, json.dumps({"event": "subscribe", "data": data})))
    event, answer = client.next()
    assert event == "error" and answer["error"]
    client.say("subscribe", channels=["still"])
    assert client.next() == subscribed("still")


def test_a_websocket_without_channels_is_refused_as_ever(server):
    with WebSocket(server.port) as client:
        assert client.event() == {"error": "'channels' query parameter required"}
        assert client.close_code() == 1008


def test_a_flood_of_changes_disturbs_nobody_else(server, ws, room, other):
    flooder, client = ws(room), ws(other)
    data = frame(TEXT, json.dumps({"event": "subscribe", "data": {"channels": ["x", "y"]}})) + \
        frame(TEXT, json.dumps({"event": "unsubscribe", "data": {"channels": ["x", "y"]}}))
    flooder.socket.send(data * 500)
    publish(server.port, other, 1)
    assert client.next() == message(other, 1)
    assert sum(flooder.next()[0] == "unsubscribed" for _ in range(2000)) == 1000


def test_the_position_of_subscribed_is_one_to_come_back_with(kept, ws, room, other):
    client = ws(room, kept.port)
    client.position()
    kept.publish(other, "before")
    client.say("subscribe", channels=[other])
    event, data = client.next()
    assert event == "subscribed" and data["id"] == client.id
    client.close()
    kept.publish(other, "between")
    again = WsReader(kept.port, f"{room},{other}", data["id"])
    assert [again.next(), again.next()] == [message(other, "between"), resumed(1)]
    again.close()


def test_with_an_id_what_came_since_is_replayed_and_then_it_goes_on(kept, ws, room, other):
    client = ws(room, kept.port)
    position = client.position()
    for i in range(3):
        kept.publish(other, i)
    client.say("subscribe", channels=[other], id=position)
    kept.publish(other, 3)
    assert client.next() == subscribed(other, id=position)
    got = [client.next() for _ in range(5)]
    assert [event for event in got if event[0] == "message"] == [message(other, i) for i in range(4)]
    assert [data["replayed"] for event, data in got if event == "resumed"] in ([3], [4])


def test_gaps_are_told_for_each_channel(kept, ws, room):
    client = ws(room, kept.port)
    position = client.position()
    short, off = f"short:{room}", f"off:{room}"
    for i in range(4):
        kept.publish(short, i)
    client.say("subscribe", channels=[off, short], id=position)
    assert [client.next() for _ in range(6)] == [
        subscribed(off), gap(off), subscribed(short, id=position), gap(short, 2), message(short, 2), message(short, 3)]


def redis_node(redis):
    return Server(PUSH_REDIS_URL=redis.url(), PUSH_DRAIN_DURATION="100ms")


def test_with_redis_nothing_is_missed_from_subscribed_on():
    with RedisServer() as redis, redis_node(redis) as one, redis_node(redis) as two:
        client = WsReader(one.port, "first")
        for i in range(30):
            channel = f"later-{i}"
            client.say("subscribe", channels=[channel])
            assert client.next() == subscribed(channel)
            assert publish(two.port, channel, i).status == 202
            assert client.next() == message(channel, i)
        client.close()


def test_without_redis_a_subscription_does_not_wait():
    with RedisServer() as redis, redis_node(redis) as node:
        client = WsReader(node.port, "first")
        assert client._event()["event"] == "ping"
        redis.kill()
        client.say("subscribe", channels=["later"])
        while (answer := client.next()) == ("gap", {}):
            pass
        assert answer == subscribed("later")
        client.close()
