"""push.redis.prefix: several installations share a Redis and stay apart."""

import itertools
import json

import pytest

from http1 import get, post, publish, request
from redis_nodes import node, rights, ws
from redis_servers import Cluster, RedisServer, wait_until
from resuming import WsReader, message, resumed
from test_live import Controlled

rooms = (f"room-{i}" for i in itertools.count())
KEPT = {"PUSH_HISTORY_SIZE": 20, "PUSH_HISTORY_RULES": "off:=0"}


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def colours(redis):
    """Two of one prefix, one of another."""
    with node(redis.url(), PUSH_REDIS_PREFIX="blue:", **KEPT) as one, \
            node(redis.url(), PUSH_REDIS_PREFIX="blue:", **KEPT) as two, \
            node(redis.url(), PUSH_REDIS_PREFIX="green:", **KEPT) as other:
        one.wait_metric("push_redis_peers", 1)
        two.wait_metric("push_redis_peers", 1)
        yield one, two, other


@pytest.fixture(params=["", "off:"], ids=["kept", "plain"])
def room(request):
    return request.param + next(rooms)


def counted(at, channel, number):
    wait_until(lambda: publish(at.port, channel, "count").json["subscribers"] == number, f"{number} are counted")


def next_message(client):
    while True:
        got = client.message()
        if got[1] != "count":
            return got


def test_messages_and_counts_stay_within_a_prefix(colours, room):
    one, two, other = colours
    with ws(one, room) as here, ws(two, room) as too, ws(other, room) as there:
        counted(two, room, 2), counted(other, room, 1)
        for value in ("text", {"a": "\x1e"}):
            assert publish(one.port, room, value).json == {"subscribers": 2}
            assert publish(other.port, room, "else").json == {"subscribers": 1}
            assert next_message(here) == next_message(too) == (room, value)
            assert next_message(there) == (room, "else")
    assert other.metric("push_redis_peers") == 0


def test_who_waits_for_written_hears_of_its_own_nodes_only(colours, room):
    one, two, other = colours
    with ws(two, room), ws(other, room):
        counted(one, room, 1), counted(other, room, 1)
        body = json.dumps({"channel": room, "message": 1})
        assert request(one.port, post(body, path="/messages?wait=written")).json == {"subscribers": 1, "written": 1}


def test_history_is_each_ones_own(colours):
    one, two, other = colours
    channel = next(rooms)
    client = WsReader(one.port, channel)
    position = client.position()
    assert publish(two.port, channel, 1).status == publish(other.port, channel, "else").status == 202
    assert client.next() == message(channel, 1)
    client.close()
    again = WsReader(two.port, channel, position)
    assert [again.next(), again.next()] == [message(channel, 1), resumed(1)]
    again.close()
    for at, value in ((one, 1), (two, 1), (other, "else")):
        assert [item["message"] for item in get(at.port, f"/messages?channel={channel}").json["messages"]] == [value]


def test_an_idempotency_key_is_each_ones_own(colours, room):
    one, two, other = colours
    body = json.dumps({"channel": room, "message": 1})

    def send(at):
        return request(at.port, post(body, [f"Idempotency-Key: key-{room}"]))

    assert send(one).status == 202
    assert send(two).headers.get("idempotency-replayed") == send(one).headers.get("idempotency-replayed")
    with ws(other, room) as there:
        counted(other, room, 1)
        assert send(other).json == {"subscribers": 1}
        assert next_message(there) == (room, 1)


def test_a_token_is_nothing_to_another_prefix(colours, room):
    one, two, other = colours
    client = Controlled(one.port, room)
    path = f"/sse/messages/{client.token}"
    body = json.dumps({"subscribe": [next(rooms)]})
    assert request(two.port, post(body, path=path)).status == 200
    # 503 until it knows for certain which nodes there are
    wait_until(lambda: request(other.port, post(body, path=path)).status == 404, "nobody there has such a token", 20)


