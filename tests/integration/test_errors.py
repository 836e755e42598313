import json

import pytest

from http1 import Connection, get, post, request
from sseclient import EventStream
from wsclient import WebSocket


def assert_json_error(answer, status, *words):
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["error"]
    for word in words:
        assert word in answer.error, answer.error


@pytest.mark.parametrize("body,word", [
    ("", "not JSON"), ("hello", "not JSON"), ("{", "not JSON"), ('{"channel":"c","message":1', "not JSON"),
    ("[]", "object"), ('"x"', "object"), ("{}", "missing"),
    ('{"message":1}', "'channel'"), ('{"channel":"c"}', "'message'"), ('{"channel":7,"message":1}', "'channel'"),
    ('{"channel":"","message":1}', "''"), ('{"channel":"a\\nb","message":1}', "control"),
    ('{"channel":"%s","message":1}' % ("n" * 256), "256"),
    ('{"channel":"c","message":NaN}', "not JSON"), ('{"channel":"c","message":"a\nb"}', "not JSON"),
    (b'{"channel":"c","message":"\xff"}', "UTF-8"), (b'{"channel":"\xed\xa0\x80","message":1}', "UTF-8"),
])
def test_a_bad_body_is_400_and_says_what_is_wrong(server, body, word):
    assert_json_error(request(server.port, post(body)), 400, word)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_with_allow(server, method):
    answer = get(server.port, "/messages", method=method)
    assert_json_error(answer, 405)
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/x+json", None])
def test_another_content_type_is_415(server, kind):
    assert_json_error(request(server.port, post('{"channel":"c","message":1}', content_type=kind)), 415,
                      "application/json")


def test_a_body_over_the_limit_is_413(server):
    with Connection(server.port) as connection:
        connection.send(post(b"x" * 65537))
        assert_json_error(connection.read_answer(), 413, "push.message.max.size")
        assert connection.is_closed()


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server):
    with Connection(server.port) as connection:
        connection.send(post(b"", headers=["Expect: 100-continue"], length=10_000_000_000))
        assert connection.read_answer().status == 413


def test_30000_nested_brackets_are_refused(server):
    body = '{"channel":"c","message":' + "[" * 30000 + "]" * 30000 + "}"
    assert_json_error(request(server.port, post(body)), 400, "nested deeper than 128")


def test_a_missing_length_is_411(server):
    with Connection(server.port) as connection:
        connection.send(post(b"", length=False))
        assert_json_error(connection.read_answer(), 411)


@pytest.mark.parametrize("length", ["-1", "1x", "99999999999999999999999", "0x10"])
def test_a_bad_length_is_refused(server, length):
    with Connection(server.port) as connection:
        connection.send(post(b"{}", length=length))
        assert connection.read_answer().status in (400, 413)


def test_two_lengths_are_refused(server):
    with Connection(server.port) as connection:
        connection.send(post(b'{"channel":"c","message":1}', headers=["Content-Length: 5"]))
        assert_json_error(connection.read_answer(), 400, "Content-Length")
        assert connection.is_closed()


def test_two_posts_in_one_segment_are_answered_in_order(server):
    with EventStream(server.port, "pipe") as sse, Connection(server.port) as connection:
        sse.raw()
        connection.send(post('{"channel":"pipe","message":1}') + post('{"channel":"pipe","message":2}'))
        assert connection.read_answer().json == {"subscribers": 1}
        assert sse.message() == ("pipe", 1)
        assert connection.read_answer().json == {"subscribers": 1}
        assert sse.message() == ("pipe", 2)


@pytest.mark.parametrize("path", ["/messages/sub", "/messagesx", "/messages/x/"])
def test_only_the_exact_path_publishes(server, path):
    answer = request(server.port, post('{"channel":"c","message":1}', path=path))
    assert answer.status in (404, 405)


def test_sse_without_channels_is_the_origins_error(server):
    answer = get(server.port, "/sse/messages")
    assert answer.status == 400
    assert answer.body == b'{"error":"\'channels\' query parameter required"}'


@pytest.mark.parametrize("channels,word", [
    ("", "''"), (",a", "''"), ("a,,b", "''"), ("a%01b", "control"), ("a%00b", "control"), ("%FF", "UTF-8"),
    ("n" * 256, "256"), (",".join(f"c{n}" for n in range(129)), "'c128'"),
])
def test_a_bad_channel_refuses_the_whole_request_and_is_named(server, channels, word):
    assert_json_error(get(server.port, f"/sse/messages?channels={channels}"), 400, word)
    with WebSocket(server.port, channels) as ws:
        assert ws.status == 101
        assert word in ws.event()["error"]
        assert ws.close_code() == 1008


@pytest.mark.parametrize("ending", ["%0A", "%0D", "%0D%0A"])
def test_an_encoded_line_break_is_refused_and_makes_no_header(server, ending):
    assert_json_error(get(server.port, f"/sse/messages?channels=a{ending}b"), 400, "control")
    try:
        with WebSocket(server.port, f"a{ending}b") as ws:
            assert "control" in ws.event()["error"]
    except EOFError:
        pass  # the upgrade was refused


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_sse_takes_get_only(server, method):
    answer = get(server.port, "/sse/messages?channels=a", method=method, headers=["Content-Length: 0"])
    assert_json_error(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_a_plain_get_on_the_websockets_path_is_answered(server):
    assert_json_error(get(server.port, "/ws/messages?channels=a"), 426)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_on_the_consoles_files_is_answered(server, method):
    assert get(server.port, "/nofile", method=method, headers=["Content-Length: 0"]).status in (404, 405)
    # lws serves an existing file by any method
    assert get(server.port, "/index.html", method=method, headers=["Content-Length: 0"]).status in (200, 404, 405)


def test_an_unknown_path_is_404(server):
    assert get(server.port, "/nowhere").status == 404
    assert get(server.port, "/sse/other?channels=a").status == 404


def test_the_percent_encoded_channel_is_the_plain_one(server):
    with EventStream(server.port, "%C3%A9t%C3%A9%2Cb%20c") as sse:
        sse.raw()
        assert request(server.port, post(json.dumps({"channel": "été", "message": 1}))).json == {"subscribers": 1}
        assert request(server.port, post(json.dumps({"channel": "b c", "message": 1}))).json == {"subscribers": 1}
        assert sse.message() == ("été", 1)
