"""GET /messages with Redis: what holds for the embedded broker, at whichever node, and what Redis can do to it."""

import pytest

from http1 import get, post, request
from redis_nodes import node, readiness, rights
from redis_servers import Cluster, RedisServer, wait_until
from resuming import WsReader, message, resumed
from test_read_history import (  # noqa: F401  the same promises, with the servers of this file
    read, room, values, test_a_bad_channel_is_refused, test_a_bad_limit_is_refused,
    test_a_channel_without_history_is_404, test_a_limit_is_kept_and_more_is_told,
    test_a_message_that_has_outlived_its_ttl_is_left_out_and_not_missed, test_a_reader_goes_on_where_it_was,
    test_an_id_that_is_not_ours_brings_all_and_says_that_some_may_be_missing,
    test_head_and_preflight_and_origins_are_answered, test_many_bytes_come_in_several_answers,
    test_an_answer_is_bounded_whatever_its_messages_need_for_escapes,
    test_names_are_percent_decoded_and_escaped, test_reads_and_publishes_share_a_connection,
    test_the_answer_has_the_form_that_the_page_on_history_shows, test_the_ids_are_those_of_clients,
    test_what_is_kept_is_read_in_order, test_what_is_no_id_is_refused)

KEPT = {"PUSH_HISTORY_SIZE": 20, "PUSH_HISTORY_TTL": "1m", "PUSH_HISTORY_RULES": "short:=3 off:=0 big:=5000"}


class Two:
    """Two nodes: one is published to, the other one is read from."""

    def __init__(self, redis, **more):
        self.redis = redis
        url = redis.url if isinstance(redis.url, str) else redis.url()
        self.one, self.other = node(url, **KEPT, **more), node(url, **KEPT, **more)
        self.port, self.publish = self.other.port, self.one.publish

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.one.__exit__(*how)
        self.other.__exit__(*how)

    def await_readiness(self, status):
        for at in (self.one, self.other):
            wait_until(lambda at=at: readiness(at) == status, f"readiness is {status}")


KINDS = {"single": (RedisServer, {}), "cluster": (Cluster, {}), "sharded": (Cluster, {"PUSH_REDIS_SHARDED": "on"})}


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    kind, options = KINDS[request.param]
    with kind() as redis, Two(redis, **options) as running:
        yield running


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def two(redis):
    with Two(redis) as running:
        yield running


def test_what_is_gone_is_told(server, room):
    channel = f"short:{room}"
    first = read(server, channel)["id"]
    for value in range(6):
        server.publish(channel, value)
    got = read(server, channel, since=first)
    assert (values(got), got["missed"]) == ([3, 4, 5], "unknown")
    assert read(server, channel)["missed"] == 0
    got = read(server, channel, since=got["messages"][0]["id"])
    assert (values(got), got["missed"]) == ([4, 5], 0)


def test_channels_of_all_partitions_are_read_and_a_quiet_one_misses_nothing(server, room):
    since = {i: read(server, f"{room}-{i}")["id"] for i in range(24)}
    for i in range(24):
        server.publish(f"{room}-{i}", i)
    for i in range(24):
        got = read(server, f"{room}-{i}", since=since[i])
        assert (values(got), got["missed"], got["more"]) == ([i], 0, False)
    for _ in range(2):
        assert read(server, f"{room}-quiet", since=read(server, f"{room}-quiet")["id"])["missed"] == 0


