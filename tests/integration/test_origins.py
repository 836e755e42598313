"""Where origins are listed, pages of others get nothing: by WebSocket, event stream, publish, control or history."""

import json
import ssl

import pytest

from h2client import H2, make_certificate
from http1 import Connection, get, post, request
from ports import free_port
from server import Server
from sseclient import EventStream
from test_http2 import VHOST as H2_VHOST
from wsclient import WebSocket

GOOD, OTHER = "https://good.example", "https://other.example:8443"
FOREIGN = ["https://evil.example", "null", "https://good.example.evil.com", "http://good.example",
           "https://good.example:8443", "https://other.example", "https://good.exampl", "good.example",
           "https://good.example/", "file://", "https://evil.example/?https://good.example",
           "https://good.example, https://evil.example", "https://" + "x" * 600 + ".example"]
CHANGE = '{"subscribe":"more"}'


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("origins"))
    context = ssl.create_default_context(cafile=certificate)
    port = free_port()
    vhost = H2_VHOST % (port, certificate, key, "push-broker-vhost")
    with Server(conf_d={"30-tls": vhost}, PUSH_CORS_ALLOWED_ORIGINS=f"{GOOD}, {OTHER}",
                PUSH_HISTORY_SIZE=10) as running:
        running.wires = {
            "plain": {"port": running.port},
            "tls": {"port": port, "wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}}
        running.h2 = lambda: H2(port, certificate)
        yield running


@pytest.fixture(params=["plain", "tls"])
def wire(request, listed):
    return listed.wires[request.param]


def socket_of(wire, headers):
    """The answer to an upgrade."""
    with WebSocket(channels="watched", headers=headers, **wire) as ws:
        ws.body = ws.read_exactly(int(ws.headers.get("content-length", 0)))
        return ws


def shown(origin):
    """What an error says of it."""
    return "a" if len(origin) > 400 else origin.split()[0]


def is_refused(answer, origin):
    return answer.status == 403 and "access-control-allow-origin" not in answer.headers and (
        shown(origin) in answer.error)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_gets_nothing(listed, wire, origin):
    before = listed.metric("push_origins_refused_total")
    header = [f"Origin: {origin}"]
    ws = socket_of(wire, [*header, "Cookie: session=1"])
    assert ws.status == 403 and shown(origin) in json.loads(ws.body)["error"]
    assert is_refused(get(path="/sse/messages?channels=watched", headers=header, **wire), origin)
    assert is_refused(get(path="/messages?channel=watched", headers=header, **wire), origin)
    assert is_refused(request(data=post('{"channel":"watched","message":1}', header), **wire), origin)
    assert is_refused(request(data=post('{"channel":"watched","message":1}\n', header,
                                        content_type="application/x-ndjson"), **wire), origin)
    with EventStream(channels="watched&control=true", **wire) as stream:
        token = stream.read_until(b"\n\n").split(b"control ")[1].split()[0].decode()
        assert is_refused(request(data=post(CHANGE, header, path=f"/sse/messages/{token}"), **wire), origin)
    assert listed.metric("push_origins_refused_total") == before + 6
    assert listed.publish("watched", "still").json["subscribers"] <= 1  # the stream above may not be gone yet


@pytest.mark.parametrize("origin", [GOOD, OTHER, "own", None])
def test_a_listed_page_its_own_and_no_page_get_everything(wire, origin):
    host = f"localhost:{wire['port']}"
    if origin == "own":
        origin = ("https" if "wrap" in wire else "http") + "://" + host
    named = origin in (GOOD, OTHER)
    header = [f"Origin: {origin}"] if origin else []

    def as_host(data):
        return data.replace(b"Host: test", f"Host: {host}".encode())

    def check(headers):
        assert headers.get("access-control-allow-origin") == (origin if named else None)
        assert headers.get("access-control-allow-credentials") == ("true" if named else None)
        assert headers["vary"] == "Origin"

    with Connection(**wire) as connection:
        answer = connection.send(as_host(post('{"channel":"quiet","message":1}', header))).read_answer()
        assert answer.status == 202
        check(answer.headers)
        lines = "\r\n".join(["GET /messages?channel=quiet HTTP/1.1", "Host: test", *header]) + "\r\n\r\n"
        answer = connection.send(as_host(lines.encode())).read_answer()
        assert answer.status == 200
        check(answer.headers)
        lines = "\r\n".join(["GET /sse/messages?channels=quiet HTTP/1.1", "Host: test", *header]) + "\r\n\r\n"
        status, _, headers = connection.send(as_host(lines.encode())).read_stream_head()
        assert status == 200
        check(headers)
        assert connection.read_until(b"\n\n").startswith(b"event:heartbeat\n")
    with Connection(**wire) as connection:
        lines = ["GET /ws/messages?channels=quiet HTTP/1.1", "Host: test", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13", *header]
        assert connection.send(as_host(("\r\n".join(lines) + "\r\n\r\n").encode())).read_head()[0] == 101


def test_the_own_host_is_the_whole_of_it(wire):
    for host in ("localhost", f"localhost:{wire['port'] + 1}", f"localhost.evil.example:{wire['port']}"):
        lines = post('{"channel":"quiet","message":1}', [f"Origin: http://{host}"]).replace(
            b"Host: test", f"Host: localhost:{wire['port']}".encode())
        assert request(data=lines, **wire).status == 403


def test_two_origins_are_none_that_is_listed(wire):
    twice = [f"Origin: {GOOD}", "Origin: https://evil.example"]
    # our own sockets refuse a second Origin as such
    assert request(data=post('{"channel":"quiet","message":1}', twice), **wire).status in (400, 403)
    assert socket_of(wire, twice).status in (400, 403)


def test_a_preflight_names_only_listed_origins(wire):
    for origin, named in ((GOOD, GOOD), ("https://evil.example", None)):
        for path in ("/messages", "/sse/messages?channels=a"):
            headers = [f"Origin: {origin}", "Access-Control-Request-Method: POST"]
            answer = get(path=path, method="OPTIONS", headers=headers, **wire)
            assert answer.status == 204
            assert answer.headers.get("access-control-allow-origin") == named
            assert answer.headers.get("access-control-allow-credentials") == ("true" if named else None)
            assert answer.headers["vary"] == "Origin"


def test_the_same_holds_over_http_2(listed):
    body = b'{"channel":"h2","message":1}'
    for origin, admitted in ((GOOD, True), ("https://evil.example", False), ("null", False), (None, True)):
        more = [("origin", origin)] if origin else []
        with listed.h2() as h2:
            publish = h2.request("POST", "/messages", [("content-type", "application/json"),
                                                       ("content-length", str(len(body))), *more], end=False)
            publish.send(body, end=True)
            stream = h2.request("GET", "/sse/messages?channels=h2", more)
            read = h2.request("GET", "/messages?channel=h2", more)
            authority = f"localhost:{h2.port}"
            ws = h2.open([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
                          (":authority", authority), (":path", "/ws/messages?channels=h2"),
                          ("sec-websocket-version", "13"), *more], end=False)
            statuses = [publish.status, stream.status, read.status, ws.status]
            assert statuses == ([202, 200, 200, 200] if admitted else [403] * 4), origin
            if not admitted:
                assert origin in json.loads(read.whole())["error"]
    with listed.h2() as h2:  # its own page
        origin = ("origin", f"https://localhost:{h2.port}")
        assert h2.request("GET", "/sse/messages?channels=h2", [origin]).status == 200


def test_refused_publishes_are_counted_as_such(listed, wire):
    before = listed.metric('push_publishes_total{status="403"}')
    assert request(data=post('{"channel":"a","message":1}', ["Origin: null"]), **wire).status == 403
    assert get(path="/sse/messages?channels=a", headers=["Origin: null"], **wire).status == 403
    assert get(path="/messages?channel=a", headers=["Origin: null"], **wire).status == 403
    assert listed.metric('push_publishes_total{status="403"}') == before + 1
    listed.check_metrics()


def test_with_all_allowed_no_page_gets_credentials(server):
    for header in (["Origin: https://evil.example"], ["Origin: null"], []):
        answer = request(server.port, post('{"channel":"a","message":1}', header))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (202, "*")
        assert "access-control-allow-credentials" not in answer.headers and "vary" not in answer.headers
        with WebSocket(server.port, "a", headers=header) as ws:
            assert ws.status == 101
