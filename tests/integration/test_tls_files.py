"""What is lws' on a port with TLS: files, passwords, other mounts.  lws answers as on a plain port, through a relay."""

import base64
import contextlib
import hashlib
import os
import random
import socket
import ssl
import time

import pytest

from h2client import H2, make_certificate
from http1 import Connection, post, publish
from ports import free_port
from server import SANITIZED, Server
from sseclient import EventStream
from wsclient import WebSocket

VHOST = """{
  "name": "%(name)s", "port": "%(port)d", "keepalive_timeout": "60"%(tls)s,
  "headers": [{ "x-vhost": "yes" }],
  "mounts": [
    { "mountpoint": "/", "origin": "file://%(folder)s", "default": "index.html", "cache-max-age": "60",
      "cache-reuse": "1", "cache-revalidate": "1" },
    { "mountpoint": "/locked", "origin": "file://%(folder)s", "default": "index.html", "basic-auth": "%(users)s" },
    { "mountpoint": "/locked/events", "origin": "callback://push-sse", "basic-auth": "%(users)s" },
    { "mountpoint": "/locked/messages", "origin": "callback://push-http", "basic-auth": "%(users)s" },
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push-broker-vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}"""
ANN = "Authorization: Basic " + base64.b64encode(b"ann:secret").decode()
EVE = "Authorization: Basic " + base64.b64encode(b"eve:wrong").decode()
BIG = 8 * 1024 * 1024
SOME = 1024 * 1024
REFUSED_STREAM = 7
PROXY = "127.0.0.9"
PUBLISH_BODY = b'{"channel":"f","message":1}'
PUBLISH = post(PUBLISH_BODY)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The same folder on a plain port and on one with TLS."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "index.html").write_text("<p>index</p>")
    (folder / "big.txt").write_bytes(random.Random(1).randbytes(BIG))
    (folder / "some.txt").write_bytes(random.Random(1).randbytes(SOME))
    users = folder / "users"
    users.write_text("ann:secret\n")
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    rows = {"folder": folder, "users": users}
    plain, sealed = free_port(), free_port()
    conf = '{ "vhosts": [%s, %s] }' % (
        VHOST % {"name": "plain", "port": plain, "tls": "", **rows},
        VHOST % {"name": "sealed", "port": sealed, **rows,
                 "tls": f', "host-ssl-cert": "{certificate}", "host-ssl-key": "{key}", "alpn": "h2,http/1.1"'})
    with Server(conf_d={"30-two": conf}) as running:
        running.plain, running.sealed, running.certificate = plain, sealed, certificate
        context = ssl.create_default_context(cafile=certificate)
        running.wrap = lambda socket: context.wrap_socket(socket, server_hostname="localhost")
        yield running


def request(path, method="GET", *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines]) + "\r\n\r\n"


def answer_of(connection, text):
    """Status, fields and body of the answer to a request; a HEAD's and a 304's have none."""
    status, _, fields = connection.send(text).read_head()
    has_body = not text.startswith("HEAD") and status not in (204, 304)
    body = connection.read_exactly(int(fields.get("content-length", 0))) if has_body else b""
    fields.pop("date", None)
    return status, fields, body


@contextlib.contextmanager
def both(served):
    with Connection(served.plain) as plain, Connection(served.sealed, wrap=served.wrap) as sealed:
        yield plain, sealed


def of_files(port, wrap=None):
    """A connection that is lws' already."""
    connection = Connection(port, wrap=wrap)
    assert answer_of(connection, request("/index.html"))[0] == 200
    return connection


ROWS = [
    ("GET", "/", (), 200), ("GET", "/index.html", (), 200), ("HEAD", "/index.html", (), 200),
    ("GET", "/none.html", (), 404), ("GET", "/locked/", (), 401),
    ("GET", "/locked/index.html", (ANN,), 200), ("GET", "/locked/index.html", (EVE,), 401),
    ("GET", "/locked/events", (ANN,), 400), ("GET", "/locked/events", (EVE,), 401),
]