def test_all_names_in_redis_begin_with_the_prefix_and_those_without_one_are_as_ever(redis, colours):
    one, _, _ = colours
    with node(redis.url()) as bare, ws(one, "named"), ws(bare, "named"):
        counted(one, "named", 1), counted(bare, "named", 1)
        request(one.port, post(json.dumps({"channel": "named", "message": 1}), ["Idempotency-Key: k"]))
        keys = [key.decode() for key in redis.command("KEYS", "*")]
        channels = [name.decode() for name in redis.command("PUBSUB", "CHANNELS", "*")]
        bare_keys = [key for key in keys if not key.startswith(("blue:push:", "green:push:"))]
        assert "push:clients:named" in bare_keys and all(key.startswith("push:") for key in bare_keys)
        assert {"blue:push:clients:named", "blue:push:history", "blue:push:history:named"} <= set(keys)
        assert {"named", "blue:named", "\x1epush:nodes", "blue:\x1epush:nodes"} <= set(channels)


def test_plain_clients_of_redis_use_the_prefixed_name(redis, colours):
    one, _, _ = colours
    with ws(one, "off:cli") as client, redis.subscribe("blue:off:cli") as plain:
        counted(one, "off:cli", 2)
        redis.command("PUBLISH", "blue:off:cli", "by hand")
        assert next_message(client) == ("off:cli", "by hand")
        while plain.message() != b"by hand":
            pass


def test_a_user_may_be_confined_to_a_prefix():
    """The one of docs/redis.md, but for the prefix."""
    acl = rights("history")
    for everything, part in (("&*", "&blue:*"), ("~push:*", "~blue:push:*")):
        acl[acl.index(everything)] = part
    with RedisServer() as own:
        own.command("ACL", "SETUSER", "push", "resetchannels", "on", ">s3cret", *acl)
        with node(own.url("push:s3cret@"), PUSH_REDIS_PREFIX="blue:", **KEPT) as one, ws(one, "acl") as client:
            counted(one, "acl", 1)
            publish(one.port, "acl", 1)
            assert next_message(client) == ("acl", 1)
            assert "NOPERM" not in one.process.output() and "refuses" not in one.process.output()


@pytest.mark.parametrize("sharded", ["off", "on"])
def test_in_a_cluster_names_with_and_without_braces_have_their_slots(sharded):
    names = [*(f"slots-{i}" for i in range(12)), "a{b}c", "{x}", "{}y", "}z{", "off:1", "off:{b}", "off:{}2"]
    with Cluster() as cluster:
        more = {"PUSH_REDIS_SHARDED": sharded, **KEPT}
        with node(cluster.url, PUSH_REDIS_PREFIX="blue:", **more) as one, \
                node(cluster.url, PUSH_REDIS_PREFIX="blue:", **more) as two, \
                node(cluster.url, PUSH_REDIS_PREFIX="green:", **more) as other, \
                ws(one, ",".join(names)) as client, ws(other, ",".join(names)):
            for name in names:
                counted(two, name, 1), counted(other, name, 1)
                assert publish(two.port, name, f"to {name}").json == {"subscribers": 1}
                assert next_message(client) == (name, f"to {name}")
                if not name.startswith("off:"):
                    got = get(one.port, f"/messages?channel={name.replace('{', '%7B').replace('}', '%7D')}").json
                    assert got["messages"][-1]["message"] == f"to {name}"


@pytest.mark.parametrize("prefix", ["a b", "{a}", "a*", "a[b]", "a?", "ü", "x" * 65, "a\\"])
def test_a_prefix_with_other_bytes_or_too_long_stops_the_start(redis, prefix):
    server = node(redis.url(), PUSH_REDIS_PREFIX=prefix, wait=False)
    assert server.process.wait(20) == 1
    assert len(server.process.lines) == 1 and "push.redis.prefix" in server.process.output()
