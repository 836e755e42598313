"""Channel names: how they are written in a query, which ones there are, and that each message has exactly one."""

import json
import threading

import pytest

from http1 import Connection, get, post, publish, request
from server import Server
from sseclient import EventStream
from wsclient import TEXT, WebSocket, frame


@pytest.mark.parametrize("query,name", [
    ("a%2Bb", "a+b"), ("a%26b%3Dc", "a&b=c"), ("a%3Bb", "a;b"), ("a%23b", "a#b"), ("a%25b", "a%b"), ("a%2541", "a%41"),
    ("a%20b", "a b"), ("%20", " "), ("a/b:c@d!$'()*-._~", "a/b:c@d!$'()*-._~"), ("%F0%9F%98%80", "😀"),
    ("e%CC%81", "e\u0301"), ("%22%5C", '"\\'), ("<script>", "<script>"), ("A", "A"), ("%e2%80%a8", "\u2028"),
    ("a=b", "a=b"), ("a?b", "a?b"), ("{}", "{}"), ("..", ".."), ("%2E%2E%2F", "../"), ("null", "null"), ("*", "*"),
], ids=lambda v: repr(v))
def test_a_name_is_percent_decoded_once(server, query, name):
    with EventStream(server.port, query) as sse, WebSocket(server.port, query) as ws:
        assert sse.raw() == b"event:heartbeat\ndata:{}\n\n"
        assert publish(server.port, name, "x").json == {"subscribers": 2}
        assert sse.message() == (name, "x")
        assert ws.message() == (name, "x")


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "€" * 85, "😀" * 63], ids=["1", "2", "3", "4"])
def test_a_name_may_have_255_bytes_and_not_one_more(server, name):
    query = "".join(f"%{byte:02X}" for byte in name.encode())
    with EventStream(server.port, query) as sse:
        sse.raw()
        assert publish(server.port, name, 1).json == {"subscribers": 1}
    over = name + "x" * (256 - len(name.encode()))
    assert publish(server.port, over, 1).status == 400
    answer = get(server.port, f"/sse/messages?channels={query}{'x' * (256 - len(name.encode()))}")
    assert answer.status == 400 and name[:8] in answer.error


@pytest.mark.parametrize("codepoint", [*range(0x20), 0x7F, *range(0x80, 0xA0)])
def test_control_characters_are_refused_everywhere(server, codepoint):
    name = f"a{chr(codepoint)}b"
    answer = request(server.port, post(json.dumps({"channel": name, "message": 1})))
    assert answer.status == 400 and "control" in answer.error
    query = "".join(f"%{byte:02X}" for byte in name.encode())
    assert get(server.port, f"/sse/messages?channels={query}").status == 400


@pytest.mark.parametrize("bad", [
    "%C0%80", "%C1%81", "%E0%80%80", "%F0%80%80%80", "%ED%A0%80", "%ED%BF%BF", "%F4%90%80%80", "%F8%88%80%80%80",
    "%80", "%E2%82", "%C3", "a%FE", "%C3%28", "ok,%FF",
])
def test_what_is_not_utf8_is_refused(server, bad):
    answer = get(server.port, f"/sse/messages?channels={bad}")
    assert answer.status == 400 and "UTF-8" in answer.error
    with WebSocket(server.port, bad) as ws:
        assert "UTF-8" in ws.event()["error"]
        assert ws.close_code() == 1008


@pytest.mark.parametrize("query", ["", ",", ",,", ",a", "a,,b", "%2C", "%2Ca", ",a,"])
def test_an_empty_name_refuses_the_whole_request(server, query):
    assert get(server.port, f"/sse/messages?channels={query}").status == 400
    with WebSocket(server.port, query) as ws:
        assert "error" in ws.event()
        assert ws.close_code() == 1008
    assert publish(server.port, "a", 1).json == {"subscribers": 0}


@pytest.mark.parametrize("query", ["", "?", "?Channels=a", "?channel=a", "?xchannels=a", "?channelsx=a", "?x=channels=a"])
def test_without_the_parameter_the_error_is_the_origins(server, query):
    answer = get(server.port, "/sse/messages" + query)
    assert (answer.status, answer.body) == (400, b'{"error":"\'channels\' query parameter required"}')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["%", "%4", "%zz", "a%", "%u0041", "%%41"])