def fields_of(lines):
    return [tuple(line.lower().split(": ")[:1] + line.split(": ")[1:]) for line in lines]


def test_lws_answers_as_on_a_plain_port(served):
    handshakes = served.metric('push_tls_handshakes_total{result="full"}')
    with H2(served.sealed, served.certificate) as h2:
        for method, path, lines, status in ROWS:
            with both(served) as (plain, sealed):
                expected = answer_of(plain, request(path, method, *lines))
                assert expected[0] == status, path
                assert answer_of(sealed, request(path, method, *lines)) == expected
            stream = h2.request(method, path, fields_of(lines))
            body, fields = stream.whole(), {name: value for name, value in stream.headers.items() if name != "date"}
            assert (int(fields.pop(":status")), body) == (status, expected[2])
            assert fields == {name: value for name, value in expected[1].items() if name != "connection"}, path
    assert served.metric('push_tls_handshakes_total{result="full"}') == handshakes + len(ROWS) + 1  # none is lws'


def test_a_file_that_has_not_changed_is_not_sent_again(served):
    with both(served) as (plain, sealed), H2(served.sealed, served.certificate) as h2:
        tag = answer_of(sealed, request("/index.html"))[1]["etag"]
        for connection in plain, sealed:
            assert answer_of(connection, request("/index.html", "GET", f"If-None-Match: {tag}"))[0] == 304
        stream = h2.request("GET", "/index.html", [("if-none-match", tag)])
        assert (stream.status, stream.whole()) == (304, b"")


def test_a_redirect_leads_to_https(served):
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        status, _, fields = sealed.send(request("/locked")).read_head()
        assert (status, fields["location"]) == (301, "https://localhost/locked/")


def test_publishes_and_then_files_come_by_one_connection(served):
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        for _ in range(2):
            assert sealed.send(PUBLISH).read_answer().json == {"subscribers": 0}
        # lws' from here on, as on a plain port
        for _ in range(2):
            assert answer_of(sealed, request("/index.html"))[2] == b"<p>index</p>"
            assert sealed.send(PUBLISH).read_answer().json == {"subscribers": 0}


def test_a_probe_is_answered_on_a_port_with_tls(served):
    """Of a path that pushd has not told; what is then served by Push takes a chunked body, which lws does not."""
    probes = served.metric("push_routes_probed_total")
    chunked = request("//messages", "POST", "Content-Type: application/json", "Transfer-Encoding: chunked") + (
        f"{len(PUBLISH_BODY):x}\r\n{PUBLISH_BODY.decode()}\r\n0\r\n\r\n")
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        for _ in range(2):
            assert sealed.send(chunked).read_answer().status == 202
    assert served.metric("push_routes_probed_total") == probes + 1


def test_requests_may_be_sent_without_waiting_for_answers(served):
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        sealed.send(PUBLISH + PUBLISH + request("/index.html").encode() + request("/none.html").encode())
        assert [sealed.read_answer().status for _ in range(4)] == [202, 202, 200, 404]


def test_a_request_may_come_in_any_records(served):
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        for byte in request("/index.html"):
            sealed.send(byte)
        assert sealed.read_answer().body == b"<p>index</p>"
        for byte in request("/index.html"):  # now by the relay
            sealed.send(byte)
        assert sealed.read_answer().body == b"<p>index</p>"


def test_a_publish_below_a_password_comes_whole(served):
    body = '{"channel":"f","message":"%s"}' % ("x" * 60_000)
    text = post(body, [ANN], "/locked/messages")
    with Connection(served.sealed, wrap=served.wrap) as sealed, EventStream(served.plain, "f") as events:
        assert sealed.send(text).read_answer().json == {"subscribers": 1}
        assert events.message() == ("f", "x" * 60_000)


