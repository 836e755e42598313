"""?wait=written with Redis behind: each node that has the message says how many clients it was written to."""

import json
import os
import signal
import threading
import time
from contextlib import closing

import pytest

from http1 import get, post, request
from redis_nodes import node, ws
from redis_servers import Cluster, RedisServer, wait_until
from resuming import SseReader, WsReader, message, resumed
from server import SANITIZED

SETTINGS = {"PUSH_HISTORY_RULES": "kept:=20", "PUSH_PUBLISH_WAIT_MAX": "4s", "PUSH_MESSAGE_MAX_SIZE": "1mb",
            "PUSH_CLIENT_QUEUE_MAX_SIZE": "8mb"}
MARK = "\x1e"
SOON_S = 6 if SANITIZED else 3


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    with node(redis.url(), **SETTINGS) as one, node(redis.url(), **SETTINGS) as other:
        know_each_other(one, other)
        yield one, other


def know_each_other(*nodes):
    for each in nodes:
        each.wait_metric("push_redis_peers", len(nodes) - 1)


def send(at, body, headers=None):
    return request(at.port, post(json.dumps(body), headers, path="/messages?wait=written"))


def written(at, channel, value):
    answer = send(at, {"channel": channel, "message": value})
    assert answer.status == 202, answer.body
    return answer.json


def counted(redis, channel, clients, key="push:clients:"):
    """Until all nodes have told Redis of their clients."""
    def total():
        counts = redis.command("HGETALL", key + channel)
        return sum(map(int, counts[1::2])) == clients
    wait_until(total, f"{clients} clients of {channel} are counted")


def node_ids(redis):
    return [name.decode().split(":")[-1] for name in redis.command("PUBSUB", "CHANNELS", MARK + "push:node:*")]


@pytest.mark.parametrize("channel", ["plain", "kept:both"])
def test_clients_of_all_nodes_and_both_transports_are_counted(redis, nodes, channel):
    one, other = nodes
    readers = [SseReader(one.port, channel), WsReader(one.port, channel), SseReader(other.port, channel),
               WsReader(other.port, channel)]
    for reader in readers:  # its first heartbeat: from then on it is written to
        assert reader.stream.raw() if reader.transport == "sse" else reader.socket.read_frame()
    counted(redis, channel, 4)
    for i, at in enumerate((one, other, one)):
        start = time.monotonic()
        assert written(at, channel, i) == {"subscribers": 4, "written": 4}
        assert time.monotonic() - start < SOON_S
    for reader in readers:
        assert [reader.next() for _ in range(3)] == [message(channel, i) for i in range(3)]
        reader.close()


def test_without_subscribers_it_is_answered_at_once(nodes):
    start = time.monotonic()
    assert written(nodes[0], "nobody", 1) == {"subscribers": 0, "written": 0}
    assert written(nodes[0], "kept:nobody", 1) == {"subscribers": 0, "written": 0}
    assert time.monotonic() - start < SOON_S


def test_who_has_left_is_not_waited_for(redis, nodes):
    with ws(nodes[1], "left"):
        counted(redis, "left", 1)
        assert written(nodes[0], "left", 1) == {"subscribers": 1, "written": 1}
    counted(redis, "left", 0)
    start = time.monotonic()
    assert written(nodes[0], "left", 1) == {"subscribers": 0, "written": 0}
    assert time.monotonic() - start < SOON_S


def test_plain_subscribers_of_redis_count_and_say_nothing(redis, nodes):
    with redis.subscribe("both") as plain, ws(nodes[1], "both"):
        counted(redis, "both", 1)
        assert written(nodes[0], "both", "hello") == {"subscribers": 2, "written": 1}
        envelope = plain.message()
        assert envelope.startswith(MARK.encode() + b"!") and envelope.endswith(b" hello")
        nodes[0].publish("both", "hello")
        assert plain.message() == b"hello"


@pytest.mark.parametrize("channel", ["slow", "kept:slow"])
def test_who_does_not_read_is_waited_for_until_the_time_is_over(redis, nodes, channel):
    one, other = nodes
    with ws(other, channel) as slow, ws(other, channel) as reader, ws(one, channel) as near:
        counted(redis, channel, 3)
        for _ in range(7):
            one.publish(channel, "x" * 900000)
            reader.message(), near.message()
        start = time.monotonic()
        assert written(one, channel, 1) == {"subscribers": 3, "written": 2}
        assert 3.5 <= time.monotonic() - start < 4 + SOON_S
        slow.close()


def test_who_reads_the_message_from_history_is_waited_for(redis, nodes):
    """A client that replays slowly reads there what is published meanwhile, and is counted when it has."""
    one, other = nodes
    with closing(WsReader(one.port, "kept:later")) as first:
        start = first.position()
        for _ in range(15):
            other.publish("kept:later", "x" * 900000)
            first.next()
    with closing(WsReader(one.port, "kept:later", start)) as behind:
        counted(redis, "kept:later", 1)
        got = []

        def read():
            while "last" not in got:
                name, data = behind.next()
                got.append(data.get("message"))

        reader = threading.Timer(0.3, read)
        reader.start()
        assert written(other, "kept:later", "last") == {"subscribers": 1, "written": 1}
        reader.join(20)
        assert got[-1] == "last"


def test_an_array_and_many_channels_are_summed_up(redis, nodes):
    one, other = nodes
    with ws(one, "a1,a2") as here, ws(other, "a2") as there:
        counted(redis, "a1", 1), counted(redis, "a2", 2)
        parts = send(one, [{"channel": "a1", "message": 1}, {}, {"channels": ["a1", "a2"], "message": 2}]).json
        assert parts[0] == {"subscribers": 1, "written": 1} and parts[2] == {"subscribers": 3, "written": 3}
        assert parts[1]["status"] == 400
        assert [here.message() for _ in range(3)] == [("a1", 1), ("a1", 2), ("a2", 2)]
        assert there.message() == ("a2", 2)


