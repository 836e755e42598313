"""Tokens of event streams with Redis behind: channels are changed from any node and any worker."""

import json
import os
import signal
import threading
import time

import pytest

from http1 import post, request
from redis_nodes import node
from redis_servers import RedisServer, wait_until
from server import SANITIZED
from test_live import Controlled, message, subscribed, unsubscribed

SOON_S = 6 if SANITIZED else 2.5
MARK = "\x1e"
NOBODY = f"{'0' * 16}.{'0' * 32}"


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    with node(redis.url()) as one, node(redis.url()) as other:
        for each in (one, other):
            each.wait_metric("push_redis_peers", 1)
            wait_until(lambda: change(each, NOBODY, subscribe=["x"]).status == 404, "it knows whom there is")
        yield one, other


def change(at, token, **body):
    return request(at.port, post(json.dumps(body), path=f"/sse/messages/{token}"))


def test_a_token_works_at_the_other_node(nodes):
    one, other = nodes
    client = Controlled(one.port, "here")
    answer = change(other, client.token, subscribe=["there", ""], unsubscribe=["here"])
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"subscribed": ["there"], "unsubscribed": ["here"],
                           "errors": [{"channel": "", "error": "bad channel name '': empty"}]}
    assert [client.event(), client.event()] == [unsubscribed("here"), subscribed("there")]
    assert other.publish("there", 1).status == 202
    assert client.event() == message("there", 1)
    client.stream.close()


def test_what_is_wrong_is_said_by_the_other_node(nodes):
    one, other = nodes
    client = Controlled(one.port, "wrong")
    for body in ("", "[]", "{", '{"subscribe":1}'):
        here, there = (request(at.port, post(body, path=f"/sse/messages/{client.token}")) for at in nodes)
        assert (here.status, here.body) == (there.status, there.body)
        assert there.status == 400 and there.error
    client.stream.close()


def test_tokens_that_nobody_has_are_not_found(nodes):
    one, other = nodes
    client = Controlled(one.port, "missing")
    name, secret = client.token.split(".")
    for token in (f"{name}.{secret[::-1]}", f"{'0' * 16}.{secret}", f"{'z' * 16}.{secret}"):
        start = time.monotonic()
        here, there = (change(at, token, subscribe=["x"]) for at in nodes)
        assert (there.status, there.body) == (404, here.body), token
        assert time.monotonic() - start < SOON_S
    client.stream.close()
    wait_until(lambda: change(other, client.token, subscribe=["x"]).status == 404, "the token is gone with its stream")


def test_a_node_just_started_does_not_say_that_a_stream_does_not_exist(redis, nodes):
    client = Controlled(nodes[0].port, "there")
    with node(redis.url()) as new:
        answers = [change(new, client.token, subscribe=["x"])]
        while answers[-1].status == 503:
            answers.append(change(new, client.token, subscribe=["x"]))
        assert answers[-1].status == 200, answers[-1].body
    client.stream.close()


def test_a_token_works_at_whichever_worker_it_comes_to():
    """The kernel chooses the worker for each connection."""
    with RedisServer() as redis, node(redis.url(), PUSH_WORKERS=2) as server:
        wait_until(lambda: server.process.output().count(" is up") >= 2, "both workers have heard of each other")
        client = Controlled(server.port, "start")
        with redis.subscribe(f"{MARK}push:node:{client.token.split('.')[0]}") as spy:
            for i in range(50):
                answer = change(server, client.token, subscribe=[f"w{i}"])
                assert (answer.status, answer.json["subscribed"]) == (200, [f"w{i}"])
                assert client.event() == subscribed(f"w{i}")
            assert spy.message().startswith(b"?"), "some came to the other worker"
        client.stream.close()


def test_a_node_that_does_not_answer_makes_it_503_and_one_that_is_gone_404(redis):
    with node(redis.url()) as one:
        other = node(redis.url())
        with other:
            for each in (one, other):
                wait_until(lambda: each.metric("push_redis_peers") >= 1, "they know each other")
            client = Controlled(other.port, "silent")
            wait_until(lambda: change(one, client.token, subscribe=["x"]).status == 200, "it can be reached")
            worker = other.worker()
            os.kill(worker, signal.SIGSTOP)
            try:
                start = time.monotonic()
                answer = change(one, client.token, subscribe=["y"])
                assert answer.status == 503 and answer.headers["retry-after"] and "does not answer" in answer.error
                assert 2.5 < time.monotonic() - start < 3 + SOON_S
            finally:
                os.kill(worker, signal.SIGCONT)
            client.stream.close()
        wait_until(lambda: change(one, client.token, subscribe=["x"]).status == 404, "it has said that it ends")


def test_forged_answers_count_for_nothing(redis, nodes):
    """Who listens at the node that is asked knows the number of the call, and answers what he likes."""
    one, other = nodes
    client = Controlled(other.port, "forged")
    owner = client.token.split(".")[0]
    worker = other.worker()
    with redis.subscribe(f"{MARK}push:node:{owner}") as spy:
        os.kill(worker, signal.SIGSTOP)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(change(one, client.token, subscribe=["x"])))
        thread.start()
        asked = spy.message()
        caller, number = asked.split(b" ")[0][1:].decode().split(".")
        assert asked == f"?{caller}.{number} control {client.token} {{\"subscribe\": [\"x\"]}}".encode()
        for text in ("", "=", f"={'f' * 16}.{number} ok 200 {{}}", f"={caller}.{number} ok 200 {{}}",
                     f"={owner}.{int(number) + 1} ok 200 {{}}", f"={owner}.{number}", f"!{owner}.{number} ok 200 {{}}",
                     f"?{owner}.{number} control x", f"?{owner}.{number} {'v' * 16} x"):
            redis.command("PUBLISH", f"{MARK}push:node:{caller}", text)
        os.kill(worker, signal.SIGCONT)
        thread.join(10)
        assert answers[0].status == 200 and answers[0].json["subscribed"] == ["x"]
        assert client.event() == subscribed("x")
    client.stream.close()


@pytest.mark.parametrize("text", ["ok 302 {}", "ok 200", "ok 200 no json", "ok x", "ok 200 {}{}", "failed ", "strange x"])
def test_an_answer_that_is_none_is_503(redis, nodes, text):
    one, other = nodes
    client = Controlled(other.port, "none")
    owner, worker = client.token.split(".")[0], other.worker()
    with redis.subscribe(f"{MARK}push:node:{owner}") as spy:
        os.kill(worker, signal.SIGSTOP)
        try:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(change(one, client.token, subscribe=["x"])))
            thread.start()
            caller, number = spy.message().split(b" ")[0][1:].decode().split(".")
            redis.command("PUBLISH", f"{MARK}push:node:{caller}", f"={owner}.{number} {text}")
            thread.join(10)
        finally:
            os.kill(worker, signal.SIGCONT)
    assert answers[0].status == 503 and answers[0].error
    client.stream.close()