def test_a_broken_percent_sign_is_answered(server, query):
    with Connection(server.port, timeout=3) as connection:
        connection.send(f"GET /sse/messages?channels={query} HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert connection.read_head()[0] in (200, 400, 403)
        except EOFError:
            pass


def test_duplicates_collapse_before_they_are_counted(server):
    names = ",".join(["same"] * 100 + [f"n{n}" for n in range(127)])
    with EventStream(server.port, names) as sse:
        assert sse.status == 200
        sse.raw()
        assert publish(server.port, "same", 1).json == {"subscribers": 1}


def test_the_message_says_which_of_the_channels_it_is_from(server):
    with WebSocket(server.port, "one,two") as ws, EventStream(server.port, "two,three") as sse:
        sse.raw(), ws.read_frame()
        for name, count in (("one", 1), ("two", 2), ("three", 1), ("four", 0), ("On", 0), ("onee", 0)):
            assert publish(server.port, name, name).json == {"subscribers": count}
        assert [ws.message() for _ in range(2)] == [("one", "one"), ("two", "two")]
        assert [sse.message() for _ in range(2)] == [("two", "two"), ("three", "three")]


def test_all_subscribers_see_the_same_order_whoever_publishes(server):
    publishers, each = 4, 150
    receivers = [kind(server.port, "race,other") for kind in (WebSocket, EventStream) * 2]
    for receiver in receivers:
        receiver.read_frame() if isinstance(receiver, WebSocket) else receiver.raw()

    def run(who):
        with Connection(server.port) as connection:
            for n in range(each):
                connection.send(post(json.dumps({"channel": "race", "message": [who, n]})))
                assert connection.read_answer().json == {"subscribers": 4}

    threads = [threading.Thread(target=run, args=(who,)) for who in range(publishers)]
    for thread in threads:
        thread.start()
    orders = [[receiver.message()[1] for _ in range(publishers * each)] for receiver in receivers]
    for thread in threads:
        thread.join()
    assert orders.count(orders[0]) == len(orders)
    for who in range(publishers):
        assert [n for whose, n in orders[0] if whose == who] == list(range(each))
    for receiver in receivers:
        receiver.close()


def test_the_count_follows_clients_that_come_and_go(server):
    clients = []
    for n in range(20):
        clients.append(WebSocket(server.port, "count") if n % 2 else EventStream(server.port, "count,x"))
        assert publish(server.port, "count", n).json == {"subscribers": n + 1}
    while clients:
        clients.pop().close()
        server.wait_metric("push_subscriptions", len(clients) + (len(clients) + 1) // 2)
        assert publish(server.port, "count", "x").json == {"subscribers": len(clients)}


@pytest.mark.parametrize("body,expected", [
    ('{"message":1,"channel":"body"}', 1), (' \r\n\t{ "channel" : "body" , "message" : 1 } \n', 1),
    ('{"channel":"body","message":1,"id":7,"extra":{"channel":"x"}}', 1),
    ('{"ch\\u0061nnel":"b\\u006fdy","mess\\u0061ge":1}', 1),
    ('{"channel":"body","message":"\\ud83d\\ude00"}', "😀"), ('{"channel":"body","message":"\\u0000\\u001e"}', "\0\x1e"),
    ('{"channel":"body","message":' + "[" * 100 + "]" * 100 + "}", json.loads("[" * 100 + "]" * 100)),
    ('{"channel":"body","message":" \\n\\nevent:heartbeat\\ndata:{}\\n\\n"}', " \n\nevent:heartbeat\ndata:{}\n\n"),
    ('{"channel":"body","message":{"b":1,"a":[1.0,1e400,-0]}}', None),
])
def test_a_body_is_understood_however_it_is_written(server, body, expected):
    with EventStream(server.port, "body") as sse, WebSocket(server.port, "body") as ws:
        sse.raw(), ws.read_frame()
        assert request(server.port, post(body)).json == {"subscribers": 2}
        for client in (sse, ws):
            channel, message = client.message()
            assert channel == "body" and (expected is None or message == expected)


@pytest.mark.parametrize("lone", ["\\ud800", "\\udc00", "\\ud83dx", "\\ude00\\ud83d"])
def test_a_lone_surrogate_is_refused_or_arrives_as_valid_utf8(server, lone):
    with EventStream(server.port, "lone") as sse:
        sse.raw()
        answer = request(server.port, post('{"channel":"lone","message":"%s"}' % lone))
        assert answer.status in (202, 400)
        if answer.status == 202:
            sse.raw().decode()


def test_pretty_printed_json_arrives_on_one_line(server):
    with EventStream(server.port, "pretty") as sse, WebSocket(server.port, "pretty") as ws:
        sse.raw(), ws.read_frame()
        text = '{\n  "channel": "pretty",\r\n  "message": {\n    "a": [\r1,\n2]\n  }\n}'
        assert request(server.port, post(text)).status == 202
        event = sse.raw()
        assert event.startswith(b"event:message\ndata:") and event.count(b"\n") == 3 and b"\r" not in event
        assert json.loads(event.split(b"data:", 1)[1]) == {"channel": "pretty", "message": {"a": [1, 2]}}
        assert ws.message() == ("pretty", {"a": [1, 2]})


def test_a_server_has_room_for_so_many_channels_and_says_so():
    with Server(PUSH_CHANNELS_TOTAL_MAX=3) as server, WebSocket(server.port, "a,b") as ws, EventStream(server.port, "b,c") as sse:
        assert sse.raw() and ws.read_frame()
        answer = get(server.port, "/sse/messages?channels=c,d")
        assert answer.status == 503 and "push.channels.total.max" in answer.error and answer.headers["retry-after"]
        with WebSocket(server.port, "c,d") as late:
            # lws' sockets have upgraded by then: not for good, so no client library gives up
            assert (late.status == 503 or late.status == 101 and "push.channels.total.max" in late.event()["error"]
                    and late.close_code() == 1013)
        ws.send(frame(TEXT, '{"event":"subscribe","data":{"channels":["d","c"]}}'))
        event = ws.event()
        assert event["event"] == "error" and "push.channels.total.max" in event["data"]["error"]
        assert ws.event()["event"] == "subscribed"
        assert publish(server.port, "d", 1).json == {"subscribers": 0}
        assert server.metric("push_channels_refused_total") == 3
        assert server.metric("push_channels") == server.metric("push_channels_limit") == 3
        ws.send(frame(TEXT, '{"event":"unsubscribe","data":{"channels":["a"]}}'))
        assert ws.event()["event"] == "unsubscribed"
        ws.send(frame(TEXT, '{"event":"subscribe","data":{"channels":["d"]}}'))
        assert ws.event()["event"] == "subscribed"