def test_a_large_array_is_answered(redis, nodes):
    count = 1000
    with ws(nodes[1], "large") as client:
        counted(redis, "large", 1)
        answers = []
        body = [{"channel": "large", "message": i} for i in range(count)]
        thread = threading.Thread(target=lambda: answers.append(send(nodes[0], body).json))
        thread.start()
        assert [client.message()[1] for _ in range(count)] == list(range(count))
        thread.join(20)
        assert answers == [[{"subscribers": 1, "written": 1}] * count]


def test_a_repeat_is_answered_as_the_first(redis, nodes):
    with ws(nodes[1], "key") as client:
        counted(redis, "key", 1)
        body, key = {"channel": "key", "message": 1}, ["Idempotency-Key: written"]
        first = send(nodes[0], body, key)
        assert first.json == {"subscribers": 1, "written": 1}
        assert send(nodes[1], body, key).body == first.body
        nodes[0].publish("key", 2)
        assert [client.message()[1] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_node_that_says_nothing_is_waited_for_until_the_time_is_over(redis, how):
    with node(redis.url(), **SETTINGS) as one, node(redis.url(), **SETTINGS) as other:
        for each in (one, other):
            wait_until(lambda: each.metric("push_redis_peers") >= 1, "they know each other")
        channel = f"silent:{how}"
        with ws(one, channel) as near, ws(other, channel):
            counted(redis, channel, 2)
            worker = other.worker()
            os.kill(worker, how)
            start = time.monotonic()
            assert written(one, channel, 1) == {"subscribers": 2, "written": 1}
            assert 3.5 <= time.monotonic() - start < 4 + SOON_S
            assert near.message() == (channel, 1)
            if how == signal.SIGSTOP:
                os.kill(worker, signal.SIGCONT)


def test_forged_receipts_make_no_more_of_it_than_subscribers(redis, nodes):
    """Whoever listens on the channel has the number, and says what he likes."""
    one, other = nodes
    with redis.subscribe("forged") as spy, ws(other, "forged") as slow, ws(one, "forged") as near:
        counted(redis, "forged", 2)
        for _ in range(7):
            one.publish("forged", "x" * 900000)
            near.message(), spy.message()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(written(one, "forged", 1)))
        thread.start()
        address = spy.message().split(b" ")[0][2:].decode()
        publisher, number = address.split(".")
        channel = f"{MARK}push:node:{publisher}"
        receiver = next(i for i in node_ids(redis) if i != publisher)
        for text in ("", "!", f"!{address} written 1", f"!{'f' * 16}.{number} written 1000",
                     f"!{receiver}.{number} written", f"!{receiver}.{number} written -1",
                     f"!{receiver}.{number} written {'9' * 30}", f"!{receiver}.{int(number) + 1} written 7",
                     f"={receiver}.{number} ok 1", f"?{receiver}.{number} written 1", f"?{'f' * 16}.1 control x",
                     "?" + "x" * 100000, f"!{receiver}.{number} " + "y" * 1000):
            redis.command("PUBLISH", channel, text)
        redis.command("PUBLISH", channel, f"!{receiver}.{number} written 1000000")
        redis.command("PUBLISH", channel, f"!{receiver}.{number} written 1000000")
        thread.join(10)
        assert answers == [{"subscribers": 3, "written": 2}]  # the spy is one
        assert near.message() == ("forged", 1)
        slow.close()


def test_forged_requests_for_receipts_deliver_the_message(redis, nodes):
    with ws(nodes[0], "asked") as client:
        counted(redis, "asked", 1)
        own = node_ids(redis)[0]
        for payload in (f"{MARK}!{own}.1 one", f'{MARK}!{"f" * 16}.1 {MARK}{{"two":2}}', f"{MARK}!{own}.1x three"):
            redis.command("PUBLISH", "asked", payload)
        assert [client.message()[1] for _ in range(3)] == ["one", {"two": 2}, f"{MARK}!{own}.1x three"]


def test_a_message_with_receipts_is_read_from_history_as_any(redis, nodes):
    one, other = nodes
    with closing(WsReader(one.port, "kept:replay")) as client:
        counted(redis, "kept:replay", 1)
        first = client.position()
        assert written(other, "kept:replay", {"two": 2})["written"] == 1
        other.publish("kept:replay", 3)
    with closing(WsReader(other.port, "kept:replay", first)) as again:
        assert [again.next() for _ in range(3)] == \
            [message("kept:replay", {"two": 2}), message("kept:replay", 3), resumed(2)]
    assert [kept["message"] for kept in get(one.port, "/messages?channel=kept:replay").json["messages"]] == [{"two": 2}, 3]


@pytest.mark.parametrize("sharded", ["off", "on"])
def test_in_a_cluster_receipts_come_from_wherever_the_channel_lies(sharded):
    with Cluster() as cluster, \
            node(cluster.url, PUSH_REDIS_SHARDED=sharded, **SETTINGS) as one, \
            node(cluster.url, PUSH_REDIS_SHARDED=sharded, **SETTINGS) as other:
        know_each_other(one, other)
        channels = [f"c{i}" for i in range(4)] + [f"kept:{i}" for i in range(4)]
        with ws(other, ",".join(channels)), ws(one, ",".join(channels)):
            for channel in channels:
                wait_until(lambda: written(one, channel, 0)["subscribers"] == 2, "both are counted")
                start = time.monotonic()
                assert written(one, channel, 1) == {"subscribers": 2, "written": 2}
                assert time.monotonic() - start < SOON_S
