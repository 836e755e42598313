"""Where one request ends and the next begins: whatever the segments, each is answered once, or none of it counts."""

import base64
import itertools
import json
import socket

import pytest

from http1 import Connection, get, post, publish, request
from server import DIRECT, SANITIZED
from sseclient import EventStream
from wsclient import TEXT, WebSocket, frame

PROMPT_S = 9 if SANITIZED else 3
JSON_PUBLISH = '{"channel":"framing","message":"x"}'
SMALL_GET = "GET %s HTTP/1.1\r\nHost: test\r\n\r\n"
REQUESTS = {
    "publish": (post(JSON_PUBLISH), 202),
    "bad json": (post("{nope"), 400),
    "bad type": (post(JSON_PUBLISH, content_type="text/plain"), 415),
    "no length": (post(b"", length=False), 411),
    "wrong method": ((SMALL_GET % "/messages").encode(), 405),
    "put with a body": (post(JSON_PUBLISH).replace(b"POST", b"PUT"), 405),
    "preflight": ((SMALL_GET % "/messages").replace("GET", "OPTIONS").encode(), 204),
    "no channels": ((SMALL_GET % "/sse/messages").encode(), 400),
    "console": ((SMALL_GET % "/").encode(), 200),
    "nowhere": ((SMALL_GET % "/nowhere").encode(), 404),
    "plain get of ws": ((SMALL_GET % "/ws/messages?channels=a").encode(), 426),
}


def answers_until_quiet(connection, count):
    """The answers to `count` requests: fewer only where the connection ends."""
    connection.socket.settimeout(PROMPT_S)
    got = []
    try:
        while len(got) < count:
            got.append(connection.read_answer())
    except EOFError as end:
        assert connection.buffer == b"", f"cut off: {end}"
    except TimeoutError:
        raise AssertionError(f"{len(got)} of {count} answers, then silence: {[a.status for a in got]}") from None
    return got


class Tally:
    """Counts what arrives in a channel, so that each acceptance is exactly one message."""

    def __init__(self, server, channel):
        self.server, self.channel = server, channel
        self.stream = EventStream(server.port, channel)
        self.stream.raw()

    def count(self):
        publish(self.server.port, self.channel, "the end")
        got = 0
        while self.stream.message()[1] != "the end":
            got += 1
        return got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()


@pytest.mark.parametrize("first,second", itertools.product(REQUESTS, REQUESTS))
def test_two_requests_in_one_segment_are_answered_in_order_or_the_first_ends_the_connection(server, first, second):
    with Tally(server, "framing") as tally, Connection(server.port) as connection:
        connection.send(REQUESTS[first][0] + REQUESTS[second][0])
        got = [answer.status for answer in answers_until_quiet(connection, 2)]
        assert got in ([REQUESTS[first][1]], [REQUESTS[first][1], REQUESTS[second][1]])
        assert tally.count() == got.count(202)


def test_requests_right_behind_one_for_a_file_are_answered_as_they_were_sent(server):
    with Connection(server.port) as connection:
        connection.send(REQUESTS["console"][0] * 2 + REQUESTS["no channels"][0])
        assert [answer.status for answer in answers_until_quiet(connection, 3)] == [200, 200, 400]


def test_ten_publishes_in_one_segment_do_not_hang(server):
    with Tally(server, "framing") as tally, Connection(server.port) as connection:
        connection.send(post(JSON_PUBLISH) * 10)
        got = [answer.status for answer in answers_until_quiet(connection, 10)]
        assert got and set(got) == {202}
        assert tally.count() == len(got)


def in_two_segments(server, data, receive):
    """Sends `data` cut at each place, on a connection each; what receive() makes of each."""
    cuts = range(1, len(data))
    connections = [Connection(server.port, timeout=PROMPT_S) for _ in cuts]
    for connection, cut in zip(connections, cuts):
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(data[:cut])
    get(server.port, "/sse/messages")
    results = []
    for connection, cut in zip(connections, cuts):
        try:
            connection.send(data[cut:])
        except ConnectionError:
            pass
        results.append(receive(connection))
        connection.close()
    return results


