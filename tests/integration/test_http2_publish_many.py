"""Publish requests that are more than one message, and history, by HTTP/2."""

import json

import pytest

from test_http2 import start


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    with start(tmp_path_factory.mktemp("tls"), PUSH_HISTORY_RULES="kept:=200") as running:
        yield running


def post(connection, body, *headers, path="/messages", kind="application/json"):
    text = json.dumps(body).encode() if not isinstance(body, bytes) else body
    stream = connection.request("POST", path, [("content-type", kind), ("content-length", str(len(text))), *headers],
                                end=False)
    stream.send(text, end=True)
    return stream


def message(channel, value):
    return {"channel": channel, "message": value}


def answer(stream):
    return stream.status, json.loads(stream.whole())


def test_a_repeat_with_its_key_is_published_once(tls):
    with tls.connect() as connection:
        path = "/messages?idempotency_key=h2"
        streams = [post(connection, message("kept:once", 1), path=path) for _ in range(3)]
        assert [answer(stream) for stream in streams] == [(202, {"subscribers": 0})] * 3
        assert answer(post(connection, message("kept:once", 2), path=path))[0] == 422
        status, got = answer(connection.get("/messages?channel=kept:once"))
        assert (status, [m["message"] for m in got["messages"]]) == (200, [1])


def test_arrays_and_lines_are_answered(tls):
    with tls.connect() as connection:
        status, parts = answer(post(connection, [message("c", 1), {}]))
        assert (status, parts[0], parts[1]["status"]) == (202, {"subscribers": 0}, 400)
        stream = post(connection, b'{"channel":"c","message":1}\n[]\n', kind="application/x-ndjson")
        assert stream.status == 202
        assert [json.loads(line).get("status") for line in stream.whole().splitlines()] == [None, 400]


def test_written_is_waited_for(tls):
    with tls.connect() as connection:
        subscriber = connection.get("/sse/messages?channels=w")
        assert subscriber.status == 200
        subscriber.event()
        assert answer(post(connection, message("w", 1), path="/messages?wait=written")) == \
            (202, {"subscribers": 1, "written": 1})


def test_long_histories_come_whole(tls):
    with tls.connect() as connection:
        for number in range(20):
            assert answer(post(connection, message("kept:long", f"{number}-" + "x" * 10000)))[0] == 202
        status, got = answer(connection.get("/messages?channel=kept:long"))
        assert status == 200 and len(got["messages"]) == 20 and not got["more"]
        assert answer(connection.get("/messages?channel=off"))[0] == 404
        assert answer(connection.get("/messages"))[0] == 400