def test_streams_that_lws_serves_go_on(served):
    """Below a password; and by a path that lws has to decode."""
    with EventStream(served.sealed, "p", path="/locked/events", headers=[ANN], wrap=served.wrap) as events, \
            WebSocket(served.sealed, "p", path="/ws/message%73", wrap=served.wrap) as ws:
        for n in range(3):
            assert served.publish("p", n).json == {"subscribers": 2}
            assert events.message() == ws.message() == ("p", n)
    served.wait_metric("push_subscriptions", 0)


def test_a_large_file_arrives_whole(served):
    with Connection(served.sealed, wrap=served.wrap) as sealed:
        status, _, body = answer_of(sealed, request("/big.txt"))
    assert hashlib.sha256(body).digest() == hashlib.sha256(random.Random(1).randbytes(BIG)).digest()


def resident(served):
    with open(f"/proc/{served.worker()}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_readers_that_stop_take_no_memory_and_go_on(served):
    before = resident(served)

    def slow(plain):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return served.wrap(plain)

    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Connection(served.sealed, wrap=slow)) for _ in range(10)]
        for reader in readers:
            reader.send(request("/big.txt"))
            assert reader.read_head()[0] == 200
        for _ in range(3):  # the others are served meanwhile
            assert publish(served.sealed, "f", 1, wrap=served.wrap).status == 202
        assert SANITIZED or resident(served) - before < BIG / 2  # they keep what is freed
        assert readers[0].read_exactly(BIG) == random.Random(1).randbytes(BIG)


def descriptors(served):
    return len(os.listdir(f"/proc/{served.worker()}/fd"))


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_clients_that_disappear_leave_no_descriptor(served):
    wait_until(lambda: served.metric("push_subscriptions") == 0)
    before = descriptors(served)
    for where in ("idle", "in the head", "in a file", "half closed"):
        for _ in range(10):
            connection = of_files(served.sealed, served.wrap)
            if where == "in the head":
                connection.send("GET /index")
            elif where == "in a file":
                connection.send(request("/big.txt")).read_head()
            elif where == "half closed":
                connection.socket.shutdown(socket.SHUT_WR)
                assert connection.is_closed()
            connection.close()
    wait_until(lambda: descriptors(served) <= before)



# --- over HTTP/2, where each request is one of lws' own ---

def test_many_files_come_by_one_connection(served):
    expected = random.Random(1).randbytes(SOME)
    with H2(served.sealed, served.certificate) as h2:
        streams = [h2.get("/some.txt") for _ in range(3)] + [h2.get("/index.html") for _ in range(50)]
        streams.append(h2.post(PUBLISH_BODY))
        assert [stream.whole() for stream in streams[3:53]] == [b"<p>index</p>"] * 50
        assert [hashlib.sha256(stream.whole()).digest() for stream in streams[:3]] == [hashlib.sha256(expected).digest()] * 3
        assert streams[-1].whole() == b'{"subscribers":0}'


def test_streams_past_the_limit_are_refused_and_may_be_tried_again(served):
    with H2(served.sealed, served.certificate, window=0, auto_window=False) as h2:
        streams = [h2.get("/some.txt") for _ in range(101)]
        assert [stream.status for stream in streams[:100]] == [200] * 100
        streams[100].wait(lambda: streams[100].ended)
        assert streams[100].reset == REFUSED_STREAM
        streams[0].cancel()
        assert h2.get("/some.txt").status == 200


def test_a_stream_without_a_window_stops_and_goes_on(served):
    with H2(served.sealed, served.certificate, window=1000, auto_window=False) as h2:
        slow, quick = h2.get("/some.txt"), h2.get("/index.html")
        assert quick.whole() == b"<p>index</p>"
        slow.wait(lambda: len(slow.data) == 1000)
        assert h2.is_silent(0.1)
        h2.give_window(slow.number, SOME)
        h2.give_window(0, SOME)
        assert slow.whole() == random.Random(1).randbytes(SOME)


