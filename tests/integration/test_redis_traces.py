"""Traces with Redis behind: one trace over all nodes, and not a byte more in Redis for what is not traced."""

import json
import os

import pytest

from collector import Collector
from http1 import get, post, request
from redis_nodes import node, sse, ws
from redis_servers import RedisServer, wait_until

PARENT = "00f067aa0ba902b7"
MARK = "\x1e"
SETTINGS = {"PUSH_HISTORY_RULES": "kept:=20"}


def header_of(trace, flags="01"):
    return f"traceparent: 00-{trace}-{PARENT}-{flags}"


def new_trace():
    return os.urandom(16).hex()


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def collector():
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis, collector):
    """Two that trace what they are asked to."""
    traced = {"PUSH_TRACE_URL": collector.url, "PUSH_TRACE_RATIO": "0", **SETTINGS}
    with node(redis.url(), **traced) as one, node(redis.url(), **traced) as other:
        one.wait_metric("push_redis_peers", 1), other.wait_metric("push_redis_peers", 1)
        yield one, other


@pytest.fixture(scope="module")
def untraced(redis):
    """A third, in which tracing is off."""
    with node(redis.url(), **SETTINGS) as running:
        yield running


def send(at, channel, message, *headers, path="/messages"):
    return request(at.port, post(json.dumps({"channel": channel, "message": message}), list(headers), path=path))


@pytest.mark.parametrize("channel", ["plain", "kept:traced"])
@pytest.mark.parametrize("message", ["hello", {"a": [1, "ü"]}], ids=["text", "object"])
def test_one_trace_goes_from_the_publisher_to_the_clients_of_all_nodes(nodes, untraced, collector, channel, message):
    one, other = nodes
    trace = new_trace()
    with ws(one, channel) as near, ws(other, channel) as far, ws(other, channel) as second, \
            ws(untraced, channel) as blind:
        assert send(one, channel, message, header_of(trace)).status == 202
        for client in (near, far, second, blind):
            assert client.message() == (channel, message)
        first, second_, publish = collector.of(trace, 3)
    assert publish.name == "publish " + channel and publish.parent == PARENT
    assert [first.name, second_.name] == ["deliver " + channel] * 2
    assert [first.parent, second_.parent] == [publish.id] * 2
    by_node = {span.resource["service.instance.id"]: span for span in (first, second_)}
    assert len(by_node) == 2
    here = by_node.pop(publish.resource["service.instance.id"])
    there, = by_node.values()
    assert here.attributes["push.subscribers"] == here.attributes["push.written"] == 1
    assert there.attributes["push.subscribers"] == there.attributes["push.written"] == 2
    assert publish.attributes["messaging.message.body.size"] == here.attributes["messaging.message.body.size"]


def test_only_what_is_traced_has_an_envelope(nodes, untraced, redis):
    one, _ = nodes
    trace = new_trace()
    with redis.subscribe("spied") as spy:
        for at, headers in ((one, []), (one, [header_of(trace, "00")]), (one, ["traceparent: nonsense"]),
                            (untraced, [header_of(trace)])):
            send(at, "spied", "hello", *headers)
            assert spy.message() == b"hello"
            send(at, "spied", [1], *headers)
            assert spy.message() == MARK.encode() + b"[1]"
        send(one, "spied", "hello", header_of(trace))
        envelope = spy.message().decode()
        assert envelope.startswith(MARK + "@00-" + trace + "-") and envelope.endswith("-01 hello")
        send(one, "spied", [1], header_of(trace), path="/messages?wait=written")
        envelope = spy.message().decode()
        assert envelope.startswith(MARK + "!") and envelope.endswith("-01 " + MARK + "[1]")


def test_who_waits_for_all_nodes_is_answered_and_traced(nodes, redis, collector):
    one, other = nodes
    trace = new_trace()
    with ws(other, "waits") as client:
        wait_until(lambda: len(redis.command("HGETALL", "push:clients:waits")) == 2, "the client is counted")
        answer = send(one, "waits", 1, header_of(trace), path="/messages?wait=written")
        assert answer.json == {"subscribers": 1, "written": 1}
        assert client.message() == ("waits", 1)
    deliver, publish = collector.of(trace, 2)
    assert publish.attributes["push.written"] == 1
    assert publish.end >= deliver.start and deliver.attributes["push.subscribers"] == 1


@pytest.mark.parametrize("which", [0, 2], ids=["traced", "off"])
def test_what_is_read_from_history_shows_no_envelope(nodes, untraced, which):
    at = [*nodes, untraced][which]
    channel = f"kept:read{which}"
    for i in range(3):
        send(nodes[0], channel, i, header_of(new_trace()))
    answer = get(at.port, f"/messages?channel={channel}")
    assert [item["message"] for item in answer.json["messages"]] == [0, 1, 2]


FORGED = [
    f"@00-{'00' * 16}-{PARENT}-01 x", f"@00-{'11' * 16}-{'00' * 8}-01 x", f"@ff-{'11' * 16}-{PARENT}-01 x",
    f"@00-{'11' * 16}-{PARENT}-01", f"@00-{'11' * 16}-{PARENT}-01\nx", f"@00-{'AB' * 16}-{PARENT}-01 x", "@", "@@@",
    f"@00-{'11' * 16}-{PARENT}-0",
]


@pytest.mark.parametrize("payload", FORGED)
def test_a_forged_envelope_is_a_text(nodes, redis, collector, payload):
    with ws(nodes[0], "forged") as client, sse(nodes[1], "forged") as stream:
        count = len(collector.spans)
        redis.command("PUBLISH", "forged", MARK + payload)
        assert client.message() == stream.message() == ("forged", MARK + payload)
        assert len(collector.spans) == count


def test_what_is_within_a_right_envelope_is_checked_as_ever(nodes, redis, collector):
    with ws(nodes[0], "inside") as client:
        for inside, shown in (("", ""), (MARK + '{"a":', MARK + '{"a":'), (MARK + "{}", {}), ('"', '"')):
            trace = new_trace()
            redis.command("PUBLISH", "inside", f"{MARK}@00-{trace}-{PARENT}-01 {inside}")
            assert client.message() == ("inside", shown)
            assert collector.of(trace, 1)[0].parent == PARENT
        redis.command("PUBLISH", "inside", f"{MARK}@00-{new_trace()}-{PARENT}-00 quiet")
        assert client.message() == ("inside", "quiet")
