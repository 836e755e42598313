"""Direct sockets: what they respect of lws' configuration, what they cut, keep and give back, and that they are in use."""

import base64
import contextlib
import ctypes
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from http1 import Connection, get, post, request
from ports import free_port
from redis_servers import wait_until
from server import DIRECT, SANITIZED, Server
from sseclient import EventStream
from test_framing import in_two_segments
from test_hostile import processor_seconds
from wsclient import CLOSE, PING, TEXT, WebSocket, frame

ONLY_DIRECT = pytest.mark.skipif(not DIRECT, reason="lws' own sockets do not do it")
CONNECTIONS = "push_direct_connections"
PROBED = "push_routes_probed_total"

# ---- what lws decides, direct sockets respect: vhosts by name, passwords of mounts, headers of a vhost

VHOST = """{
  "name": "%s", "port": "%d", "headers": [{ "x-vhost": "%s" }],
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http"%s },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse"%s },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push-broker-vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}"""
PUBLISH = post('{"channel":"d","message":1}')
EVENTS = b"GET /sse/messages?channels=d HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture(scope="module")
def vhosts(tmp_path_factory):
    """Two vhosts on one port, which lws tells apart by Host: "guarded" wants a password, "open" does not."""
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text("ann:secret\n")
    port, lock = free_port(), f', "basic-auth": "{users}"'
    conf = '{ "vhosts": [%s, %s] }' % (VHOST % ("guarded", port, "guarded", lock, lock),
                                       VHOST % ("open", port, "open", "", ""))
    with Server(stock=True, options={"push-direct": "on" if DIRECT else "off"}, conf_d={"30-two": conf}) as running:
        running.shared, running.users = port, users
        if DIRECT:
            until_direct(running)
        yield running


