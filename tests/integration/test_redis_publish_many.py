"""Publish requests that are more than one message, with Redis behind: keys hold on all nodes."""

import json
import threading

import pytest

from http1 import post, request
from redis_nodes import ws
from redis_servers import Cluster, RedisServer, wait_until
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


def test_keys_lie_anywhere_in_a_cluster():
    with Cluster() as cluster, Server(PUSH_REDIS_URL=cluster.url) as node:
        wait_until(lambda: send(node, message("c", 0)).status == 202, "the cluster is there")
        for i in range(20):
            first = keyed(node, f"{{k{i}}}x", message("c", i))
            assert first.status == 202
            assert keyed(node, f"{{k{i}}}x", message("c", i)).body == first.body
            assert keyed(node, f"{{k{i}}}x", message("c", -1)).status == 422
