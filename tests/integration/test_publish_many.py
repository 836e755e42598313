"""Publish requests that are more than one message: arrays, many channels, lines, times of their own, and such as are
repeated with their key."""

import json
import threading

import pytest

from http1 import Connection, get, post, request
from server import Server
from sseclient import EventStream
from wsclient import WebSocket


def send(server, body, headers=None, path="/messages", content_type="application/json"):
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return request(server.port, post(body, headers, path=path, content_type=content_type))


def message(channel, value, **more):
    return {"channel": channel, "message": value, **more}


# --- arrays

def test_an_array_is_published_and_answered_in_order(server):
    with WebSocket(server.port, "many") as ws:
        ws.read_frame()
        answer = send(server, [message("many", 1), message("other", 2), message("many", 3)])
        assert answer.status == 202
        assert answer.body == b'[{"subscribers":1},{"subscribers":0},{"subscribers":1}]'
        assert [ws.message() for _ in range(2)] == [("many", 1), ("many", 3)]


def test_what_is_wrong_with_one_is_said_in_its_place_and_does_not_stop_the_others(server):
    with EventStream(server.port, "mixed") as sse:
        sse.raw()
        answer = send(server, [message("mixed", 1), 7, {"channel": "mixed"}, message("", 1), message("mixed", 2)])
        assert answer.status == 202
        parts = answer.json
        assert [parts[0], parts[4]] == [{"subscribers": 1}] * 2
        assert [p["status"] for p in parts[1:4]] == [400] * 3
        assert "object" in parts[1]["error"] and "'message'" in parts[2]["error"] and "empty" in parts[3]["error"]
        assert [sse.message() for _ in range(2)] == [("mixed", 1), ("mixed", 2)]


@pytest.mark.parametrize("body,word", [("[", "ends too early"), ("[]", "empty"), ('[{"channel":"c","message":1}', "ends"),
                                       ('[{"channel":"c","message":1},]', "not JSON")])
def test_an_array_that_is_none_publishes_nothing(server, body, word):
    with EventStream(server.port, "c") as sse:
        sse.raw()
        answer = send(server, body)
        assert answer.status == 400 and word in answer.error
        server.publish("c", "next")
        assert sse.message() == ("c", "next")


def test_the_number_of_messages_is_limited(server):
    one = '{"channel":"c","message":1}'
    answer = send(server, f"[{','.join([one] * 1000)}]")
    assert answer.status == 202 and len(answer.json) == 1000
    answer = send(server, f"[{','.join([one] * 1001)}]")
    assert answer.status == 413 and "more than 1000" in answer.error


def test_each_message_counts_in_the_metrics(server):
    before = server.metric("pub_messages_total")
    send(server, [message("c", 1), message("c", 2), {}])
    send(server, {"channels": ["a", "b"], "message": 1})
    assert server.metric("pub_messages_total") == before + 4


# --- channels

def test_one_message_goes_to_many_channels(server):
    with WebSocket(server.port, "one,two") as ws, EventStream(server.port, "two") as sse:
        ws.read_frame(), sse.raw()
        answer = send(server, {"channels": ["one", "two", "three", "one"], "message": "x"})
        assert (answer.status, answer.json) == (202, {"subscribers": 3})
        assert [ws.message() for _ in range(2)] == [("one", "x"), ("two", "x")]
        assert sse.message() == ("two", "x")


def test_channels_of_a_message_are_limited(server):
    names = [f"c{i}" for i in range(128)]
    assert send(server, {"channels": names, "message": 1}).status == 202
    answer = send(server, {"channels": names + ["last"], "message": 1})
    assert answer.status == 400 and "'last' is over the 128 allowed" in answer.error


# --- Idempotency-Key

def keyed(server, key, body, **options):
    return send(server, body, headers=[f"Idempotency-Key: {key}"], **options)


def test_a_repeat_with_its_key_is_answered_as_the_first_and_published_once(server):
    with WebSocket(server.port, "once") as ws:
        ws.read_frame()
        first = keyed(server, "k1", message("once", 1))
        assert (first.status, first.json) == (202, {"subscribers": 1})
        ws2 = WebSocket(server.port, "once")
        ws2.read_frame()
        again = keyed(server, "k1", message("once", 1))
        assert (again.status, again.body) == (first.status, first.body)
        keyed(server, "k2", message("once", 2))
        assert [ws.message() for _ in range(2)] == [("once", 1), ("once", 2)]
        assert ws2.message() == ("once", 2)
        ws2.close()


def test_the_answer_to_an_array_is_kept_as_a_whole(server):
    body = [message("c", 1), {}, message("c", 2)]
    first = keyed(server, "array", body)
    assert first.json[1]["status"] == 400
    assert keyed(server, "array", body).body == first.body


def test_a_key_that_is_used_for_another_body_is_refused(server):
    assert keyed(server, "other", message("c", 1)).status == 202
    answer = keyed(server, "other", message("c", 2))
    assert (answer.status, answer.reason) == (422, "Unprocessable Content")
    assert "Idempotency-Key" in answer.error


def test_a_key_is_free_again_where_nothing_was_published(server):
    assert keyed(server, "again", {"channel": "c"}).status == 400
    assert keyed(server, "again", message("c", 1)).status == 202


def test_a_key_is_limited(server):
    assert keyed(server, "k" * 255, message("c", 1)).status == 202
    for key in ("k" * 256, "käy"):
        answer = keyed(server, key, message("c", 1))
        assert answer.status == 400 and "Idempotency-Key" in answer.error


def test_a_browser_may_send_a_key(server):
    answer = get(server.port, "/messages", method="OPTIONS",
                 headers=["Origin: http://a", "Access-Control-Request-Method: POST"])
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


# --- lines, that come with a length

def test_lines_are_published_and_answered_in_order(server):
    with WebSocket(server.port, "lines") as ws:
        ws.read_frame()
        body = '{"channel":"lines","message":1}\n\r\n{"channel":\n{"channel":"lines","message":2}\r\n'
        answer = send(server, body, content_type="application/x-ndjson")
        assert answer.status == 202
        assert answer.headers["content-type"] == "application/x-ndjson"
        parts = [json.loads(line) for line in lines_of(answer)]
        assert [parts[0], parts[2]] == [{"subscribers": 1}] * 2
        assert parts[1]["status"] == 400 and len(parts) == 3
        assert [ws.message() for _ in range(2)] == [("lines", 1), ("lines", 2)]


def lines_of(answer):
    return answer.body.decode().splitlines()


def test_what_does_not_go_with_lines_is_refused(server):
    for headers, path in ((["Idempotency-Key: k"], "/messages"), ([], "/messages?wait=written")):
        answer = send(server, "{}\n", headers, path=path, content_type="application/x-ndjson")
        assert answer.status == 400 and "application/x-ndjson" in answer.error


# --- ttl

def test_a_message_that_outlived_its_own_time_is_not_replayed():
    with Server(PUSH_HISTORY_SIZE=10) as server:
        server.publish("c", "first")
        start = get(server.port, "/messages?channel=c").json["id"]
        send(server, message("c", "short", ttl=1))
        send(server, message("c", "long", ttl="1h"))
        read = get(server.port, f"/messages?channel=c&since={start}").json
        assert [m["message"] for m in read["messages"]][-1] == "long"
        threading.Event().wait(0.02)
        read = get(server.port, f"/messages?channel=c&since={start}").json
        assert [m["message"] for m in read["messages"]] == ["long"]
        assert read["missed"] == 0
