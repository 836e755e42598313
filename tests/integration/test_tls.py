"""WebSocket, SSE and publishing over TLS with HTTP/1.1: records large and small, slow readers, ways to end."""

import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from h2client import make_certificate
from http1 import Connection, get, post, publish
from ports import free_port
from server import Server
from sseclient import EventStream
from wsclient import CLOSE, TEXT, WebSocket, frame

VHOST = """
{ "vhosts": [{
  "name": "tls", "port": "%d", "host-ssl-cert": "%s", "host-ssl-key": "%s", "alpn": "http/1.1",
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push-broker-vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}] }
"""
QUEUE = 200_000


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}, PUSH_CLIENT_QUEUE_MAX_SIZE=QUEUE,
                PUSH_SOCKET_SEND_BUFFER_SIZE="64kb", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="5s",
                PUSH_HEARTBEAT_INTERVAL_DURATION="10s") as running:
        running.tls_port = port
        running.context = ssl.create_default_context(cafile=certificate)
        running.wrap = lambda plain: running.context.wrap_socket(plain, server_hostname="localhost")
        yield running


def descriptors(server):
    return len(os.listdir(f"/proc/{server.worker()}/fd"))


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def small_buffer(tls):
    """A connection whose reader can be slow: the kernel takes little for it."""
    def wrap(plain):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return tls.wrap(plain)
    return wrap


# 16,384 bytes is what one record holds at most
@pytest.mark.parametrize("size", [0, 1, 16_000, 16_384, 16_385, 64_000])
def test_a_message_of_any_size_arrives_whole(tls, size):
    text = "".join(random.Random(size).choices("abcdefgh", k=size))
    with WebSocket(tls.tls_port, "size", wrap=tls.wrap) as ws, EventStream(tls.tls_port, "size", wrap=tls.wrap) as sse:
        assert publish(tls.tls_port, "size", text, wrap=tls.wrap).json == {"subscribers": 2}
        assert ws.message() == ("size", text) and sse.message() == ("size", text)


def test_a_burst_arrives_in_order(tls):
    with WebSocket(tls.tls_port, "burst", wrap=tls.wrap) as ws, EventStream(tls.tls_port, "burst", wrap=tls.wrap) as sse:
        with Connection(tls.tls_port, wrap=tls.wrap) as publisher:
            for n in range(300):
                publisher.send(post(json.dumps({"channel": "burst", "message": [n, "b" * (n % 7) * 100]})))
                assert publisher.read_answer().json == {"subscribers": 2}
        for n in range(300):
            assert ws.message()[1][0] == n and sse.message()[1][0] == n


@pytest.mark.parametrize("cut", ["bytes", "halves"])
def test_a_request_may_come_in_any_records(tls, cut):
    request = post('{"channel":"cut","message":1}')
    pieces = [bytes([byte]) for byte in request] if cut == "bytes" else [request[:40], request[40:]]
    with Connection(tls.tls_port, wrap=tls.wrap) as connection:
        for piece in pieces:
            connection.send(piece)
        assert connection.read_answer().json == {"subscribers": 0}


def test_a_frame_may_come_in_any_records(tls):
    with WebSocket(tls.tls_port, "cut", wrap=tls.wrap) as ws:
        for byte in frame(TEXT, '{"event":"ping"}') * 3:
            ws.send(bytes([byte]))
        assert [ws.event()["event"] for _ in range(3)] == ["pong"] * 3
        ws.send(frame(TEXT, '{"event":"ping"}') * 100)
        assert [ws.event()["event"] for _ in range(100)] == ["pong"] * 100


def test_records_may_be_full_of_frames(tls):
    """lws gives a connection up that it has to read from a hundred times to empty one record."""
    with WebSocket(tls.tls_port, "full", wrap=tls.wrap) as ws:
        for _ in range(20):
            ws.send(frame(TEXT, '{"event":"unknown"}') * 1000)
        ws.send(frame(TEXT, '{"event":"ping"}'))
        assert ws.event()["event"] == "pong"


