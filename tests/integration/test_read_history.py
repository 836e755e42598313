"""GET /messages: what is kept of a channel, and how much is missing."""

import itertools
import json

import pytest

from http1 import Connection, get, post
from redis_servers import wait_until
from resuming import WsReader
from server import Server

names = (f"room-{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def server():
    with Server(PUSH_HISTORY_SIZE=20, PUSH_HISTORY_TTL="1m", PUSH_HISTORY_RULES="short:=3 off:=0") as running:
        yield running


@pytest.fixture
def room():
    return next(names)


def read(server, channel, **arguments):
    more = "".join(f"&{name}={value}" for name, value in arguments.items())
    answer = get(server.port, f"/messages?channel={channel}{more}")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["channel"] == channel
    return answer.json


def values(got):
    return [m["message"] for m in got["messages"]]


def test_what_is_kept_is_read_in_order(server, room):
    assert read(server, room)["messages"] == []
    for value in (1, "two", {"three": [3]}):
        server.publish(room, value)
    got = read(server, room)
    assert values(got) == [1, "two", {"three": [3]}]
    assert (got["missed"], got["more"]) == (0, False)
    assert len({m["id"] for m in got["messages"]}) == 3


def test_the_answer_has_the_form_that_the_page_on_history_shows(server, room):
    server.publish(room, "hello")
    body = get(server.port, f"/messages?channel={room}").body
    got = json.loads(body)
    position = got["id"]
    assert body.decode() == (f'{{"channel":"{room}","messages":[{{"message":"hello","id":"{position}"}}],'
                             f'"missed":0,"id":"{position}","more":false}}')


def test_a_reader_goes_on_where_it_was(server, room):
    server.publish(room, 1)
    first = read(server, room)
    assert values(read(server, room, since=first["id"])) == []
    server.publish(room, 2)
    server.publish(f"{room}-other", "x")
    server.publish(room, 3)
    got = read(server, room, since=first["id"])
    assert values(got) == [2, 3]
    assert values(read(server, room, since=got["messages"][0]["id"])) == [3]
    assert values(read(server, room, since=got["id"])) == []


def test_the_ids_are_those_of_clients(server, room):
    client = WsReader(server.port, room)
    client.position()
    server.publish(room, 1)
    server.publish(room, 2)
    client.next()
    assert values(read(server, room, since=client.id)) == [2]
    client.next()
    assert client.id == read(server, room)["messages"][-1]["id"]
    client.close()


def test_a_limit_is_kept_and_more_is_told(server, room):
    for value in range(5):
        server.publish(room, value)
    got = read(server, room, limit=2)
    assert (values(got), got["more"]) == ([0, 1], True)
    got = read(server, room, limit=3, since=got["id"])
    assert (values(got), got["more"], got["missed"]) == ([2, 3, 4], False, 0)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "10000000000"])
def test_a_bad_limit_is_refused(server, limit):
    answer = get(server.port, f"/messages?channel=c&limit={limit}")
    assert answer.status == 400 and "'limit' must be a number from 1 to 1000" in answer.error


def test_what_is_gone_is_counted(server, room):
    channel = f"short:{room}"
    first = read(server, channel)["id"]
    for value in range(6):
        server.publish(channel, value)
    got = read(server, channel, since=first)
    assert (values(got), got["missed"]) == ([3, 4, 5], 3)
    assert read(server, channel)["missed"] == 0
    second = got["id"]
    for value in range(6, 12):
        server.publish(channel, value)
    got = read(server, channel, since=second)
    assert (values(got), got["missed"]) == ([9, 10, 11], "unknown")


def test_an_id_that_is_not_ours_brings_all_and_says_that_some_may_be_missing(server, room):
    server.publish(room, 1)
    for since in ("0.1.1", "0.zzzzzzzzzz.1", "5.1.1"):
        got = read(server, room, since=since)
        assert (values(got), got["missed"]) == ([1], "unknown")


