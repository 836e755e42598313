"""Nothing that a client sends, or does not, stops or slows the others."""

import contextlib
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest

from http1 import Connection, get, post
from server import DIRECT, SANITIZED, Server
from sseclient import EventStream
from wsclient import CLOSE, TEXT, WebSocket, frame

LATENCY_S = 2
PAUSE_SLACK_S = 90


@pytest.fixture(scope="module")
def bounded():
    """Small queues and buffers, so that a slow reader is found soon."""
    with Server(PUSH_CLIENT_QUEUE_MAX_SIZE="100kb", PUSH_SOCKET_SEND_BUFFER_SIZE="16kb") as running:
        yield running


class Watch:
    """A well-behaved publisher and subscriber; every message must arrive in time while the block runs."""

    def __init__(self, server):
        self.server, self.stop, self.worst, self.failure = server, threading.Event(), 0, None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            with WebSocket(self.server.port, "watch") as ws, Connection(self.server.port) as publisher:
                count = 0
                while not self.stop.is_set():
                    start = time.monotonic()
                    publisher.send(post('{"channel":"watch","message":%d}' % count))
                    assert publisher.read_answer().status == 202
                    assert ws.message() == ("watch", count)
                    self.worst = max(self.worst, time.monotonic() - start)
                    count += 1
                    self.stop.wait(0.01)
        except Exception as error:
            self.failure = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert self.failure is None, self.failure
        assert self.worst < LATENCY_S


