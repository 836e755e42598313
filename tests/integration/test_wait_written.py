"""?wait=written: the answer comes when the message is on the way to all who are subscribed here."""

import json
import threading
import time

import pytest

from http1 import get, post, request
from server import Server
from sseclient import EventStream
from wsclient import WebSocket


@pytest.fixture(scope="module")
def server():
    with Server(PUSH_PUBLISH_WAIT_MAX="3s", PUSH_MESSAGE_MAX_SIZE="1mb", PUSH_CLIENT_QUEUE_MAX_SIZE="8mb",
                PUSH_HISTORY_RULES="kept:=10") as running:
        yield running


def publish(server, channel, value, query="?wait=written", **more):
    return request(server.port, post(json.dumps({"channel": channel, "message": value, **more}), path=f"/messages{query}"))


@pytest.mark.parametrize("channel", ["w", "kept:w"])
def test_all_who_read_are_counted(server, channel):
    with WebSocket(server.port, channel) as ws, EventStream(server.port, channel) as sse:
        ws.read_frame(), sse.raw()
        answer = publish(server, channel, 1)
        assert (answer.status, answer.body) == (202, b'{"subscribers":2,"written":2}')
        assert ws.message()[1] == 1


def test_without_subscribers_it_is_answered_at_once(server):
    start = time.monotonic()
    assert publish(server, "nobody", 1).json == {"subscribers": 0, "written": 0}
    assert time.monotonic() - start < 2


def test_an_array_tells_of_each(server):
    with WebSocket(server.port, "a,b") as ws:
        ws.read_frame()
        body = [{"channel": "a", "message": 1}, {"channel": "x"}, {"channels": ["a", "b"], "message": 2}]
        answer = request(server.port, post(json.dumps(body), path="/messages?wait=written"))
        parts = answer.json
        assert parts[0] == {"subscribers": 1, "written": 1} and parts[2] == {"subscribers": 2, "written": 2}
        assert parts[1]["status"] == 400


def test_who_does_not_read_is_waited_for_until_the_time_is_over(server):
    with WebSocket(server.port, "slow") as slow, WebSocket(server.port, "slow") as ws:
        slow.read_frame(), ws.read_frame()
        for _ in range(7):
            publish(server, "slow", "x" * 900000, query="")
            ws.message()
        start = time.monotonic()
        assert publish(server, "slow", 1).json == {"subscribers": 2, "written": 1}
        assert 2.9 <= time.monotonic() - start < 6


def test_who_goes_away_is_not_waited_for(server):
    with WebSocket(server.port, "leaver") as slow:
        slow.read_frame()
        for _ in range(7):
            publish(server, "leaver", "x" * 900000, query="")
        threading.Timer(0.2, slow.close).start()
        start = time.monotonic()
        answer = publish(server, "leaver", 1)
        assert answer.json == {"subscribers": 1, "written": 0}
        assert time.monotonic() - start < 2.5


def test_who_comes_while_it_is_waited_for_and_reads_it_from_history_does_not_count(server):
    publish(server, "kept:new", 0, query="")
    start = get(server.port, "/messages?channel=kept:new").json["id"]
    with WebSocket(server.port, "kept:new") as slow, WebSocket(server.port, "kept:new") as ws:
        slow.read_frame(), ws.read_frame()
        for _ in range(7):
            publish(server, "kept:new", "x" * 900000, query="")
            ws.message()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(publish(server, "kept:new", 1).json))
        waiting.start()
        assert ws.message()[1] == 1
        newcomers = [WebSocket(server.port, f"kept:new&last_event_id={start}") for _ in range(3)]
        for client in newcomers:
            while client.event()["data"].get("message") != 1:
                pass
        waiting.join()
        assert answers[0]["subscribers"] == 2 and 1 <= answers[0]["written"] <= 2
        for client in newcomers:
            client.close()


def test_what_can_be_waited_for_is_checked(server):
    answer = publish(server, "c", 1, query="?wait=read")
    assert answer.status == 400 and "'wait' must be 'written'" in answer.error


def test_who_is_still_reading_what_it_missed_is_waited_for(server):
    publish(server, "kept:late", 0, query="")
    start = get(server.port, "/messages?channel=kept:late").json["id"]
    for _ in range(8):
        publish(server, "kept:late", "x" * 900000, query="")
    with WebSocket(server.port, f"kept:late&last_event_id={start}") as ws:
        ws.read_frame()
        assert publish(server, "kept:late", 1).json == {"subscribers": 1, "written": 0}
        reader = threading.Thread(target=lambda: [ws.read_frame() for _ in range(10)])
        reader.start()
        assert publish(server, "kept:late", 2).json == {"subscribers": 1, "written": 1}
        reader.join()
