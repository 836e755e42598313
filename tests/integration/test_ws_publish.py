"""WebSocket clients that publish, where push.ws.publish is on."""

import json

import pytest

from http1 import publish
from redis_servers import RedisServer, wait_until
from server import Server
from wsclient import TEXT, WebSocket, frame


@pytest.fixture(scope="module")
def server():
    with Server(PUSH_WS_PUBLISH="on") as running:
        yield running


def connect(server, channels):
    ws = WebSocket(server.port, channels)
    ws.read_frame()
    return ws


def say(ws, **data):
    ws.send(frame(TEXT, json.dumps({"event": "publish", "data": data}).encode()))


def hear(ws):
    """The next event that is no ping."""
    while True:
        opcode, payload = ws.read_frame()
        if opcode == TEXT:
            got = json.loads(payload)
            if got["event"] != "ping":
                return got["event"], got["data"]


def test_a_client_publishes_and_is_answered(server):
    with connect(server, "mine") as ws, connect(server, "theirs") as other:
        say(ws, channel="theirs", message={"a": [1]})
        assert hear(ws) == ("published", {"subscribers": 1})
        assert hear(other) == ("message", {"channel": "theirs", "message": {"a": [1]}})


def test_a_client_may_be_its_own_subscriber(server):
    with connect(server, "self") as ws:
        say(ws, channel="self", message=1)
        assert {hear(ws)[0], hear(ws)[0]} == {"message", "published"}


@pytest.mark.parametrize("ref", [7, -1.5, "abc", 'quo"te ü'])
def test_a_ref_is_echoed(server, ref):
    with connect(server, "c") as ws:
        say(ws, channel="nobody", message=1, ref=ref)
        assert hear(ws) == ("published", {"subscribers": 0, "ref": ref})
        say(ws, channel="nobody", ref=ref)
        assert hear(ws) == ("error", {"error": "'message' is missing", "ref": ref})


@pytest.mark.parametrize("ref", [None, True, [1], {"a": 1}, "x" * 100])
def test_what_is_no_ref_is_not_echoed(server, ref):
    with connect(server, "c") as ws:
        say(ws, channel="nobody", message=1, ref=ref)
        assert hear(ws) == ("published", {"subscribers": 0})


@pytest.mark.parametrize("data,word", [('', "'data' is missing"), (',"data":7', "not a JSON object"),
                                       (',"data":{}', "'message' is missing"),
                                       (',"data":{"channel":"","message":1}', "empty"),
                                       (',"data":{"channel":"c","message":1,"ttl":"x"}', "'ttl' must be")])
def test_what_is_wrong_is_said_and_the_connection_stays(server, data, word):
    with connect(server, "c") as ws:
        ws.send(frame(TEXT, ('{"event":"publish"' + data + "}").encode()))
        event, got = hear(ws)
        assert event == "error" and word in got["error"]
        say(ws, channel="nobody", message=1)
        assert hear(ws)[0] == "published"


def test_one_message_may_have_many_channels(server):
    with connect(server, "one,two") as ws:
        say(ws, channels=["one", "two"], message=1)
        assert [hear(ws)[0] for _ in range(3)].count("message") == 2


def test_it_counts_in_the_metrics(server):
    before = server.metric("pub_messages_total")
    with connect(server, "c") as ws:
        say(ws, channel="c", message=1)
        hear(ws), hear(ws)
    assert server.metric("pub_messages_total") == before + 1


def test_it_is_off_unless_configured():
    with Server() as server, connect(server, "c") as ws:
        say(ws, channel="c", message=1)
        event, data = hear(ws)
        assert event == "error" and "push.ws.publish" in data["error"]
        server.publish("c", 2)
        assert hear(ws) == ("message", {"channel": "c", "message": 2})


def test_with_redis_answers_come_in_order_and_too_many_are_refused():
    with RedisServer() as redis, Server(PUSH_WS_PUBLISH="on", PUSH_REDIS_URL=redis.url(),
                                        PUSH_REDIS_PUBLISH_WAIT="10s", PUSH_REDIS_TIMEOUT="10s") as server:
        wait_until(lambda: publish(server.port, "c", 1).status == 202, "Redis is there")
        with connect(server, "c") as ws, connect(server, "c") as gone:
            for number in range(30):
                say(ws, channel="nobody", message=number, ref=number)
            assert [hear(ws)[1]["ref"] for _ in range(30)] == list(range(30))
            redis.freeze()
            for client in (gone, ws):
                for number in range(65):
                    say(client, channel="nobody", message=number, ref=number)
            event, data = hear(ws)
            assert (event, data["ref"]) == ("error", 64) and "too many publishes" in data["error"]
            gone.close()
            server.wait_metric('push_connections{transport="ws"}', 1)
            redis.thaw()
            assert [hear(ws)[1]["ref"] for _ in range(64)] == list(range(64))
