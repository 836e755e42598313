"""Clients that acknowledge where Redis keeps history and positions: a name goes on at whichever node."""

import itertools

import pytest

from redis_nodes import node, readiness
from redis_servers import Cluster, RedisServer, slot_of, wait_until
from resuming import WsReader, message, resumed

names = (f"room-{i}" for i in itertools.count())
KEPT = {"PUSH_HISTORY_SIZE": 100, "PUSH_ACK_WINDOW": 4, "PUSH_ACK_TIMEOUT": "500ms", "PUSH_ACK_RETRIES": 5,
        "PUSH_RECONNECT_DITHER_MIN_DURATION": "1h", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1h"}


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    with node(redis.url(), **KEPT) as one, node(redis.url(), **KEPT) as other:
        yield one, other


@pytest.fixture
def room():
    return next(names)


@pytest.fixture
def name():
    return "client." + next(names)


@pytest.fixture
def come():
    opened = []

    def open_one(at, channels, name=None):
        opened.append(WsReader(at.port, channels, more=f"&client={name}" if name else "&acks=true"))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


def kept(redis, name):
    return (redis.command("GET", f"push:value:client:{name}") or b"").decode()


def ack(client):
    client.say("ack", id=client.id)
    return client.id


def numbers(positions):
    """{partition: number} of an id."""
    return {part.split(".")[0]: int(part.split(".")[2], 36) for part in positions.split("-")}


def wait_kept(redis, name, *positions):
    """Until what is kept reaches up to each of them, or behind: others move a partition on."""
    def is_kept():
        now = numbers(kept(redis, name).split(" ")[1])
        return all(now.get(p, 0) >= number for position in positions for p, number in numbers(position).items())

    wait_until(is_kept, "the position is kept")


def test_a_name_goes_on_behind_its_last_ack_at_another_node(nodes, redis, come, room, name):
    one, other = nodes
    client = come(one, room, name)
    client.position()
    for i in range(3):
        other.publish(room, i)
    assert [client.next() for _ in range(2)] == [message(room, 0), message(room, 1)]
    last = ack(client)
    assert client.next() == message(room, 2)
    wait_kept(redis, name, last)
    client.close()
    one.publish(room, 3)
    again = come(other, room, name)
    assert [again.next() for _ in range(3)] == [message(room, 2), message(room, 3), resumed(2)]
    assert 3_500_000 < redis.command("PTTL", f"push:value:client:{name}") <= 3_600_000


def test_a_name_that_acknowledged_nothing_loses_nothing(nodes, redis, come, room, name):
    one, other = nodes
    client = come(one, room, name)
    client.position()
    wait_until(lambda: kept(redis, name), "its position is kept from the first ping on")
    client.close()
    one.publish(room, 1)
    again = come(other, room, name)
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]


def test_a_name_that_redis_has_forgotten_is_told_so_until_it_acknowledges(nodes, redis, come, room, name):
    """Evicted, expired, deleted, flushed: it cannot be told apart from a new one, and so neither is silent."""
    one, other = nodes
    client = come(one, room, name)
    assert client.first_ping()["new"] is True
    one.publish(room, 1)
    assert client.next() == message(room, 1)
    wait_kept(redis, name, ack(client))
    wait_until(lambda: not kept(redis, name).endswith("new"), "it is known")
    client.close()
    again = come(other, room, name)
    assert "new" not in again.first_ping() and again.next() == resumed(0)
    redis.command("PERSIST", f"push:value:client:{name}")
    again.close()
    wait_until(lambda: redis.command("PTTL", f"push:value:client:{name}") > 0, "it has written its position")
    assert redis.command("DEL", f"push:value:client:{name}") == 1
    one.publish(room, 2)
    for at in (one, other):
        last = come(at, room, name)
        assert last.first_ping()["new"] is True
        wait_until(lambda: kept(redis, name).endswith("new"), "what was written may not have been read")
        last.close()


def test_past_the_window_messages_come_from_history_as_acks_come_in(nodes, come, room):
    one, other = nodes
    client = come(one, room)
    client.position()
    for i in range(30):
        nodes[i % 2].publish(room, i)
    newest = -1
    while newest < 29:
        got = client.next()
        # a machine that takes half a second between two acks is sent what it has not acknowledged again
        assert got in [message(room, i) for i in range(newest + 2)], f"{got} leaves out {newest + 1}"
        is_new = got == message(room, newest + 1)
        newest += is_new
        if not is_new or newest % 4 == 3:
            ack(client)


def test_what_is_not_acknowledged_comes_again(nodes, come, room):
    one, other = nodes
    client = come(one, room)
    client.position()
    for i in range(3):
        other.publish(room, i)
    assert [client.next() for _ in range(6)] == [message(room, i) for i in (0, 1, 2, 0, 1, 2)]
    ack(client)
    other.publish(room, 3)
    assert client.next() == message(room, 3)


def test_of_two_connections_at_two_nodes_the_newer_wins(nodes, redis, come, room, name):
    one, other = nodes
    older = come(one, room, name)
    older.position()
    one.publish(room, 1)
    one.publish(room, 2)
    assert older.next() == message(room, 1)
    newer = come(other, room, name)
    assert [newer.next() for _ in range(3)] == [message(room, 1), message(room, 2), resumed(2)]
    last = ack(newer)
    wait_kept(redis, name, last)
    ack(older)
    older.close()
    newer.close()
    again = come(one, room, name)
    assert again.next() == resumed(0)


def test_while_redis_is_gone_a_name_is_refused_and_its_position_is_not_forgotten(room, name):
    with RedisServer() as own, node(own.url(), **KEPT) as only:
        client = WsReader(only.port, room, more=f"&client={name}")
        client.position()
        only.publish(room, 1)
        assert client.next() == message(room, 1)
        last = ack(client)
        wait_kept(own, name, last)
        client.close()
        own.freeze()
        wait_until(lambda: readiness(only) == 503, "the node has noticed")
        refused = WsReader(only.port, room, more=f"&client={name}")
        assert refused.next() == ("error", {"error": "the position of this client cannot be read now"})
        assert refused.socket.close_code() == 1013
        own.thaw()
        wait_until(lambda: readiness(only) == 200, "the node has found Redis again")
        only.publish(room, 2)
        again = WsReader(only.port, room, more=f"&client={name}")
        assert [again.next(), again.next()] == [message(room, 2), resumed(1)]
        again.close()


def test_in_a_cluster_one_name_has_a_position_in_every_partition(room, name):
    channels = [f"{room}-{i}" for i in range(8)]
    with Cluster() as cluster, node(cluster.url, **KEPT) as one, node(cluster.url, **KEPT) as other:
        client = WsReader(one.port, ",".join(channels), more=f"&client={name}")
        client.position()
        for i in range(24):
            other.publish(channels[i % 8], i)
        got, acked = [], []
        while len(got) < 20:
            got.append(client.next()[1]["message"])
            acked.append(ack(client))
        owner = cluster.owner(slot_of(f"push:value:client:{name}"))
        wait_kept(owner, name, *acked)
        client.close()
        again = WsReader(other.port, ",".join(channels), more=f"&client={name}")
        rest = [again.next()[1]["message"] for _ in range(4)]
        assert sorted(got + rest) == list(range(24))
        assert again.next() == resumed(4)
        again.close()
