"""Event streams over HTTP/1.1 are chunked (RFC 9112, 7.1), one chunk a message; over HTTP/1.0 and HTTP/2 they are not."""

import contextlib
import json
import signal
import ssl
import subprocess
import threading

import pytest

from h2client import make_certificate
from http1 import Connection, post, publish, request
from ports import free_port
from server import DIRECT, TOOLS, Server
from sseclient import HEARTBEAT, RECONNECT, EventStream
from test_http2 import VHOST

SLACK_S = 30
READERS = {
    "requests": """
import requests, sys
for line in requests.get(sys.argv[1], stream=True).iter_lines():
    print(line.decode(), flush=True)
""",
    "sseclient-py": """
import requests, sseclient, sys
for event in sseclient.SSEClient(requests.get(sys.argv[1], stream=True)).events():
    print(f"event:{event.event}", f"data:{event.data}", "", sep="\\n", flush=True)
""",
}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("chunks"))
    context = ssl.create_default_context(cafile=certificate)
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key, "push-broker-vhost")}, PUSH_MESSAGE_MAX_SIZE="2mb",
                PUSH_CLIENT_QUEUE_MAX_SIZE="16mb", PUSH_RECONNECT_DITHER_MIN_DURATION="6s",
                PUSH_RECONNECT_DITHER_MAX_DURATION="6s", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="1s") as running:
        running.certificate = certificate
        running.wires = {
            "plain": {"port": running.port},
            "tls": {"port": port, "wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}}
        running.urls = {"plain": f"http://localhost:{running.port}", "tls": f"https://localhost:{port}"}
        yield running


@pytest.fixture(params=["plain", "tls"])
def wire(request, secure):
    return secure.wires[request.param]


def message(channel, value):
    return b'event:message\ndata:{"channel":"%s","message":%s}\n\n' % (channel.encode(), json.dumps(value).encode())


@pytest.mark.parametrize("reader", READERS)
def test_a_client_that_reads_in_blocks_shows_each_event_before_the_next_one_comes(server, reader):
    python = TOOLS / "clients/python/bin/python"
    if not python.exists():
        pytest.skip("no requests and sseclient-py: tests/clients/fetch gets them")
    url = f"http://localhost:{server.port}/sse/messages?channels={reader}"
    with subprocess.Popen([python, "-c", READERS[reader], url], stdout=subprocess.PIPE, cwd="/") as client:
        def shown():
            return b"".join(client.stdout.readline() for _ in range(3))

        late = threading.Timer(SLACK_S, client.kill)
        late.start()
        try:
            assert shown() == HEARTBEAT
            for n in range(3):
                assert publish(server.port, reader, n).json == {"subscribers": 1}
                assert shown() == message(reader, n)
        finally:
            late.cancel()
            client.kill()


def test_the_head_says_that_chunks_follow_and_no_other_answer(wire):
    with EventStream(channels="head", **wire) as stream:
        assert stream.headers["transfer-encoding"] == "chunked" and stream.headers["connection"] == "close"
        assert "content-length" not in stream.headers
        assert stream.raw() == HEARTBEAT


@pytest.mark.parametrize("size", [0, 1, 4_000, 1_000_000])
def test_each_message_is_one_chunk(wire, secure, size):
    with EventStream(channels=f"one{size}", **wire) as stream:
        for count, value in enumerate(["x" * size, size, ["x" * size]], 1):
            assert secure.publish(f"one{size}", value).json == {"subscribers": 1}
            while len(stream.chunks.contents) <= count:
                assert stream.fill()
            assert stream.chunks.contents[count] == message(f"one{size}", value)
        assert stream.chunks.contents[0] == HEARTBEAT


def test_a_text_that_channels_share_is_one_chunk_in_each(wire, secure):
    text = "y" * 100_000
    with EventStream(channels="left", **wire) as left, EventStream(channels="right", **wire) as right:
        body = json.dumps({"channels": ["left", "right"], "message": text})
        assert request(secure.port, post(body)).status == 202
        for stream, name in ((left, "left"), (right, "right")):
            while len(stream.chunks.contents) < 2:
                assert stream.fill()
            assert stream.chunks.contents == [HEARTBEAT, message(name, text)]


def test_a_token_comes_before_the_first_heartbeat_in_chunks_of_whole_lines(wire):
    with EventStream(channels="token&control=true", **wire) as stream:
        first = stream.raw()
        assert first.startswith(b":control ") and first.endswith(b"\n" + HEARTBEAT)
        assert b"".join(stream.chunks.contents) == first
        assert all(chunk.endswith(b"\n") for chunk in stream.chunks.contents)


def test_the_end_of_its_lifetime_is_the_last_chunk_and_the_end_of_the_connection(secure):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(EventStream(channels="end", **wire)) for wire in secure.wires.values()]
        for stream in streams:
            assert list(iter(stream.raw, None)) == [HEARTBEAT, RECONNECT]
            assert stream.chunks.is_whole and stream.buffer == b"" and stream.chunks.raw == b""


def test_a_drain_ends_each_stream_by_its_last_chunk():
    with Server(PUSH_DRAIN_DURATION="1s", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="200ms") as server:
        streams = [EventStream(server.port, "drain") for _ in range(5)]
        assert all(stream.raw() == HEARTBEAT for stream in streams)
        server.process.process.send_signal(signal.SIGTERM)
        for stream in streams:
            assert list(iter(stream.raw, None)) == [RECONNECT]
            assert stream.chunks.is_whole
            stream.close()
        server.ended = True
        assert server.process.wait() == 0


def test_clients_of_http_1_0_read_events_alone(secure):
    """Also large ones, a shared text, and up to an end that is only the connection's."""
    shared, large = "z" * 300_000, "x" * 20_000
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(**wire)) for wire in secure.wires.values()]
        for client in clients:
            client.send("GET /sse/messages?channels=old&control=true HTTP/1.0\r\nHost: test\r\n\r\n")
            status, _, headers = client.read_head()
            assert status == 200 and "transfer-encoding" not in headers
            assert client.read_until(b"\n").startswith(b":control ")
            assert client.read_until(b"\n\n") == HEARTBEAT
        assert secure.publish("old", "small").json == {"subscribers": 2}
        body = json.dumps({"channels": ["old", "new"], "message": shared})
        assert request(secure.port, post(body)).json == {"subscribers": 2}
        for _ in range(20):
            assert secure.publish("old", large).json == {"subscribers": 2}
        for client in clients:
            assert client.is_closed()
            assert client.buffer.count(RECONNECT) == 1
            assert client.buffer.replace(RECONNECT, b"") == (
                message("old", "small") + message("old", shared) + message("old", large) * 20)


