import json

import pytest

from http1 import Connection, get, post, publish, request
from sseclient import EventStream
from wsclient import WebSocket


def test_a_publish_without_subscribers_is_accepted_with_a_count_of_zero(server):
    answer = publish(server.port, "nobody", "hello")
    assert (answer.status, answer.reason) == (202, "Accepted")
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == b'{"subscribers":0}'


def test_the_count_is_exact_over_both_transports(server):
    with WebSocket(server.port, "count") as a, EventStream(server.port, "count,other") as b, \
            EventStream(server.port, "other") as c:
        b.raw(), c.raw(), a.read_frame()
        assert publish(server.port, "count", 1).json == {"subscribers": 2}
        b.close()
        server.wait_metric('push_connections{transport="sse"}', 1)
        assert publish(server.port, "count", 1).json == {"subscribers": 1}


VALUES = ["hello", "", "ünï ✓ 😀", 'quo"te\\', "line\nbreak\r\n\ttab", "data: x\n\nevent:evil", "\u2028\u0000",
          7, -1.5, True, False, None, [], {}, [1, [2, {"a": None}]], {"a": {"b": [1, "2"]}, "event": "reconnect"}]


@pytest.mark.parametrize("value", VALUES, ids=[json.dumps(v) for v in VALUES])
def test_any_json_value_arrives_as_itself(server, value):
    with WebSocket(server.port, "any") as ws, EventStream(server.port, "any") as sse:
        sse.raw(), ws.read_frame()
        assert publish(server.port, "any", value).status == 202
        assert ws.message() == ("any", value)
        assert sse.message() == ("any", value)


def test_numbers_keep_every_digit(server):
    with EventStream(server.port, "digits") as sse:
        request(server.port, post('{"channel":"digits","message":[12345678901234567890123, 1.10, 1e2]}'))
        assert sse.next() == \
            b'event:message\ndata:{"channel":"digits","message":[12345678901234567890123,1.10,1e2]}\n\n'


def test_a_message_of_the_largest_size_arrives(server):
    text = "x" * (65536 - len(json.dumps({"channel": "large", "message": ""})))
    with WebSocket(server.port, "large") as ws, EventStream(server.port, "large") as sse:
        sse.raw()
        assert publish(server.port, "large", text).status == 202
        assert ws.message() == ("large", text)
        assert sse.message() == ("large", text)


def test_the_content_type_may_have_parameters_and_capitals(server):
    for kind in ("application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"):
        assert request(server.port, post('{"channel":"c","message":1}', content_type=kind)).status == 202


def test_a_connection_is_kept_alive_for_many_requests(server):
    with Connection(server.port) as connection:
        for _ in range(50):
            assert connection.send(post('{"channel":"keep","message":1}')).read_answer().status == 202


def test_a_connection_stays_usable_after_an_error(server):
    with Connection(server.port) as connection:
        assert connection.send(post("nonsense")).read_answer().status == 400
        assert connection.send(post("{}", content_type="text/plain")).read_answer().status == 415
        assert connection.send("GET /messages HTTP/1.1\r\nHost: x\r\n\r\n").read_answer().status == 405
        assert connection.send(post('{"channel":"keep","message":1}')).read_answer().status == 202


def test_messages_of_a_channel_arrive_in_order_and_once(server):
    with WebSocket(server.port, "order") as ws, EventStream(server.port, "order") as sse, \
            Connection(server.port) as publisher:
        sse.raw(), ws.read_frame()
        for n in range(300):
            publisher.send(post(json.dumps({"channel": "order", "message": n})))
            assert publisher.read_answer().json == {"subscribers": 2}
        assert [ws.message()[1] for _ in range(300)] == list(range(300))
        assert [sse.message()[1] for _ in range(300)] == list(range(300))


def test_a_subscriber_of_many_channels_gets_each_channels_messages(server):
    names = [f"many{n}" for n in range(128)]
    with WebSocket(server.port, ",".join(names)) as ws:
        for name in names:
            assert publish(server.port, name, name).json == {"subscribers": 1}
        assert [ws.message() for _ in names] == [(name, name) for name in names]


def test_expect_100_continue_is_answered(server):
    with Connection(server.port) as connection:
        body = b'{"channel":"expect","message":1}'
        connection.send(post(b"", headers=["Expect: 100-continue"], length=len(body)))
        assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        assert connection.send(body).read_answer().status == 202


def test_a_body_in_small_pieces_is_put_together(server):
    data = post('{"channel":"pieces","message":"whole"}')
    with EventStream(server.port, "pieces") as sse, Connection(server.port) as connection:
        sse.raw()
        for i in range(0, len(data), 7):
            connection.send(data[i:i + 7])
        assert connection.read_answer().json == {"subscribers": 1}
        assert sse.message() == ("pieces", "whole")


def test_nothing_is_published_in_part(server):
    with EventStream(server.port, "part") as sse:
        sse.raw()
        with Connection(server.port) as connection:
            connection.send(post(b'{"channel":"part","message":"cut', length=100))
        assert publish(server.port, "part", "whole").status == 202
        assert sse.message() == ("part", "whole")


def test_http_1_0_is_answered_and_closed(server):
    with Connection(server.port) as connection:
        body = '{"channel":"old","message":1}'
        connection.send(f"POST /messages HTTP/1.0\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}")
        assert connection.read_answer().status == 202
        assert connection.is_closed()


def test_preflights_and_origins_are_answered(server):
    answer = get(server.port, "/messages", method="OPTIONS",
                 headers=["Origin: https://a.example", "Access-Control-Request-Method: POST"])
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()
    answer = request(server.port, post('{"channel":"c","message":1}', headers=["Origin: https://a.example"]))
    assert answer.headers["access-control-allow-origin"] == "*"