def test_a_client_that_has_gone_costs_no_handshake(tls):
    """Its ClientHello and its end come in one segment: nothing is sent to it."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    with socket.create_connection(("127.0.0.1", tls.tls_port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.sendall(out.read())
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_what_a_record_holds_is_read_on_when_its_sender_reads_again(tls):
    """Push reads no more of a client that takes no answers; a part of a record may be opened by then."""
    pauses = tls.metric("push_pauses_total")

    def wrap(plain):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return tls.wrap(plain)

    with WebSocket(tls.tls_port, "paused", wrap=wrap) as ws:
        sender = threading.Thread(target=ws.send, args=(frame(TEXT, '{"event":"ping"}') * 20_000,), daemon=True)
        sender.start()
        wait_for(lambda: tls.metric("push_pauses_total") > pauses and not sender.is_alive())
        assert [ws.event()["event"] for _ in range(20_000)] == ["pong"] * 20_000


@pytest.mark.parametrize("kind", [WebSocket, EventStream], ids=["ws", "sse"])
def test_a_reader_that_is_slow_at_times_misses_nothing(tls, kind):
    with kind(tls.tls_port, "slow", wrap=small_buffer(tls)) as slow:
        for n in range(12):  # more than the kernel takes; all of it would fit into the queue
            assert tls.publish("slow", [n, "s" * 15_000]).json == {"subscribers": 1}
        for n in range(12):
            assert slow.message() == ("slow", [n, "s" * 15_000])


@pytest.mark.parametrize("kind", [WebSocket, EventStream], ids=["ws", "sse"])
def test_a_reader_that_stands_still_is_cut_off_and_holds_up_no_other(tls, kind):
    name = "ws" if kind is WebSocket else "sse"
    slow = f'push_disconnects_total{{transport="{name}",reason="slow"}}'
    before = tls.metric(slow)
    with kind(tls.tls_port, "stuck", wrap=small_buffer(tls)) as stuck, \
            kind(tls.tls_port, "stuck", wrap=tls.wrap) as good:
        for n in range(60):
            assert tls.publish("stuck", [n, "s" * 15_000]).status == 202
            assert good.message()[1][0] == n
        tls.wait_metric(slow, before + 1)
        assert tls.publish("stuck", "end").json == {"subscribers": 1}
        assert good.message() == ("stuck", "end")
        assert stuck.is_closed()
    tls.wait_metric(f"{name}_connections_count", 0)


def test_a_websocket_is_closed_by_the_same_handshake(tls):
    with WebSocket(tls.tls_port, "bye", wrap=tls.wrap) as ws:
        ws.send(frame(CLOSE, b"\x03\xe8"))
        assert ws.next() == (CLOSE, b"\x03\xe8")
        assert ws.is_closed()
    with WebSocket(tls.tls_port, wrap=tls.wrap) as ws:
        assert ws.event() == {"error": "'channels' query parameter required"}
        assert ws.close_code() == 1008
    with WebSocket(tls.tls_port, "bye", wrap=tls.wrap) as ws:
        ws.send(frame(TEXT, "junk"))
        assert "error" in ws.event()
        assert ws.next() == (CLOSE, struct.pack(">H", 1007))
        assert ws.is_closed()  # within the grace period, though nothing answers


@pytest.mark.parametrize("kind", [WebSocket, EventStream], ids=["ws", "sse"])
@pytest.mark.parametrize("end", ["close_notify", "half-closed", "reset", "closed"])
def test_a_client_that_ends_is_forgotten_however_it_does(tls, kind, end):
    client = kind(tls.tls_port, "end", wrap=tls.wrap)
    assert tls.publish("end", 1).json == {"subscribers": 1}
    if end == "close_notify":
        client.socket.settimeout(0.1)
        try:
            client.socket.unwrap()
        except (OSError, ValueError):
            pass
    elif end == "half-closed":
        client.socket.shutdown(socket.SHUT_WR)  # a FIN without close_notify
    elif end == "reset":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    else:
        client.close()
    tls.wait_metric("push_subscriptions", 0)
    assert tls.publish("end", 2).json == {"subscribers": 0}
    client.close()


def test_renegotiation_is_refused(tls):
    with EventStream(tls.tls_port, "again", wrap=tls.wrap) as sse:
        client = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.tls_port}", "-tls1_2"],
                                input=b"R\n", capture_output=True, timeout=20)
        assert b"no renegotiation" in client.stderr
        assert tls.publish("again", 1).json == {"subscribers": 1}
        assert sse.message() == ("again", 1)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"GET /sse/messages?channels=a HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\0" * 5000],
                         ids=["http", "of Push's", "bad hello", "zeros"])
def test_what_is_no_tls_is_closed(tls, data):
    with Connection(tls.tls_port) as plain:
        with contextlib.suppress(OSError):  # closed before all of it was sent, or read
            plain.send(data)
            assert b" 200 " not in plain.socket.recv(100)
        assert plain.is_closed()
    assert publish(tls.tls_port, "other", 1, wrap=tls.wrap).status == 202


def test_those_who_never_shake_hands_hold_up_no_other(tls):
    idle = [Connection(tls.tls_port) for _ in range(50)]
    for half in idle[::2]:
        half.send(b"\x16\x03\x01")
    start = time.monotonic()
    assert publish(tls.tls_port, "other", 1, wrap=tls.wrap).status == 202
    assert get(tls.port, "/sse/messages").status == 400
    assert time.monotonic() - start < 2
    for connection in idle:
        connection.close()


def test_many_connects_and_disconnects_leave_no_descriptor(tls):
    rng = random.Random(7)
    tls.wait_metric("push_subscriptions", 0)
    wait_for(lambda: tls.metric("ws_connections_count") + tls.metric("sse_connections_count") == 0)
    before = descriptors(tls)
    for _ in range(10):
        clients = [rng.choice([WebSocket, EventStream])(tls.tls_port, "many", wrap=tls.wrap) for _ in range(15)]
        clients += [Connection(tls.tls_port, wrap=tls.wrap) for _ in range(5)]
        clients += [Connection(tls.tls_port) for _ in range(5)]
        rng.shuffle(clients)
        for client in clients:
            if rng.random() < 0.5:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
    tls.wait_metric("push_subscriptions", 0)
    wait_for(lambda: descriptors(tls) <= before)


def test_clients_that_read_are_not_taken_for_slow_when_memory_is_short(tmp_path):
    """Each write ends after one record, however much the socket would take."""
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    context = ssl.create_default_context(cafile=certificate)
    count = 60
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}, PUSH_MEMORY_MAX="8mb") as running, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(EventStream(
            port, "burst", wrap=lambda plain: context.wrap_socket(plain, server_hostname="localhost")))
            for _ in range(count)]
        readers = [threading.Thread(target=lambda c=c: [c.raw() for _ in range(101)], daemon=True) for c in clients]
        for reader in readers:
            reader.start()
        with Connection(running.port) as publisher:
            for n in range(20):
                publisher.send(post(json.dumps([{"channel": "burst", "message": f"{n} {k}" + "x" * 8000}
                                                for k in range(5)])))
                assert publisher.read_answer().status == 202
        for reader in readers:
            reader.join(30)
            assert not reader.is_alive()
        assert running.metric('push_memory_relieved_total{what="clients"}') == 0


def test_a_trusted_proxy_names_the_client_before_the_handshake(tmp_path):
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    context = ssl.create_default_context(cafile=certificate)

    def behind_proxy(client):
        def wrap(plain):
            plain.sendall(f"PROXY TCP4 {client} 127.0.0.1 4711 {port}\r\n".encode())
            return context.wrap_socket(plain, server_hostname="localhost")
        return wrap

    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}, PUSH_TRUSTED_PROXIES="127.0.0.1",
                PUSH_LIMIT_ADDRESS_CONNECTIONS=1):
        with EventStream(port, "a", wrap=behind_proxy("192.0.2.1")) as first, \
                EventStream(port, "a", wrap=behind_proxy("192.0.2.2")) as second, \
                EventStream(port, "a", wrap=behind_proxy("192.0.2.1")) as third:
            assert (first.status, second.status, third.status) == (200, 200, 429)
