"""Publish requests that are more than one message, with Redis behind: keys hold on all nodes."""

import json
import threading
import time

import pytest

from http1 import post, request
from redis_nodes import node as start, ws
from redis_servers import Cluster, Proxy, RedisServer, Sentinels, slot_of, wait_until
from server import DIRECT, Server
from test_publish_many import Load, message, one


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    settings = {"PUSH_REDIS_URL": redis.url(), "PUSH_DRAIN_DURATION": "100ms"}
    with Server(**settings) as first, Server(**settings) as second:
        yield first, second


def send(node, body, headers=None, path="/messages"):
    return request(node.port, post(json.dumps(body), headers, path=path))


def keyed(node, key, body):
    return send(node, body, [f"Idempotency-Key: {key}"])


def test_an_array_is_answered_in_order(nodes):
    with ws(nodes[1], "many") as client:
        answer = send(nodes[0], [message("many", 1), {}, {"channels": ["many", "b"], "message": 2}])
        parts = answer.json
        assert (answer.status, parts[0], parts[2]) == (202, {"subscribers": 1}, {"subscribers": 1})
        assert parts[1]["status"] == 400
        assert [client.message() for _ in range(2)] == [("many", 1), ("many", 2)]


def test_a_repeat_on_any_node_is_answered_as_the_first_and_published_once(nodes):
    with ws(nodes[1], "once") as client:
        first = keyed(nodes[0], "k1", message("once", 1))
        again = keyed(nodes[1], "k1", message("once", 1))
        assert (first.status, again.status, again.body) == (202, 202, first.body)
        assert keyed(nodes[1], "k1", message("once", 2)).status == 422
        send(nodes[0], message("once", 3))
        assert [client.message() for _ in range(2)] == [("once", 1), ("once", 3)]