def add(redis, channel, id, value, age_ms=0, ttl_ms=0):
    """Redis then keeps a message that was published some time ago."""
    seconds, micros = map(int, redis.command("TIME"))
    redis.command("XADD", f"push:history:{channel}", id, "m", value, "t", seconds * 1000 + micros // 1000 - age_ms,
                  "x", ttl_ms, "a", "0-0")


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 17, 300])
def test_messages_that_are_too_old_are_left_out_however_many_and_are_missed(two, redis, room, count, epochs):
    first = read(two, room)["id"]
    epoch, number = (int(redis.command("HGET", "push:history", field)) for field in "en")
    for i in range(count + 3):
        if i * epochs // (count + 3) != (i - 1) * epochs // (count + 3):
            redis.command("HSET", "push:history", "e", epoch + i * epochs // (count + 3))
        number += 1 + i % 2
        add(redis, room, f"{epoch + i * epochs // (count + 3)}-{number}", f"{i}", 3600000 if i < count else 0)
    redis.command("HSET", "push:history", "n", number)
    got = read(two, room, since=first)
    assert (values(got), got["missed"], got["more"]) == ([f"{i}" for i in range(count, count + 3)], "unknown", False)
    got = read(two, room)
    assert (values(got), got["missed"]) == ([f"{i}" for i in range(count, count + 3)], 0)
    assert read(two, room, since=got["messages"][-2]["id"])["messages"] == got["messages"][-1:]


def test_where_all_are_too_old_they_are_missed(two, redis, room):
    two.publish(room, 0)
    first = read(two, room)["id"]
    epoch, number = (int(redis.command("HGET", "push:history", field)) for field in "en")
    add(redis, room, f"{epoch}-{number + 1}", "old", 3600000)
    redis.command("HSET", "push:history", "n", number + 1)
    got = read(two, room, since=first)
    assert (values(got), got["missed"], got["more"]) == ([], "unknown", False)
    assert read(two, room, since=got["id"])["missed"] == 0


def test_an_epoch_that_ended_leaves_its_messages_and_makes_an_id_unknown(two, redis, room):
    first = read(two, room)["id"]
    for value in range(4):
        two.publish(room, value)
        redis.command("HINCRBY", "push:history", "e", 1)
    got = read(two, room)
    assert (values(got), got["missed"]) == ([0, 1, 2, 3], 0)
    assert read(two, room, since=got["messages"][0]["id"])["missed"] == "unknown"
    assert values(read(two, room, since=got["messages"][1]["id"])) == [2, 3]
    assert read(two, room, since=first)["missed"] == "unknown"
    two.publish(room, 4)
    assert (values(read(two, room, since=read(two, room)["id"]))) == []


def test_after_a_flush_an_id_is_unknown_and_what_came_then_is_read(two, redis, room):
    two.publish(room, 1)
    since = read(two, room)["id"]
    redis.command("FLUSHALL")
    assert (values(read(two, room)), read(two, room, since=since)["missed"]) == ([], "unknown")
    two.publish(room, 2)
    got = read(two, room, since=since)
    assert (values(got), got["missed"]) == ([2], "unknown")


def test_scripts_that_redis_has_forgotten_are_loaded_again(two, redis, room):
    two.publish(room, 1)
    redis.command("SCRIPT", "FLUSH")
    assert values(read(two, room)) == [1]


def test_what_plain_clients_publish_is_not_read(two, redis, room):
    two.publish(room, 1)
    redis.command("PUBLISH", room, "by hand")
    assert values(read(two, room)) == [1]


def test_any_bytes_in_a_stream_make_valid_json(two, redis, room):
    two.publish(room, "a")
    (id, fields), = redis.command("XRANGE", f"push:history:{room}", "-", "+")
    epoch, number = map(int, id.split(b"-"))
    for payload in (b'"}],\n', b"\xff\xfe", b"\x1e{\"a\":1}", b"\x1e{", b""):
        number += 1
        redis.command("XADD", f"push:history:{room}", f"{epoch}-{number}", "m", payload, "t", fields[3], "x", "0", "a", "0-0")
    redis.command("HSET", "push:history", "n", number)
    assert values(read(two, room)) == ["a", '"}],\n', "\ufffd\ufffd", {"a": 1}, "\x1e{", ""]


def test_many_messages_that_have_outlived_their_ttl_come_to_an_end(two, redis, room):
    channel, key = f"big:{room}", f"push:history:big:{room}"
    two.publish(channel, "first", ttl=1)
    (id, fields), = redis.command("XRANGE", key, "-", "+")
    epoch, number = map(int, id.split(b"-"))
    with redis.client() as client:
        for i in range(1, 4999):
            client.send("XADD", key, f"{epoch}-{number + i}", *fields)
        for i in range(1, 4999):
            client.read()
    redis.command("HSET", "push:history", "n", number + 4998)
    two.publish(channel, "last")
    got = read(two, channel)
    assert (values(got), got["more"], got["missed"]) == ([], True, 0)
    got = read(two, channel, since=got["id"])
    assert (values(got), got["more"], got["missed"]) == (["last"], False, 0)


def test_while_redis_is_away_it_is_503_and_afterwards_all_is_there(room):
    with RedisServer() as redis, Two(redis) as two:
        two.publish(room, 1)
        since = read(two, room)["id"]
        redis.freeze()
        answer = get(two.port, f"/messages?channel={room}")
        assert answer.status == 503 and answer.error
        two.await_readiness(503)
        answer = get(two.port, f"/messages?channel={room}")
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        redis.thaw()
        two.await_readiness(200)
        got = read(two, room, since=since)
        assert (values(got), got["missed"]) == ([], 0)
        assert values(read(two, room)) == [1]


def test_a_server_of_wrong_data_is_503_and_does_no_harm(two, redis, room):
    redis.command("SET", f"push:history:{room}", "no stream")
    answer = get(two.port, f"/messages?channel={room}")
    assert answer.status == 503 and answer.error
    redis.command("DEL", f"push:history:{room}")
    assert values(read(two, room)) == []


def test_in_a_cluster_a_slot_that_moves_keeps_its_messages_and_its_ids(room):
    with Cluster() as cluster, Two(cluster, PUSH_REDIS_SHARDED="on") as two:
        cluster.wait_until_old()
        first = read(two, room)["id"]
        two.publish(room, 1)
        since = read(two, room)["id"]
        slot = int(since.split(".")[0], 36) * 1024
        owner = cluster.owner(slot)
        cluster.move_slot(slot, next(n for n in cluster.nodes[:3] if n.port != owner.port))
        wait_until(lambda: get(two.port, f"/messages?channel={room}").status == 200, "it is found again")
        for at, expected in ((first, [1]), (since, [])):
            got = read(two, room, since=at)
            assert (values(got), got["missed"]) == (expected, 0)
        two.publish(room, 2)
        assert values(read(two, room, since=since)) == [2]


@pytest.mark.parametrize("kind", ["single", "sharded"])
def test_the_user_of_the_page_on_redis_may_do_all_that_history_needs_and_nothing_is_denied(kind, room):
    acl = rights("history", *(["cluster"] if kind == "sharded" else []))
    with KINDS[kind][0]() as redis:
        servers = redis.nodes if kind == "sharded" else [redis]
        url = (redis.url if kind == "sharded" else redis.url()).replace("://", "://push:s3cret@")
        for at in servers:
            at.command("ACL", "SETUSER", "push", "on", ">s3cret", *acl)
        with node(url, **KEPT, **KINDS[kind][1]) as one:
            client = WsReader(one.port, f"{room}&client={room}")
            client.position()
            # each branch of the scripts: a new channel, one that is full, one that was quiet
            for value in range(25):
                one.publish(room, value)
                assert client.next() == message(room, value)
            client.say("ack", id=client.id)
            client.close()
            body = '{"channel":"%s","message":"once"}' % room
            for _ in range(2):
                assert request(one.port, post(body, headers=["Idempotency-Key: k"])).status == 202
            back = WsReader(one.port, f"{room}&client={room}")
            assert [back.next(), back.next()] == [message(room, "once"), resumed(1)]
            back.close()
            assert len(read(one, room)["messages"]) == 20
            assert values(read(one, f"{room}-quiet")) == []
            assert "refuses" not in one.process.output()
        # a name for the connection is the only thing that may be denied
        for at in servers:
            denied = [dict(zip(entry[::2], entry[1::2])) for entry in at.command("ACL", "LOG")]
            assert [d for d in denied if b"client" not in d[b"object"]] == []