def slow_socket(port, request):
    """A connection that sends a request and then does not read; its receive buffer is small."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.settimeout(15)
    s.sendall(request)
    return s


def read_to_end(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def test_a_subscriber_that_does_not_read_is_disconnected_and_slows_nobody(bounded):
    ws = slow_socket(bounded.port, b"GET /ws/messages?channels=slow HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                     b"Sec-WebSocket-Version: 13\r\n\r\n")
    sse = slow_socket(bounded.port, b"GET /sse/messages?channels=slow HTTP/1.1\r\nHost: x\r\n\r\n")
    with EventStream(bounded.port, "slow") as good, Watch(bounded):
        bounded.wait_metric("push_subscriptions", 4)
        for n in range(60):
            assert bounded.publish("slow", str(n) + "x" * 10000).status == 202
            assert good.message()[1] == str(n) + "x" * 10000
        for kind in ("ws", "sse"):
            bounded.wait_metric(f'push_disconnects_total{{transport="{kind}",reason="slow"}}', 1)
        bounded.wait_metric("push_outbox_bytes", 0)
    received = read_to_end(sse)
    count = received.count(b'data:{"channel":"slow"')
    # what came before the end has no hole
    for n in range(count - 1):
        assert b'"message":"%dx' % n in received
    assert count < 60
    assert not received.endswith(b"0\r\n\r\n"), "a response that is cut off is not whole"
    ws.close()


def test_publishes_that_come_all_at_once_make_no_subscriber_slow():
    """Twenty times the queue at once; it fits into the sockets, so that nobody needs to read in between."""
    with Server(PUSH_CLIENT_QUEUE_MAX_SIZE="1kb") as running, WebSocket(running.port, "flood") as ws, \
            EventStream(running.port, "flood") as sse, contextlib.ExitStack() as publishers:
        sse.raw(), ws.read_frame()
        each = 100 if DIRECT else 1
        connections = [publishers.enter_context(Connection(running.port)) for _ in range(300 // each)]
        for connection in connections:
            connection.send(post('{"channel":"flood","message":"x"}') * each)
        for connection in connections:
            for _ in range(each):
                assert connection.read_answer().json == {"subscribers": 2}
        for _ in range(300):
            assert ws.message() == sse.message() == ("flood", "x")


def test_a_slow_websocket_that_reads_again_finds_1013(bounded):
    with WebSocket(bounded.port, "slow1013") as ws:
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = bounded.metric('push_messages_sent_total{transport="ws"}')
        sent = 0
        while bounded.publish("slow1013", "x" * 20000).json["subscribers"]:
            sent += 1
            assert sent < 2000
        got = []
        while (event := ws.next()) and event[0] == TEXT:
            got.append(event)
        assert event == (CLOSE, b"\x03\xf5")
        assert len(got) == bounded.metric('push_messages_sent_total{transport="ws"}') - before


def test_a_large_message_reaches_a_reader_that_is_slow_but_reads(bounded):
    text = "y" * 60000
    with WebSocket(bounded.port, "big") as ws:
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(5):
            bounded.publish("big", text)
            assert ws.message() == ("big", text)


def test_a_body_that_stalls_is_408(server):
    with Watch(server), Connection(server.port) as silent, Connection(server.port) as slow:
        silent.send(post(b"", length=100))
        slow.send(post(b'{"channel"', length=100))
        for connection in (silent, slow):
            answer = connection.read_answer()
            assert answer.status == 408
            assert "error" in answer.json
            assert connection.is_closed()


def test_half_open_connections_are_closed_in_time(server):
    with Watch(server), Connection(server.port) as silent, Connection(server.port) as half, \
            Connection(server.port) as trickle:
        half.send("POST /messages HTTP/1.1\r\nHost: x\r\n")
        start = time.monotonic()
        trickle.send("GET / HTTP/1.1\r\nX: ")
        for connection in (half, silent, trickle):
            assert connection.is_closed()
        assert time.monotonic() - start < 20


@pytest.mark.parametrize("head", [
    "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "y" * 100_000 + "\r\n\r\n",
    "GET /" + "y" * 100_000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n" + "X-Many: y\r\n" * 10_000 + "\r\n",
    "GET /sse/messages?channels=" + ",".join(f"channel{n}" for n in range(5000)) + " HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["header", "path", "headers", "channels"])
def test_a_request_head_over_the_limit_is_refused_or_closed(server, head):
    with Watch(server), Connection(server.port) as connection:
        try:
            connection.send(head)
            status = connection.read_answer().status
            assert 400 <= status < 500
        except (EOFError, ConnectionError):
            pass


def test_an_endless_body_is_cut_off(server):
    with Watch(server), Connection(server.port) as connection:
        connection.send(post(b"", length=10 ** 12))
        assert connection.read_answer().status == 413
        with pytest.raises(OSError):
            end = time.monotonic() + 20
            while time.monotonic() < end:
                connection.send(b"x" * 65536)


def test_junk_instead_of_http_is_closed(server):
    for junk in (b"\x00" * 1000, b"\x16\x03\x01\x02\x00" + b"\x01" * 500, b"\r\n\r\n" * 500, b"NONSENSE\r\n\r\n",
                 b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nContent-Length: -5\r\n\r\n"):
        with Watch(server), Connection(server.port) as connection:
            connection.send(junk)
            connection.socket.settimeout(20)
            try:
                connection.read_head()
            except (EOFError, ValueError, IndexError):
                pass


def test_clients_that_come_and_go_leave_nothing_behind(server):
    def one(n):
        if n % 4 == 0:
            WebSocket(server.port, "churn").close()
        elif n % 4 == 1:
            EventStream(server.port, "churn").close()
        elif n % 4 == 2:
            with WebSocket(server.port, "churn") as ws:
                ws.send(frame(CLOSE, b"\x03\xe8"))
        else:
            s = EventStream(server.port, "churn").socket
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            s.close()

    files = server.metric("process_open_fds")
    with Watch(server):
        for n in range(400):
            one(n)
    server.wait_metric('push_connections{transport="ws"}', 0)
    server.wait_metric('push_connections{transport="sse"}', 0)
    server.wait_metric("push_subscriptions", 0)
    assert server.metric("process_open_fds") <= files + 2


def test_idle_connections_cost_less_than_3_kb_each_also_after_a_broadcast():
    count = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    for kind in (WebSocket, EventStream):
        with Server(PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="110s") as server:
            server.publish("warm", 1)
            before = server.metric("process_resident_memory_bytes")
            clients = [kind(server.port, "idle") for _ in range(count)]
            assert server.publish("idle", "x" * 100).json == {"subscribers": count}
            for client in clients:
                client.message()
            each = (server.metric("process_resident_memory_bytes") - before) / count
            for client in clients:
                client.close()
            assert each < 3072 * (20 if __import__("server").SANITIZED else 1)


def test_when_descriptors_are_used_up_it_recovers():
    with Server(limit_files=115) as server:
        clients = []
        for _ in range(150):
            try:
                clients.append(EventStream(server.port, "full", timeout=2))
            except (OSError, EOFError):
                break
        assert 40 < len(clients) < 100
        clients[0].socket.settimeout(15)
        for client in clients[:50]:
            client.close()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if get(server.port, "/sse/messages", timeout=1).status == 400:
                    break
            except (OSError, EOFError):
                time.sleep(0.1)
        assert server.publish("full", 1).json["subscribers"] == len(clients) - 50
        assert clients[-1].message() == ("full", 1)
        for client in clients:
            client.close()


POST_HEAD = b"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WS_HEAD = (b"GET /ws/messages?channels=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
UNFINISHED = [
    b"", b"GET /sse/mess", b"\r\n\r\n", POST_HEAD + b'Content-Length: 100\r\n\r\n{"ch',
    POST_HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"c', POST_HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    post('{"channel":"a","message":1}') + b" POST", b"GET /sse/messages?channels=a HTTP/1.1\r\nHost: x\r\n\r\n",
    WS_HEAD, WS_HEAD + b"\x81\xfe\x00", WS_HEAD + b"\x81\x85abcdhe",
]


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_nothing_that_is_left_unfinished_keeps_the_server_busy(server):
    with contextlib.ExitStack() as sockets:
        clients = [sockets.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in UNFINISHED]
        for step in (lambda client, data: client.sendall(data), lambda client, _: client.shutdown(socket.SHUT_WR)):
            for client, data in zip(clients, UNFINISHED):
                step(client, data)
            assert server.publish("other", 1).status == 202
            before = processor_seconds(server.worker())
            time.sleep(1)  # the time that it may not use
            assert processor_seconds(server.worker()) - before < 0.3


@pytest.fixture(scope="module")
def patient():
    """A slow machine may take long for what these tests send, and none of these clients answers pings."""
    with Server(PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="110s", PUSH_RECONNECT_DITHER_MIN_DURATION="1h",
                PUSH_RECONNECT_DITHER_MAX_DURATION="1h") as running:  # none of them is asked to reconnect either
        yield running


def commands(count):
    """Commands of the largest size that is taken, each refused for 1,300 empty names."""
    text = '{"event":"subscribe","data":{"channels":[%s]}}' % ",".join(['""'] * 1300)
    return frame(TEXT, text) * count


def send_until_paused(server, clients, data):
    """Each sends as much as the kernel takes, again and again: a slow server reads on after the kernel was full."""
    rests = {client: b"" for client in clients}
    end = time.monotonic() + PAUSE_SLACK_S
    while (paused := server.metric("push_paused_clients")) != len(clients):
        assert time.monotonic() < end, f"{paused} of {len(clients)} clients are paused"
        for client in clients:
            client.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(1000):
                    rest = rests[client] or data
                    rests[client] = rest[client.socket.send(rest):]


def test_a_client_that_never_reads_its_answers_is_not_read_from_and_slows_nobody(patient):
    server = patient
    with contextlib.ExitStack() as stack, Watch(server):
        before = server.metric("process_resident_memory_bytes")
        greedy = [stack.enter_context(WebSocket(server.port, "greedy", answer=False)) for _ in range(30)]
        send_until_paused(server, greedy, commands(10))
        assert server.metric("push_outbox_bytes") < 30 * 100_000
        if not SANITIZED:  # their own memory is many times as much
            assert server.metric("process_resident_memory_bytes") - before < 30 * 200_000
        # a client that reads again is served again, and in order
        client = greedy[0]
        client.socket.settimeout(15)
        for _ in range(200):  # commands
            errors = [client.event()["data"] for _ in range(17)]
            assert errors[:16] == [{"channel": "", "error": "bad channel name '': empty"}] * 16
            assert errors[16] == {"error": "1284 more channels are refused", "channels": [""] * 1284}


@pytest.mark.parametrize("ask", ['{"event":"ping"}', '{"event":"subscribe","data":{"channels":["x","y"]}}',
                                 '{"event":"unsubscribe","data":{"channels":["x","y"]}}'])
def test_a_client_that_asks_faster_than_it_reads_gets_every_answer(patient, ask):
    """The answers are far more than its socket and its queue hold."""
    server = patient
    with WebSocket(server.port, "eager", answer=False) as client:
        count = 40_000
        sender = threading.Thread(target=lambda: client.send(frame(TEXT, ask) * count), daemon=True)
        sender.start()
        server.wait_metric("push_paused_clients", 1, seconds=60)
        answers = 0
        per_ask = 1 if "ping" in ask else 2
        while answers < count * per_ask:
            opcode, payload = client.read_frame()
            assert opcode != CLOSE, payload
            answers += opcode == TEXT and b'"event":"ping"' not in payload
        sender.join()