def until_direct(server):
    """Stock lwsws listens a moment before Push takes the port over; waits until that has happened."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with EventStream(server.port, "d") as sse:
            sse.raw()
            if server.metric(CONNECTIONS) >= 1:
                return
    raise AssertionError("no direct sockets:\n" + server.process.output())


def to(vhost, data, password=None):
    """The request, for that vhost, with that password."""
    lines = f"Host: {vhost}\r\n"
    if password:
        lines += f"Authorization: Basic {base64.b64encode(f'ann:{password}'.encode()).decode()}\r\n"
    return data.replace(b"Host: test\r\n", lines.encode())


def answered(port, data):
    with Connection(port) as connection:
        status, _, headers = connection.send(data).read_head()
        return status, headers.get("x-vhost")


@pytest.mark.parametrize("data,good", [(PUBLISH, 202), (EVENTS, 200)], ids=["publish", "events"])
def test_a_mounts_password_holds_in_any_order_of_requests(vhosts, data, good):
    for _ in range(2):  # the second time all of it is known already
        assert answered(vhosts.shared, to("guarded", data))[0] == 401
        assert answered(vhosts.shared, to("guarded", data, "secret"))[0] == good
        assert answered(vhosts.shared, to("guarded", data, "Secret"))[0] == 401
        assert answered(vhosts.shared, to("open", data))[0] == good


def test_a_password_that_is_withdrawn_no_longer_works(vhosts):
    assert answered(vhosts.shared, to("guarded", PUBLISH, "secret"))[0] == 202
    text = vhosts.users.read_text()
    try:
        vhosts.users.write_text("bob:other\n")
        assert answered(vhosts.shared, to("guarded", PUBLISH, "secret"))[0] == 401
    finally:
        vhosts.users.write_text(text)


def test_a_password_is_asked_for_on_a_connection_that_has_given_it_before(vhosts):
    with Connection(vhosts.shared) as connection:
        for _ in range(3):
            assert connection.send(to("guarded", PUBLISH, "secret")).read_answer().status == 202
        assert connection.send(to("guarded", PUBLISH)).read_answer().status == 401


@pytest.mark.parametrize("data,good", [(PUBLISH, 202), (EVENTS, 200)], ids=["publish", "events"])
def test_each_vhost_of_a_port_adds_its_own_headers(vhosts, data, good):
    for _ in range(2):
        assert answered(vhosts.shared, to("guarded", data, "secret")) == (good, "guarded")
        assert answered(vhosts.shared, to("open", data)) == (good, "open")


def test_a_path_that_is_not_mounted_is_not_served(vhosts):
    assert answered(vhosts.shared, to("open", PUBLISH.replace(b"/messages", b"/elsewhere")))[0] == 404
    assert answered(vhosts.shared, to("open", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"))[0] == 404


def test_vhosts_share_the_broker(vhosts):
    with EventStream(vhosts.port, "d") as sse:
        sse.raw()
        assert answered(vhosts.shared, to("open", PUBLISH))[0] == 202
        assert sse.message() == ("d", 1)


# ---- one connection, many requests

CHUNKED = (post(b"", headers=["Transfer-Encoding: chunked"], length=False)
           + b'5;name="value"\r\n{"cha\r\n16\r\nnnel":"d","message":3}\r\n0\r\nTrailer: x\r\n\r\n')
PIPELINE = PUBLISH + CHUNKED + post('{"channel":"nobody","message":[]}') + post('{"channel":""}') + CHUNKED + PUBLISH
ANSWERS = [202, 202, 202, 400, 202, 202]


@ONLY_DIRECT
def test_a_pipeline_of_all_kinds_of_publishes_may_be_cut_anywhere(server):
    statuses = in_two_segments(server, PIPELINE, lambda c: [c.read_answer().status for _ in ANSWERS])
    assert statuses == [ANSWERS] * (len(PIPELINE) - 1)


@ONLY_DIRECT
def test_a_pipeline_that_ends_in_something_else_is_served_to_its_end(server):
    get_page = b"GET /index.html HTTP/1.1\r\nHost: test\r\n\r\n"
    with Connection(server.port) as connection:
        connection.send(PUBLISH * 3 + get_page)
        for _ in range(3):
            assert connection.read_answer().status == 202
        page = connection.read_answer()
        assert page.status == 200 and b"<html" in page.body
        assert connection.send(PUBLISH).read_answer().status == 202
    with EventStream(server.port, "d") as sse, Connection(server.port) as connection:
        sse.raw()
        connection.send(PUBLISH * 2 + EVENTS)
        assert [connection.read_answer().status for _ in range(2)] == [202, 202]
        assert connection.read_stream_head()[0] == 200
        assert connection.read_until(b"\n\n") == b"event:heartbeat\ndata:{}\n\n"


@ONLY_DIRECT
def test_a_head_that_never_ends_is_431_also_behind_publishes(server):
    with Connection(server.port) as connection:
        connection.send(PUBLISH + b"GET / HTTP/1.1\r\nX: " + b"y" * 17_000)
        assert connection.read_answer().status == 202
        assert connection.read_answer().status == 431
        assert connection.is_closed()


def test_a_head_may_come_byte_by_byte(server):
    with Connection(server.port) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(PUBLISH)):
            connection.send(PUBLISH[n:n + 1])
        assert connection.read_answer().status == 202


@ONLY_DIRECT
@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked", "junk, chunked"])
def test_a_coding_that_nobody_takes_off_publishes_nothing(server, coding):
    before = server.metric("pub_messages_total")
    with Connection(server.port) as connection:
        connection.send(CHUNKED.replace(b"Encoding: chunked", b"Encoding: " + coding.encode()))
        assert connection.read_answer().status in (400, 411, 501)
        assert connection.is_closed()
    assert server.metric("pub_messages_total") == before


def test_the_bytes_of_publishes_are_counted(server):
    before = server.metric("push_published_bytes_total")
    with Connection(server.port) as connection:
        for _ in range(2):
            assert connection.send(PUBLISH).read_answer().status == 202
    assert server.metric("push_published_bytes_total") - before == 2 * len('{"channel":"d","message":1}')


# ---- nothing is left behind

LEAVES = {
    "in the head": b"POST /mess", "in the body": PUBLISH[:-5], "in a chunk": CHUNKED[:-30],
    "as a subscriber": EVENTS, "behind an upgrade": None, "in a frame": frame(TEXT, "x" * 50)[:20],
}


def leave(server, data, how):
    """Connects, sends, and goes by FIN or by reset."""
    if data is None or data[0] == 0x81:
        connection = WebSocket(server.port, "d")
        connection.send(data or b"")
    else:
        connection = Connection(server.port)
        connection.send(data)
    if how == "reset":
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


@ONLY_DIRECT
@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("where", LEAVES)
def test_a_client_that_leaves_anywhere_costs_no_descriptor(server, where, how):
    server.publish("d", 1)
    before, files = server.metric(CONNECTIONS), server.metric("process_open_fds")
    for _ in range(300):
        leave(server, LEAVES[where], how)
    server.wait_metric(CONNECTIONS, before)
    server.wait_metric("push_subscriptions", 0)
    assert server.metric("process_open_fds") <= files + 2


@ONLY_DIRECT
def test_urgent_data_in_a_head_ends_the_connection_and_burns_nothing(server):
    with Connection(server.port) as connection:
        connection.send(b"POST /mess")
        server.publish("d", 1)
        before = processor_seconds(server.worker())
        with contextlib.suppress(ConnectionError):
            connection.socket.send(b"!", socket.MSG_OOB)
            connection.send(b"ages HTTP/1.1\r\nHost: x\r\n")
        assert connection.is_closed()
    assert processor_seconds(server.worker()) - before < 0.3


@ONLY_DIRECT
def test_the_head_of_a_second_request_has_its_time_too(server):
    with Connection(server.port) as connection:
        assert connection.send(PUBLISH).read_answer().status == 202
        started = time.monotonic()
        assert connection.send(b"POST /mess").is_closed()
        assert 4 <= time.monotonic() - started < 8


@ONLY_DIRECT
def test_the_kernel_keeps_nothing_for_a_client_that_was_cut_off():
    with Server(PUSH_CLIENT_QUEUE_MAX_SIZE="100kb") as server, contextlib.ExitStack() as sockets:
        slow = sockets.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(EVENTS)
        server.wait_metric("push_subscriptions", 1)
        while server.publish("d", "x" * 60_000).json != {"subscribers": 0}:
            pass
        server.wait_metric(CONNECTIONS, 0)
        with pytest.raises(ConnectionResetError):
            while slow.recv(65536):
                pass


@pytest.fixture(scope="module")
def narrow():
    """A server whose clients' sockets are soon full."""
    with Server(PUSH_SOCKET_SEND_BUFFER_SIZE="16kb") as running:
        yield running