def test_of_many_repeats_at_once_one_is_published(nodes):
    with ws(nodes[0], "race") as client:
        answers = []

        def repeat(node):
            answers.append(keyed(node, "race", message("race", 1)))

        threads = [threading.Thread(target=repeat, args=(nodes[i % 2],)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {a.status for a in answers} <= {202, 409}
        assert [a for a in answers if a.status == 202]
        assert all("under way" in a.error for a in answers if a.status == 409)
        send(nodes[1], message("race", 2))
        assert [client.message() for _ in range(2)] == [("race", 1), ("race", 2)]


def loads(redis):
    line = redis.command("INFO", "commandstats").split(b"cmdstat_script|load:calls=")
    return int(line[1].split(b",")[0]) if len(line) > 1 else 0


@pytest.mark.parametrize("settings", [{}, {"PUSH_HISTORY_SIZE": 5}])
def test_a_large_request_with_a_key_loads_a_script_that_redis_has_lost_once(settings):
    body = json.dumps([{"channels": list("abcdefgh"), "message": 1}] * 1000, separators=(",", ":"))
    patient = {"PUSH_REDIS_TIMEOUT": "30s", "PUSH_REDIS_PUBLISH_WAIT": "30s"}
    with RedisServer() as redis, start(redis.url(), **patient, **settings) as node:
        wait_until(lambda: node.metric("push_redis_servers_up") == 1, "it is connected")
        count = 6 if settings else 1  # of history all, loaded with the connection
        for key, flush in (("fresh", False), ("flushed", True)):
            if flush:
                redis.command("SCRIPT", "FLUSH")
            answer = request(node.port, post(body, [f"Idempotency-Key: {key}"]), timeout=60)
            assert answer.status == 202 and not [part for part in answer.json if "error" in part]
            assert loads(redis) == count * (2 if flush else 1)
        assert node.metric("push_redis_failures_total") == 0


def test_an_answer_is_kept_for_five_minutes(redis, nodes):
    keyed(nodes[0], "ttl", message("c", 1))
    assert 290_000 < redis.command("PTTL", "push:value:idem:ttl") <= 300_000


def test_what_is_kept_by_somebody_else_is_no_answer(redis, nodes):
    for value in ("", "x", "y" * 1000):
        redis.command("SET", "push:value:idem:alien", value)
        assert keyed(nodes[0], "alien", message("c", 1)).status == 422


@pytest.mark.skipif(not DIRECT, reason="lws takes bodies of a known size only")
def test_a_stream_of_lines_is_answered_in_order(nodes):
    count = 5000
    with ws(nodes[1], "lines") as client, Load(nodes[0], timeout=30) as load:
        got = []

        def read():
            for _ in range(count):
                got.append(client.message()[1])

        def write():
            for start in range(0, count, 100):
                load.lines("".join(one("lines", i) for i in range(start, start + 100)))
            load.end()

        threads = [threading.Thread(target=read), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        assert [load.answer() for _ in range(count)] == [{"subscribers": 1}] * count
        assert load.answer() is None
        for thread in threads:
            thread.join(30)
        assert got == list(range(count))


def test_where_redis_is_away_nothing_is_published_and_the_key_is_free_again():
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url(), PUSH_REDIS_PUBLISH_WAIT="100ms") as node:
        wait_until(lambda: send(node, message("c", 0)).status == 202, "Redis is there")
        redis.kill()
        answer = keyed(node, "away", message("c", 1))
        assert answer.status == 503 and answer.headers["retry-after"]
        answer = send(node, [message("c", 1), message("c", 2)])
        assert answer.status == 202 and [p["status"] for p in answer.json] == [503, 503]
        redis.restart()
        wait_until(lambda: keyed(node, "away", message("c", 1)).status == 202, "Redis is back")


# --- an attempt that fails in the middle: who repeats it succeeds, and it is published once

HISTORY = {"PUSH_HISTORY_RULES": "kept:=10/5m"}


def repeat_until_done(node, key, body):
    """As told: again while it is 503 or 409."""
    answers = []

    def is_done():
        answers.append(keyed(node, key, body))
        assert answers[-1].status in (202, 409, 503), answers[-1].body
        return answers[-1].status == 202

    wait_until(is_done, "a repeat succeeds")
    return answers[-1]


def published(plain, node, channel):
    """What has come of one channel, up to a mark that is published now."""
    mark = f"mark of {channel}"
    wait_until(lambda: node.publish(channel, mark).status == 202, "the mark is published")
    got = []
    while not (message := plain.message()).endswith(mark.encode()):
        got.append(message)
    return got


def messages_until_end(client):
    """Other events are left out: one failover may be more than one gap."""
    got = []
    while True:
        event = client.event()
        if event["event"] == "message":
            if event["data"]["message"] == "end":
                return got
            got.append(event["data"]["message"])


@pytest.mark.parametrize("channel", ["stall", "kept:stall"])
@pytest.mark.parametrize("several", [False, True])
def test_a_key_is_taken_over_where_redis_stood_still(redis, channel, several):
    key = f"stall of {channel} {several}"
    body = [message(channel, i) for i in (1, 2)] if several else message(channel, 1)
    with start(redis.url(), **HISTORY) as one, start(redis.url(), **HISTORY) as other, redis.subscribe(channel) as plain:
        redis.freeze()
        try:
            assert keyed(one, key, body).status == 503
        finally:
            redis.thaw()
        answer = repeat_until_done(other, key, body)
        assert all("error" not in part for part in (answer.json if several else [answer.json]))
        assert repeat_until_done(one, key, body).body == answer.body
        assert len(published(plain, one, channel)) == (2 if several else 1)


def refused_as_late(redis):
    line = redis.command("INFO", "errorstats").split(b"errorstat_LATE:count=")
    return int(line[1].split()[0]) if len(line) > 1 else 0


def test_a_stall_of_redis_that_is_shorter_than_the_deadline_only_delays(redis):
    count, answers, before = 100, [], refused_as_late(redis)
    with start(redis.url(), **HISTORY, PUSH_REDIS_TIMEOUT="60s") as one, redis.subscribe("kept:short") as plain:
        assert one.publish("kept:short", "first").status == 202
        thread = threading.Thread(target=lambda: answers.append(send(one, [message("kept:short", i) for i in range(count)])))
        redis.freeze()
        try:
            thread.start()
            wait_until(lambda: one.metric("push_redis_commands_in_flight") >= count, "they lie in its socket")
        finally:
            redis.thaw()
        thread.join()
        assert answers[0].json == [{"subscribers": 1}] * count
        got = published(plain, one, "kept:short")[1:]
        assert [m.split(b"\x1e")[-1] for m in got] == [b"%d" % i for i in range(count)]
    assert refused_as_late(redis) == before


def test_a_redis_that_is_busy_for_longer_than_its_timeout_is_not_asked_again_and_again(redis):
    count, before = 4000, refused_as_late(redis)
    with start(redis.url(), **HISTORY, PUSH_REDIS_TIMEOUT="100ms") as one, redis.subscribe("kept:busy") as plain:
        wait_until(lambda: one.publish("kept:busy", -1).status == 202, "Redis is there")
        body = [{"channels": ["kept:busy", *(f"kept:{n}" for n in range(7))], "message": i} for i in range(count // 8)]
        assert request(one.port, post(json.dumps(body)), timeout=60).status == 202
        got = [int(m.split(b"\x1e")[-1]) for m in published(plain, one, "kept:busy")]
        assert got and got == sorted(got)
    assert refused_as_late(redis) - before < count


def script_calls(redis):
    """Those that the server has read, also if it refused them."""
    line = redis.command("INFO", "commandstats").split(b"cmdstat_evalsha:calls=")
    if len(line) == 1:
        return 0
    return int(line[1].split(b",")[0]) + int(line[1].split(b"rejected_calls=")[1].split(b",")[0])


@pytest.mark.parametrize("channel", ["late", "kept:late"])
def test_a_publish_that_redis_carries_out_late_is_not_published_again(redis, channel):
    proxy, key, body = Proxy(redis.port), f"late to {channel}", message(channel, 1)
    with start(f"redis://127.0.0.1:{proxy.port}", **HISTORY) as one, start(redis.url(), **HISTORY) as other, \
            redis.subscribe(channel) as plain:
        proxy.hold = b"\r\n%s\r\n" % channel.encode()
        answer = keyed(one, key, body)
        assert answer.status == 503 and "may have been published" in answer.error
        assert proxy.held.is_set()
        assert keyed(other, key, message(channel, 2)).status == 422
        assert repeat_until_done(other, key, body).status == 202
        before = script_calls(redis)
        proxy.release()
        wait_until(lambda: script_calls(redis) > before, "it is carried out")
        assert len(published(plain, other, channel)) == 1
    proxy.close()


@pytest.mark.parametrize("channel", ["answer", "kept:answer"])
def test_a_publish_whose_answer_is_lost_is_answered_to_its_repeat(redis, channel):
    proxy, key, body = Proxy(redis.port), f"lost of {channel}", message(channel, 1)
    with start(f"redis://127.0.0.1:{proxy.port}", **HISTORY) as one, redis.subscribe(channel) as plain:
        proxy.cut_after_publish, began = channel, time.monotonic()
        answer = keyed(one, key, body)
        assert answer.status == 503 and "may have been published" in answer.error
        # until then a server that stands still may carry it out: it is under way for repeats, too
        assert time.monotonic() - began >= 2
        assert repeat_until_done(one, key, body).json == {"subscribers": 1}
        assert len(published(plain, one, channel)) == 1
    proxy.close()


def test_where_redis_does_not_say_what_time_it_is_keys_work_and_the_log_says_what_is_missing():
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "default", "-time")
        with start(redis.url()) as one, redis.subscribe("timeless") as plain:
            for _ in range(2):
                assert repeat_until_done(one, "timeless", message("timeless", 1)).json == {"subscribers": 1}
            assert len(published(plain, one, "timeless")) == 1
            assert any("TIME is refused (Push's user needs +time)" in line for line in one.process.lines)


@pytest.mark.parametrize("channel", ["clock", "kept:clock"])
def test_a_clock_of_redis_that_is_set_does_not_stop_publishes(redis, channel):
    proxy, before = Proxy(redis.port), refused_as_late(redis)
    # Push takes Redis for hours behind, so that each script is refused for its deadline, and then sent again
    proxy.clock_ahead_s = -7200
    with start(f"redis://127.0.0.1:{proxy.port}", **HISTORY) as one, redis.subscribe(channel) as plain:
        for number, behind in enumerate((-7200, 0, -7200, 7200)):
            proxy.clock_ahead_s = behind
            assert keyed(one, f"{channel} {number}", message(channel, number)).json == {"subscribers": 1}
        assert refused_as_late(redis) > before
        assert len(published(plain, one, channel)) == 4
    proxy.close()


def test_a_message_that_is_not_kept_is_published_once_and_its_repeat_is_answered():
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "default", "-xadd")
        proxy, body = Proxy(redis.port), message("kept:not", 1)
        with start(f"redis://127.0.0.1:{proxy.port}", **HISTORY) as one, redis.subscribe("kept:not") as plain:
            proxy.cut_after_publish = "kept:not"
            answer = keyed(one, "not kept", body)
            assert answer.status == 503 and "may have been published" in answer.error
            assert repeat_until_done(one, "not kept", body).json == {"subscribers": 1}
            assert len(published(plain, one, "kept:not")) == 1
        proxy.close()


def test_a_message_that_is_neither_kept_nor_published_is_published_by_its_repeat():
    with RedisServer() as redis, start(redis.url(), **HISTORY) as one:
        redis.command("ACL", "SETUSER", "default", "-xadd", "resetchannels", "&\x1epush:*")
        answer = keyed(one, "neither", message("kept:no", 1))
        assert answer.status == 503 and "refused" in answer.error
        redis.command("ACL", "SETUSER", "default", "allchannels")
        with redis.subscribe("kept:no") as plain:
            assert repeat_until_done(one, "neither", message("kept:no", 1)).json == {"subscribers": 1}
            assert len(published(plain, one, "kept:no")) == 1


def test_of_an_array_only_what_has_failed_is_published_again(redis):
    body = [message("part-1", 1), {}, message("part-2", 2)]
    with start(redis.url()) as one, redis.subscribe("part-1") as first:
        redis.command("ACL", "SETUSER", "default", "resetchannels", "&part-1", "&\x1epush:*")
        answer = keyed(one, "parts", body)
        assert [part.get("status") for part in answer.json] == [None, 400, 503]
        redis.command("ACL", "SETUSER", "default", "allchannels")
        with redis.subscribe("part-2") as second:
            answer = keyed(one, "parts", body)
            assert [part.get("status") for part in answer.json] == [None, 400, None]
            assert keyed(one, "parts", body).body == answer.body
            assert len(published(first, one, "part-1")) == len(published(second, one, "part-2")) == 1


def test_a_key_that_is_under_way_is_not_taken_over_at_another_node_either():
    settings = {"PUSH_PUBLISH_WAIT_MAX": "5s"}
    with RedisServer() as redis, start(redis.url(), **settings) as one, start(redis.url(), **settings) as other:
        body, key, answers = message("slow", 1), ["Idempotency-Key: slow"], []
        wait_until(lambda: other.metric("push_redis_peers") >= 1, "they know each other")
        # it waits for a node that never says how many it has written
        redis.command("HSET", "push:clients:slow", "0" * 16, 1)
        redis.command("PUBLISH", "\x1epush:nodes", "+" + "0" * 16)
        thread = threading.Thread(target=lambda: answers.append(send(one, body, key, "/messages?wait=written")))
        thread.start()
        wait_until(lambda: redis.command("EXISTS", "push:value:idem:slow") == 1, "it is claimed")
        for node in (one, other):
            answer = send(node, body, key, "/messages?wait=written")
            assert answer.status == 409 and "under way" in answer.error
        thread.join(20)
        assert answers[0].json == {"subscribers": 1, "written": 0}
        assert send(other, body, key, "/messages?wait=written").body == answers[0].body


def test_a_key_of_a_node_that_was_killed_is_taken_over(redis):
    with start(redis.url()) as one, redis.subscribe("killed") as plain:
        body = message("killed", 1)
        assert keyed(one, "killed", body).status == 202
        digest = redis.command("GET", "push:value:idem:killed")[:32]
        redis.command("SET", "push:value:idem:killed", digest + b"000" + b"0123456789abcdef" + b"0" * 15 + b"1")
        assert keyed(one, "killed", body).json == {"subscribers": 1}
        assert len(published(plain, one, "killed")) == 1


def test_a_key_is_taken_over_where_a_master_was_replaced():
    with Sentinels() as sentinels, start(sentinels.url, **HISTORY) as one, start(sentinels.url, **HISTORY) as other:
        master, replica = sentinels.master(), sentinels.other()
        body = message("failover", 1)
        client = ws(other, "failover")
        wait_until(lambda: one.publish("kept:late", 0).status == 202, "the master is there")
        plain, calls, answers = master.subscribe("kept:late"), script_calls(master), []
        late = threading.Thread(target=lambda: answers.append(send(one, message("kept:late", 1))))
        master.freeze()
        late.start()
        try:
            assert keyed(one, "failover", body).status == 503
            sentinels.wait_for_master(replica.port)
            assert client.event()["event"] == "gap"  # it is subscribed at the new one
            repeat_until_done(one, "failover", body)
        finally:
            master.thaw()
            late.join()
        assert answers[0].status == 503
        wait_until(lambda: script_calls(master) > calls, "the old master has read what lay in its socket")
        master.command("PUBLISH", "kept:late", "end")
        assert plain.message() == b"end"
        assert repeat_until_done(other, "failover", body).status == 202
        wait_until(lambda: b"role:slave" in master.command("INFO", "replication"), "the old master follows")
        wait_until(lambda: other.publish("failover", "end").status == 202, "it is over")
        assert messages_until_end(client) == [1]


def slot_of_kept(cluster, channel):
    """Of its partition."""
    for node in cluster.nodes:
        for key in node.command("KEYS", f"push:history:{{*}}:{channel}"):
            return slot_of(key.decode())
    raise AssertionError(f"no history of {channel}")


@pytest.mark.parametrize("stuck, channel, sharded", [("claim", "failover", "off"), ("publish", "failover", "on"),
                                                     ("publish", "kept:failover", "off")])
def test_a_key_is_taken_over_where_a_master_of_a_cluster_was_replaced(stuck, channel, sharded):
    """And what lies in the old one's socket is not carried out when it goes on, before it knows that it is deposed."""
    settings = {**HISTORY, "PUSH_REDIS_SHARDED": sharded}  # with history the scripts are there from the start
    with Cluster() as cluster, start(cluster.url, **settings) as one, start(cluster.url, **settings) as other:
        body, client = message(channel, 1), ws(other, channel)
        wait_until(lambda: one.publish(channel, 0).status == 202, "the cluster is there")
        slot = slot_of_kept(cluster, channel) if channel.startswith("kept:") else slot_of(channel)
        owner = cluster.owner(slot)
        tags = [channel] if stuck == "claim" else [str(i) for i in range(100) if cluster.owner(slot_of(str(i))) is not owner]
        key = "{%s}" % tags[0]
        survivor = next(n for n in cluster.nodes if n is not owner)
        plain, calls = survivor.subscribe(channel), script_calls(owner)
        owner.freeze()
        try:
            assert keyed(one, key, body).status == 503
            wait_until(lambda: any(first <= slot <= last and master[1] != owner.port
                                   for first, last, master, *_ in survivor.command("CLUSTER", "SLOTS")), "a replica takes over")
            while not channel.startswith("kept:") and client.event()["event"] != "gap":
                pass  # until it is subscribed at the new one
            repeat_until_done(one, key, body)
        finally:
            owner.thaw()
        assert repeat_until_done(other, key, body).status == 202
        wait_until(lambda: b"role:slave" in owner.command("INFO", "replication"), "the old master follows")
        if stuck == "publish":
            wait_until(lambda: script_calls(owner) > calls, "it has read what lay in its socket")
        if sharded == "off":  # the cluster's bus brings all of it
            assert len([m for m in published(plain, other, channel) if m.endswith(b"\x1e1")]) == 1
        wait_until(lambda: other.publish(channel, "end").status == 202, "it is over")
        assert [m for m in messages_until_end(client) if m == 1] == [1]


def test_keys_lie_anywhere_in_a_cluster():
    with Cluster() as cluster, Server(PUSH_REDIS_URL=cluster.url) as node:
        wait_until(lambda: send(node, message("c", 0)).status == 202, "the cluster is there")
        for i in range(20):
            first = keyed(node, f"{{k{i}}}x", message("c", i))
            assert first.status == 202
            assert keyed(node, f"{{k{i}}}x", message("c", i)).body == first.body
            assert keyed(node, f"{{k{i}}}x", message("c", -1)).status == 422