@pytest.mark.parametrize("since", ["", "x", "0.1", "0.1.1-", "00.1.1", "0." + "9" * 600])
def test_what_is_no_id_is_refused(server, since):
    answer = get(server.port, f"/messages?channel=c&since={since}")
    assert answer.status == 400 and "'since' must be an id" in answer.error


def test_a_message_that_has_outlived_its_ttl_is_left_out_and_not_missed(server, room):
    first = read(server, room)["id"]
    server.publish(room, 1)
    server.publish(room, 2, ttl="200ms")
    server.publish(room, 3, ttl="1h")
    wait_until(lambda: values(read(server, room, since=first)) == [1, 3], "it is over")
    assert read(server, room, since=first)["missed"] == 0


def test_a_channel_without_history_is_404(server):
    server.publish("off:x", 1)
    answer = get(server.port, "/messages?channel=off:x")
    assert answer.status == 404 and "no history" in answer.error


@pytest.mark.parametrize("query,word", [("", "'channel' query parameter required"), ("?channel=", "empty"),
                                        ("?channel=a%0Ab", "control"), ("?channels=a", "'channel'"),
                                        ("?channel=" + "x" * 256, "256 bytes")])
def test_a_bad_channel_is_refused(server, query, word):
    answer = get(server.port, f"/messages{query}")
    assert answer.status == 400 and word in answer.error


def test_names_are_percent_decoded_and_escaped(server):
    server.publish('quo"te ünï', 'a"b\\c\n')
    for query in ("quo%22te%20%C3%BCn%C3%AF", "quo%22te+%C3%BCn%C3%AF"):
        answer = get(server.port, f"/messages?channel={query}")
        if "+" in query and answer.json["channel"] != 'quo"te ünï':
            continue # lws takes the plus as it is
        assert answer.json["channel"] == 'quo"te ünï'
        assert values(answer.json) == ['a"b\\c\n']


def test_many_bytes_come_in_several_answers(server, room):
    text = "x" * 60000
    for _ in range(20):
        server.publish(room, text)
    got, since, count = {"more": True}, {}, 0
    while got["more"]:
        got = read(server, room, **since)
        assert got["missed"] == 0
        count += len(got["messages"])
        since = {"since": got["id"]}
    assert count == 20


def test_an_answer_is_bounded_whatever_its_messages_need_for_escapes(server, room):
    for _ in range(20):
        assert server.publish(room, "\x01" * 10000).status == 202
    got, since, count = {"more": True}, {}, 0
    while got["more"]:
        got = read(server, room, **since)
        assert len(got["messages"]) <= 5 # 256 KB of JSON, 60 KB each
        count += len(got["messages"])
        since = {"since": got["id"]}
    assert count == 20


def test_head_and_preflight_and_origins_are_answered(server, room):
    server.publish(room, 1)
    body = get(server.port, f"/messages?channel={room}").body
    with Connection(server.port) as connection:
        connection.send(f"HEAD /messages?channel={room} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        status, _, headers = connection.read_head()
        assert (status, int(headers["content-length"])) == (200, len(body))
        assert connection.is_closed() and connection.buffer == b""
    answer = get(server.port, f"/messages?channel={room}", headers=["Origin: http://a"])
    assert answer.headers["access-control-allow-origin"] == "*"
    answer = get(server.port, "/messages", method="OPTIONS", headers=["Origin: http://a"])
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST, OPTIONS"
    answer = get(server.port, "/messages", method="PUT")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")


def test_reads_and_publishes_share_a_connection(server, room):
    asks = f"GET /messages?channel={room} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    with Connection(server.port) as connection:
        for value in range(5):
            connection.send(post(json.dumps({"channel": room, "message": value})))
            assert connection.read_answer().status == 202
            assert values(connection.send(asks).read_answer().json) == list(range(value + 1))


def test_where_nothing_is_kept_get_is_no_method_but_for_who_names_a_channel():
    with Server() as server:
        answer = get(server.port, "/messages")
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
        assert get(server.port, "/messages?channel=c").status == 404