@ONLY_DIRECT
@pytest.mark.parametrize("junk", [
    frame(TEXT, "junk") + frame(CLOSE, b"\x03\xe8"), frame(TEXT, "x", rsv=0x40), frame(TEXT, "{}", masked=False),
], ids=["junk and a close", "a reserved bit", "no mask"])
def test_a_breach_is_told_behind_all_that_waits(narrow, junk):
    """More than one write holds, in a socket that is full meanwhile."""
    with WebSocket(narrow.port, "d") as ws, Connection(narrow.port) as publisher:
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        ws.read_frame(), ws.read_frame()
        for _ in range(80):
            publisher.send(PUBLISH * 100)
            for _ in range(100):
                assert publisher.read_answer().json == {"subscribers": 1}
        ws.send(junk)
        while (got := ws.read_frame())[0] == TEXT and b"error" not in got[1][:9]:
            pass
        if got[0] == TEXT:
            got = ws.read_frame()
        assert got[0] == CLOSE and got[1][:2] in (b"\x03\xea", b"\x03\xef")


@ONLY_DIRECT
def test_clients_that_ping_without_a_pause_hold_up_no_publisher(server):
    flood = frame(PING) * 2000
    with contextlib.ExitStack() as sockets, Connection(server.port) as publisher:
        clients = [sockets.enter_context(WebSocket(server.port, "d")) for _ in range(8)]
        for client in clients:
            client.socket.setblocking(False)
        assert publisher.send(PUBLISH).read_answer().status == 202
        for _ in range(100):
            for client in clients:
                with contextlib.suppress(BlockingIOError):
                    client.socket.send(flood)
                with contextlib.suppress(BlockingIOError):
                    client.socket.recv(65536)
            assert publisher.send(PUBLISH).read_answer().status == 202