def test_a_publish_may_be_cut_anywhere(server):
    with Tally(server, "framing") as tally:
        data = post(JSON_PUBLISH)
        statuses = in_two_segments(server, data, lambda c: c.read_answer().status)
        assert statuses == [202] * (len(data) - 1)
        assert tally.count() == len(data) - 1


def test_two_publishes_may_be_cut_anywhere(server):
    with Tally(server, "framing") as tally:
        statuses = in_two_segments(server, post(JSON_PUBLISH) * 2,
                                   lambda c: [a.status for a in answers_until_quiet(c, 2)])
        assert all(got in ([202], [202, 202]) for got in statuses), statuses
        assert tally.count() == sum(map(len, statuses))


PING_FRAME = frame(TEXT, '{"event":"ping"}')
UPGRADE = "\r\n".join(["GET /ws/messages?channels=cut HTTP/1.1", "Host: test", "Upgrade: websocket",
                       "Connection: Upgrade", f"Sec-WebSocket-Key: {base64.b64encode(b'0' * 16).decode()}",
                       "Sec-WebSocket-Version: 13", "", ""]).encode()


def upgraded(connection):
    assert connection.read_head()[0] == 101
    connection.__class__, connection.answer = WebSocket, True
    return connection


def test_an_upgrade_may_be_cut_anywhere(server):
    def ping(connection):
        return upgraded(connection).send(PING_FRAME).next()

    assert set(in_two_segments(server, UPGRADE, ping)) == {(TEXT, b'{"event":"pong","data":{}}')}


def test_a_frame_in_the_segment_of_the_upgrade_is_not_lost(server):
    with Connection(server.port) as connection:
        connection.send(UPGRADE + PING_FRAME)
        assert upgraded(connection).next() == (TEXT, b'{"event":"pong","data":{}}')


def test_a_request_for_events_may_be_cut_anywhere(server):
    def first_event(connection):
        return connection.read_stream_head()[0], connection.read_until(b"\n\n")

    data = (SMALL_GET % "/sse/messages?channels=cut%2Ctwo").encode()
    assert set(in_two_segments(server, data, first_event)) == {(200, b"event:heartbeat\ndata:{}\n\n")}


@pytest.mark.parametrize("length", [
    "+29", "29 29", "29, 29", "29,30", "2_9", "1e1", "", "-0", "０", "29\t29",
])
def test_a_length_that_is_no_number_publishes_nothing(server, length):
    with Tally(server, "framing") as tally:
        with Connection(server.port, timeout=PROMPT_S) as connection:
            connection.send(post(JSON_PUBLISH, length=length))
            assert answers_until_quiet(connection, 1)[0].status in (400, 411)
        assert tally.count() == 0


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip", "identity", "chunked, identity", "x"])
def test_a_length_beside_a_transfer_encoding_is_refused_and_ends_the_connection(server, coding):
    hidden = post(JSON_PUBLISH)
    with Tally(server, "framing") as tally:
        with Connection(server.port, timeout=PROMPT_S) as connection:
            connection.send(post(b"0\r\n\r\n" + hidden, headers=[f"Transfer-Encoding: {coding}"]))
            answer = connection.read_answer()
            assert answer.status in (400, 411, 501) and "error" in answer.json
            assert connection.is_closed()
        assert tally.count() == 0


@pytest.mark.parametrize("missing", [1, 5, len(JSON_PUBLISH)])
def test_a_body_that_ends_early_publishes_nothing(server, missing):
    with Tally(server, "framing") as tally:
        with Connection(server.port) as connection:
            connection.send(post(JSON_PUBLISH)[:-missing])
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.is_closed()
        assert tally.count() == 0


@pytest.mark.parametrize("headers", [
    ["content-type:application/json"], ["CONTENT-TYPE:   application/json"],
    ["Content-Type: application/json  "], ["Content-Type: application/json ; charset=utf-8"],
    ["Content-Type: application/json", "X-Other: " + "y" * 1000, "Cookie: a=b; c=d", "User-Agent: t"],
], ids=["lower", "upper", "trailing", "parameter", "others"])
def test_headers_are_understood_however_they_are_written(server, headers):
    assert request(server.port, post(JSON_PUBLISH, content_type=None, headers=headers)).status == 202