WAYS = [("http1.0", "plain"), ("http1.1", "plain"), ("http1.0", "tls"), ("http1.1", "tls"), ("http2", "tls")]


def test_curl_reads_the_same_events_by_each_version_and_sees_a_whole_response(secure):
    curls = []
    try:
        for version, wire in WAYS:
            curls.append(subprocess.Popen([
                "curl", "-sN", f"--{version}", "-w", "%{http_version}", "--cacert", secure.certificate,
                f"{secure.urls[wire]}/sse/messages?channels=curl"], stdout=subprocess.PIPE))
            assert b"".join(curls[-1].stdout.readline() for _ in range(3)) == HEARTBEAT
        for value in ("a", "b" * 100_000):
            assert secure.publish("curl", value).json == {"subscribers": len(WAYS)}
        for curl, (version, _) in zip(curls, WAYS):
            events, _, shown = curl.stdout.read().rpartition(b"\n")
            assert curl.wait() == 0, "18 is an end without the last chunk"
            # our own sockets answer HTTP/1.0 by their own version (RFC 9110, 2.5)
            assert float(shown) in {float(version.removeprefix("http")), *([1.1] if DIRECT and version == "http1.0" else [])}
            assert (events + b"\n").replace(RECONNECT, b"") == message("curl", "a") + message("curl", "b" * 100_000)
    finally:
        for curl in curls:
            curl.kill()
            curl.stdout.close()
            curl.wait()