@ONLY_DIRECT
def test_without_descriptors_it_neither_spins_nor_shuts_the_operators_out():
    with Server(limit_files=110) as server, contextlib.ExitStack() as sockets:
        for _ in range(150):  # more than there can be: the last ones are not served
            client = sockets.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(EVENTS)
        assert 40 < server.metric(CONNECTIONS) < 100
        before = processor_seconds(server.worker())
        time.sleep(1)  # the time that it may not use
        assert processor_seconds(server.worker()) - before < 0.3
        assert get(server.management, "/actuator/health").status == 200


@ONLY_DIRECT
@pytest.mark.skipif(SANITIZED, reason="the sanitizers' memory is not the server's")
def test_an_idle_client_costs_less_than_350_bytes_also_after_a_message_to_all():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(8000, limit // 4)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    try:
        with Server(PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="60s") as server, contextlib.ExitStack() as sockets:
            server.publish("d", 1), server.publish("d", 1)
            before = server.metric("process_resident_memory_bytes")
            for _ in range(count):
                sockets.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(EVENTS)
            server.wait_metric("push_subscriptions", count)
            assert server.publish("d", "x" * 100).json == {"subscribers": count}
            server.wait_metric("push_outbox_bytes", 0)
            assert (server.metric("process_resident_memory_bytes") - before) / count < 350
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)