def test_a_query_on_the_path_of_publishing_does_no_harm(server):
    assert request(server.port, post(JSON_PUBLISH, path="/messages?a=b&channels=c")).status == 202


def test_connection_close_is_honoured(server):
    with Connection(server.port) as connection:
        answer = connection.send(post(JSON_PUBLISH, headers=["Connection: close"])).read_answer()
        assert answer.status == 202
        assert connection.is_closed()


def test_the_rest_of_a_refused_expectation_is_not_awaited(server):
    with Connection(server.port, timeout=PROMPT_S) as connection:
        connection.send(post(b"", headers=["Expect: 100-continue"], length=65537))
        assert connection.read_answer().status == 413


def test_an_expectation_whose_body_comes_at_once_is_answered(server):
    with Connection(server.port, timeout=PROMPT_S) as connection:
        connection.send(post(JSON_PUBLISH, headers=["Expect: 100-continue"]))
        answer = connection.read_answer()
        if answer.status == 100:
            answer = connection.read_answer()
        assert answer.status == 202


def test_a_refused_body_is_answered_to_a_client_that_sends_all_of_it_before_it_reads(server):
    for body, status in ((b"x" * 1_000_000, 413), (b"[" * 60_000, 400)):
        with Connection(server.port) as connection:
            connection.send(post(body))
            assert connection.read_answer().status == status


def test_a_tab_before_a_headers_value_is_white_space(server):
    answer = request(server.port, post(JSON_PUBLISH, content_type=None, headers=["Content-Type:\tapplication/json"]))
    assert answer.status == 202


OF_LWS = pytest.mark.xfail(not DIRECT, strict=True, reason="lws answers methods that it does not know itself, with 403")
OTHER_METHODS = ["PUT", "DELETE", "PATCH",
                 pytest.param("TRACE", marks=OF_LWS), pytest.param("PROPFIND", marks=OF_LWS)]


@pytest.mark.parametrize("method", ["GET", "HEAD", *OTHER_METHODS])
def test_other_methods_on_messages_are_405_with_what_is_allowed(server, method):
    assert_refused_method(server, method, "/messages", "POST, OPTIONS")


@pytest.mark.parametrize("method", ["POST", *OTHER_METHODS])
def test_other_methods_on_events_are_405_with_what_is_allowed(server, method):
    assert_refused_method(server, method, "/sse/messages?channels=a", "GET, HEAD, OPTIONS")


def test_head_of_events_is_the_head_of_the_stream_and_leaves_the_connection_usable(server):
    with Connection(server.port) as connection:
        for path, status in (("/sse/messages?channels=a", 200), ("/sse/messages", 400)):
            connection.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")
            got, _, headers = connection.read_head()
            assert got == status
            assert headers["content-type"] == ("text/event-stream" if status == 200 else "application/json")
        assert connection.send(post(JSON_PUBLISH)).read_answer().status == 202


def assert_refused_method(server, method, path, allow):
    with Connection(server.port, timeout=PROMPT_S) as connection:
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        + ("" if method in ("GET", "HEAD") else "Content-Length: 0\r\n") + "\r\n")
        status, _, headers = connection.read_head()
        assert (status, headers.get("allow")) == (405, allow)
        assert connection.is_closed()
        assert connection.buffer == b"" if method == "HEAD" else list(json.loads(connection.buffer)) == ["error"]


@pytest.mark.parametrize("path", ["/../conf", "/%2e%2e/conf", "/..%2fconf", "/%2e%2e%2fconf", "/console/../../conf",
                                  "//etc/passwd", "/....//conf", "/\\..\\conf"])
def test_the_console_gives_out_no_files_of_others(server, path):
    with Connection(server.port) as connection:
        try:
            answer = connection.send(SMALL_GET % path).read_answer()
        except EOFError:
            return
        assert answer.status >= 300 or b"<html" in answer.body.lower()
        assert b"plugin-dir" not in answer.body and b"root:" not in answer.body