def test_bodies_and_streams_below_a_password_come_over_http_2(served):
    body = b'{"channel":"q","message":"%s"}' % (b"x" * 60_000)
    with H2(served.sealed, served.certificate) as h2:
        events = h2.request("GET", "/locked/events?channels=q", fields_of([ANN]))
        assert events.status == 200
        assert events.event().startswith(b"event:heartbeat")
        wait_until(lambda: served.metric("push_subscriptions") == 1)
        stream = h2.request("POST", "/locked/messages", fields_of(
            [ANN, "Content-Type: application/json", f"Content-Length: {len(body)}"]), end=False)
        for at in range(0, len(body), 10_000):
            stream.send(body[at:at + 10_000], end=at + 10_000 >= len(body))
        assert stream.whole() == b'{"subscribers":1}'
        assert events.event() == b"event:message\ndata:" + body + b"\n\n"
        events.cancel()
        served.wait_metric("push_subscriptions", 0)
        assert h2.get("/index.html").status == 200


def test_what_lws_cannot_be_asked_is_refused(served):
    with H2(served.sealed, served.certificate) as h2:
        no_length = h2.request("POST", "/locked/messages", fields_of([ANN]), end=False).send(b"x", end=True)
        assert no_length.status == 411
        assert h2.websocket("/ws/message%73").status == 404
        assert h2.request("PROPFIND", "/index.html").status == 501
        assert h2.get("/index.html").status == 200


def test_streams_that_are_given_up_leave_no_descriptor(served):
    wait_until(lambda: served.metric("push_subscriptions") == 0)
    before = descriptors(served)
    with H2(served.sealed, served.certificate, window=0, auto_window=False) as h2:
        for stream in [h2.get("/some.txt") for _ in range(20)]:
            assert stream.status == 200
            stream.cancel()
        assert h2.get("/none.html").status == 404
        wait_until(lambda: descriptors(served) <= before + 3)
    wait_until(lambda: descriptors(served) <= before)


def test_clients_of_lws_count_by_their_address(served):
    """Their connections, until they end; and what is published below a password."""
    conf = (served.folder / "conf.d/30-two").read_text()
    port = free_port()
    conf = conf.replace(str(served.plain), str(free_port())).replace(str(served.sealed), str(port))
    with Server(conf_d={"30-two": conf},
                PUSH_TRUSTED_PROXIES=PROXY, PUSH_LIMIT_ADDRESS_CONNECTIONS=2, PUSH_LIMIT_PUBLISH_MESSAGES=2, PUSH_DRAIN_DURATION="1s") as server:
        three = post('[%s]' % ",".join([PUBLISH_BODY.decode()] * 3), [ANN], "/locked/messages")
        first, second = of_files(port, served.wrap), of_files(port, served.wrap)
        with Connection(port, wrap=served.wrap) as third:
            assert third.send(PUBLISH).read_answer().status == 429
        assert [item.get("status") for item in first.send(three).read_answer().json] == [None, None, 429]
        second.close()

        def is_let_in():
            with Connection(port, wrap=served.wrap) as third:
                return third.send(request("/sse/messages")).read_answer().status == 400

        wait_until(is_let_in)
        # a proxy's clients share a connection, and have streams of their own
        with H2(port, served.certificate, source=PROXY) as h2:
            def stream_of(client):
                return h2.request("GET", "/locked/events?channels=f", fields_of([ANN, f"X-Forwarded-For: {client}"]))

            streams = [stream_of("10.0.0.1") for _ in range(3)] + [stream_of("10.0.0.2")]
            assert [stream.status for stream in streams] == [200, 200, 429, 200]
            streams[0].cancel()
            wait_until(lambda: stream_of("10.0.0.1").status == 200)
        # it goes without a fault while lws is sending
        first.send(request("/big.txt")).read_head()
        assert server.stop() == 0
        first.close()