@ONLY_DIRECT
def test_who_waits_to_be_accepted_when_a_drain_begins_is_served():
    """More than are accepted in one turn; publishers, and listeners, who are then asked to go."""
    request = (b"POST /messages HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
               b'{"channel":"a","message":1}')
    stream = b"GET /sse/messages?channels=a HTTP/1.1\r\nHost: test\r\n\r\n"
    with Server(PUSH_DRAIN_DURATION="1s", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as server:
        assert server.publish("a", 1).status == 202
        EventStream(server.port, "a").close()  # so that it is known that streams are direct here
        worker = server.worker()
        os.kill(worker, signal.SIGSTOP)
        try:
            clients = [Connection(server.port).send(stream if i % 10 == 0 else request) for i in range(400)]
            server.process.process.send_signal(signal.SIGTERM)
            server.process.wait_for("pushd: draining")
        finally:
            os.kill(worker, signal.SIGCONT)
        answers = [client.read_until(b"\r\n\r\n") for client in clients]
        assert {answer.split(b" ")[1] for answer in answers} == {b"202", b"200"}, [i for i, a in enumerate(answers) if b" 503 " in a]
        assert all(b"event:reconnect" in client.read_until(b"event:reconnect") for client in clients[::10])


def test_a_drain_ends_in_time_whatever_its_clients_have_left_half_done():
    with Server(PUSH_DRAIN_DURATION="1s", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="500ms") as server, \
            contextlib.ExitStack() as sockets:
        for data in (b"", b"POST /mess", PUBLISH[:-5], PUBLISH, CHUNKED[:-30], EVENTS):
            sockets.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(data)
        sockets.enter_context(WebSocket(server.port, "d")).send(frame(TEXT, "x" * 50)[:20])
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 8


# ---- the switches

@pytest.mark.parametrize("setting,counted", [("on", 2), ("off", 0)])
def test_direct_sockets_are_used_unless_they_are_off(setting, counted):
    with Server(PUSH_DIRECT=setting) as server, EventStream(server.port, "d") as sse, WebSocket(server.port, "d") as ws:
        sse.raw(), ws.read_frame()
        assert server.publish("d", 1).json == {"subscribers": 2}
        assert sse.message() == ws.message() == ("d", 1)
        server.wait_metric(CONNECTIONS, counted)


@ONLY_DIRECT
def test_stock_lwsws_has_direct_sockets_too():
    with Server(stock=True) as server:
        until_direct(server)
        server.wait_metric("push_subscriptions", 0)
        with EventStream(server.port, "d") as sse:
            sse.raw()
            assert server.publish("d", 1).json == {"subscribers": 1}
            assert sse.message() == ("d", 1)


def test_messages_wait_for_the_flush_delay_and_come_together():
    with Server(PUSH_FLUSH_DELAY="1s") as server, EventStream(server.port, "d") as sse, \
            Connection(server.port) as publisher:
        sse.raw()
        started = time.monotonic()
        for _ in range(2):
            assert publisher.send(PUBLISH).read_answer().json == {"subscribers": 1}
        assert time.monotonic() - started < 0.9
        assert sse.message() == sse.message() == ("d", 1)
        assert time.monotonic() - started >= 0.95


PIDFD_OPEN, PIDFD_GETFD = 434, 438


def server_side(server, client):
    """The server's own end of this connection, as a socket of ours (pidfd_getfd(2))."""
    libc, pid = ctypes.CDLL(None, use_errno=True), server.worker()
    process = libc.syscall(PIDFD_OPEN, pid, 0)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            fd = libc.syscall(PIDFD_GETFD, process, int(name), 0)
            if fd < 0:
                pytest.skip("the system does not let a test look at another process' sockets")
            try:
                end = socket.socket(fileno=fd)
                if end.family == socket.AF_INET and end.getpeername() == client.getsockname():
                    return end
                end.close()
            except OSError:
                with contextlib.suppress(OSError):
                    os.close(fd)
    finally:
        os.close(process)
    raise AssertionError("the server does not know this client")


@ONLY_DIRECT
@pytest.mark.parametrize("setting,no_delay", [("on", 1), ("off", 0)])
def test_the_options_of_a_socket_are_those_that_were_set(setting, no_delay):
    with Server(PUSH_TCP_NODELAY=setting, PUSH_SOCKET_SEND_BUFFER_SIZE="48kb") as server, \
            EventStream(server.port, "d") as sse:
        sse.raw()
        with server_side(server, sse.socket) as end:
            assert bool(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == bool(no_delay)
            # Linux keeps twice of what it was asked for (socket(7))
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 48 * 1024


@ONLY_DIRECT
def test_hosts_that_nobody_has_asked_for_are_learned_only_so_often():
    """Past the limit they are served by lws, and what is known is not affected."""
    chunked = ("POST /messages HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
               "\r\n1b\r\n" + '{"channel":"a","message":1}' + "\r\n0\r\n\r\n")
    with Server(stock=True, options={"push-direct": "on"}) as running:
        until_direct(running)
        wait_until(lambda: request(running.port, chunked.replace("HOST", "known")).status == 202, "a first host is learned")
        assert running.metric("push_routes_limited_total") == 0
        for number in range(10_000):  # the limit allows 128 at once and some a second
            body = post('{"channel":"a","message":1}').replace(b"Host: test", b"Host: h%d.example" % number)
            assert request(running.port, body).status == 202
            if number % 50 == 0:
                assert request(running.port, chunked.replace("HOST", "known")).status == 202
                if running.metric("push_routes_limited_total") > 10:
                    break
        assert running.metric("push_routes_limited_total") > 10
        # a moment later there is room for a new one again
        wait_until(lambda: request(running.port, chunked.replace("HOST", "new.example")).status == 202, "a new host is learned")


# Files, and mounts of all kinds below them.
FILES = VHOST.replace('"mounts": [', '"mounts": [{ "mountpoint": "/", "origin": "file://%s" }, '
                      '{ "mountpoint": "/more", "origin": "file://%s", "default": "none.html" }, '
                      '{ "mountpoint": "/moved", "origin": ">http://example.org" }, ')
USUAL = ["/messages", "/messages/x", "/messagesx", "/sse/messages", "/ws/messages", "/ws", "/", "/a.html", "/none", "/more",
         "/more/", "/more/a.html", "/folder", "/moved"]
UNUSUAL = ["/a%2ehtml", "//messages", "/./messages", "/messages/../a.html", "/a.html;x", "/a+b"]
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def raw_answer(port, method, path, lines=()):
    """Its bytes; of a stream, those of the head."""
    with Connection(port) as connection:
        connection.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: push.example", *lines, "", ""]))
        head = connection.read_until(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
        return head + (connection.read_exactly(int(length[1])) if length and method != "HEAD" else b"")


def raw_answers(ports, paths):
    return {(name, method, path, len(lines)): raw_answer(port, method, path, lines)
            for name, port in ports.items() for path in paths
            for method, lines in (("GET", ()), ("HEAD", ()), ("POST", ("Content-Length: 0",)), ("GET", UPGRADE))}


@pytest.fixture(scope="module")
def told_and_asked(tmp_path_factory):
    """The same vhosts under pushd, which tells their routes, and under lwsws, which is asked; with their ports."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.html").write_text("a")
    (folder / "folder").mkdir()
    users = folder / "users"
    users.write_text("ann:secret\n")
    lock, servers = f', "basic-auth": "{users}"', []
    with contextlib.ExitStack() as stack:
        for stock in (False, True):
            ports = {name: free_port() for name in ("guarded", "open", "files")}
            conf = '{ "vhosts": [%s, %s, %s] }' % (
                VHOST % ("guarded", ports["guarded"], "guarded", lock, lock), VHOST % ("open", ports["open"], "open", "", ""),
                FILES % ("files", ports["files"], "files", folder, folder, "", ""))
            server = stack.enter_context(Server(stock=stock, options={"push-direct": "on"}, conf_d={"30-more": conf}))
            if stock:
                until_direct(server)
            for port in ports.values():  # lws knows no `*`
                wait_until(lambda port=port: b" 204 " in raw_answer(port, "OPTIONS", "*"), "the port is taken over")
            servers.append((server, ports))
        yield servers


@ONLY_DIRECT
def test_what_pushd_tells_lws_is_not_asked_for_and_the_answers_are_the_same(told_and_asked):
    (told, told_ports), (asked, asked_ports) = told_and_asked
    before = told.metric(PROBED)
    answers = raw_answers(told_ports, USUAL)
    probed = told.metric(PROBED) - before
    assert answers == raw_answers(asked_ports, USUAL)
    assert probed == 4 + 1  # a folder without a page, by each method; an upgrade that is redirected
    assert asked.metric(PROBED) > 50


@ONLY_DIRECT
def test_paths_that_lws_reads_in_its_own_way_are_asked_for_under_pushd_too(told_and_asked):
    (told, told_ports), (asked, asked_ports) = told_and_asked
    before = told.metric(PROBED)
    assert raw_answers(told_ports, UNUSUAL) == raw_answers(asked_ports, UNUSUAL)
    assert told.metric(PROBED) > before


@ONLY_DIRECT
@pytest.mark.parametrize("key, probes", [('"keepalive_timeout": "30"', 0), ('"error-document-404": "/none"', 1)])
def test_lws_is_asked_for_a_vhost_that_pushd_does_not_understand(key, probes):
    port = free_port()
    vhost = (VHOST % ("more", port, "more", "", "")).replace('"name"', f'{key}, "name"')
    with Server(conf_d={"30-more": '{ "vhosts": [%s] }' % vhost}, PUSH_DIRECT="on") as running:
        wait_until(lambda: b" 204 " in raw_answer(port, "OPTIONS", "*"), "the port is taken over")
        for _ in range(3):
            answer = request(port, PUBLISH)
            assert (answer.status, answer.headers["x-vhost"]) == (202, "more")
        assert running.metric(PROBED) == probes


@ONLY_DIRECT
def test_hosts_that_nobody_has_asked_for_cost_no_probe_where_pushd_tells_the_routes():
    with Server() as running:
        for number in range(300):
            body = post('{"channel":"a","message":1}').replace(b"Host: test", b"Host: h%d.example" % number)
            assert request(running.port, body).status == 202
        with EventStream(running.port, "d") as sse, WebSocket(running.port, "d") as ws:
            sse.raw(), ws.read_frame()
        assert get(running.port, "/nothing").status == 404
        assert get(running.port, "/").status == 200
        assert running.metric(PROBED) == running.metric("push_routes_limited_total") == 0


def limit_files(pid, soft):
    """Of a process that runs; returns what it was."""
    before, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    return before


def stand_ins(pid):
    """How many listening sockets without an address of the network the process has: what lws has in place of its own."""
    inodes = {re.search(r"socket:\[(\d+)\]", os.readlink(file.path)) for file in os.scandir(f"/proc/{pid}/fd")}
    inodes = {found.group(1) for found in inodes if found}
    lines = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    return sum(fields[3] == "00010000" and fields[6] in inodes for fields in lines)


def test_a_limit_of_descriptors_that_is_lowered_keeps_nothing_busy_and_operators_served():
    """Clients that come wait in the kernel meanwhile; those that are there go on, and the others are served later."""
    with Server() as running, contextlib.ExitStack() as clients:
        pid = running.worker()
        publisher = clients.enter_context(Connection(running.port))
        assert publisher.send(post('{"channel":"room","message":0}')).read_answer().status == 202
        wait_until(lambda: stand_ins(pid) >= 2, "lws' sockets of both ports are taken over")
        few = max(int(number) for number in os.listdir(f"/proc/{pid}/fd")) + 1
        streams = [clients.enter_context(EventStream(running.port, "room")) for _ in range(30)]
        before = limit_files(pid, few)
        waiting = [clients.enter_context(Connection(running.port, timeout=60)) for _ in range(5)]
        for client in waiting:
            client.send("GET /sse/messages?channels=room HTTP/1.1\r\nHost: test\r\n\r\n")
        for _ in range(20):
            assert get(running.management, "/actuator/health").json["status"] == "UP"
            assert get(running.management, "/actuator/prometheus").status == 200
        used = processor_seconds(pid)
        time.sleep(2)  # the time that it may not use
        assert processor_seconds(pid) - used < 0.5
        assert publisher.send(post('{"channel":"room","message":1}')).read_answer().json == {"subscribers": 30}
        assert all(stream.message() == ("room", 1) for stream in streams)
        limit_files(pid, before)
        for client in waiting:
            assert client.read_head()[0] == 200
        assert "errno" not in running.process.output()


def test_who_comes_while_the_sockets_change_hands_is_served():
    """From lws to Push, in the turn in which there are connections: nobody is lost, and nothing is an error."""
    for _ in range(3):
        with Server(wait=False, PUSH_LOG_LEVEL="debug") as running:
            end, served = time.monotonic() + 60, 0
            while time.monotonic() < end and served < 300:
                try:
                    for port in (running.port, running.management):
                        assert get(port, "/actuator/health").status in (200, 404, 503)
                        served += 1
                except (ConnectionError, EOFError):  # pushd tries its ports out before lws listens, on one after the other
                    assert served < 2
            assert served >= 300
            assert "errno" not in running.process.output()


@ONLY_DIRECT
def test_the_first_publish_of_a_new_server_may_be_chunked():
    """Push is ready when all that is accepted is its own."""
    for _ in range(8):
        with Server() as running, Connection(running.port) as connection:
            assert connection.send(CHUNKED).read_answer().status == 202


@ONLY_DIRECT
def test_a_query_may_be_as_long_as_a_head(server):
    names = ",".join(f"{i:03d}-" + "x" * 120 for i in range(120))
    with EventStream(server.port, names) as stream:
        assert server.publish(names.split(",")[-1], 1).json == {"subscribers": 1}
        assert stream.message() == (names.split(",")[-1], 1)
