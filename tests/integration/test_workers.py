"""Several workers behind one port, with a real Redis: who gets what, who notices whose end, what a reload costs."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from http1 import Connection, get, post, publish
from redis_servers import RedisServer, wait_until
from server import TOOLS, Server
from sseclient import EventStream
from wsclient import PING, TEXT, WebSocket, frame

WORKERS = 3


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


def start(redis, **env):
    settings = {"PUSH_REDIS_URL": redis.url(), "PUSH_WORKERS": WORKERS, "PUSH_DRAIN_DURATION": "500ms",
                "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "500ms"}
    return Server(**{**settings, **env})


def serving(server):
    """The processes that serve: each worker is lwsws' root and its child."""
    pids = server.pids()
    return pids[len(pids) // 2:]


def inode_of(connection):
    """Of the server's end, by the addresses of both."""
    address, peer = (connection.socket.getsockname(), connection.socket.getpeername())
    ours, theirs = (f"0100007F:{port:04X}" for port in (address[1], peer[1]))
    for line in Path("/proc/net/tcp").read_text().splitlines():
        fields = line.split()
        if fields[1:3] == [theirs, ours]:
            return fields[9]
    return None


def has_socket(pid, inode):
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(fd) == f"socket:[{inode}]":
                return True
    return False


def worker_of(server, connection):
    inode = inode_of(connection)
    found = [pid for pid in serving(server) if has_socket(pid, inode)]
    assert len(found) == 1, (inode, found)
    return found[0]


def spread(server, connect):
    """A connection to each worker: the kernel deals them out."""
    found = {}
    end = time.monotonic() + 30
    while len(found) < WORKERS:
        assert time.monotonic() < end, "some worker gets no connection"
        connection = connect()
        if found.setdefault(worker_of(server, connection), connection) is not connection:
            connection.close()
    return found


def ws(server, channel):
    """Connected and past its first heartbeat, which says that it misses nothing from now on."""
    client = WebSocket(server.port, channel)
    opcodes = {client.read_frame()[0] for _ in range(2)}
    assert opcodes == {TEXT, PING}
    client.send(frame(TEXT, '{"event":"pong"}'))
    return client


def sse(server, channel):
    client = EventStream(server.port, channel)
    assert client.raw() == b"event:heartbeat\ndata:{}\n\n"
    return client


def say(connection, channel, message):
    return connection.send(post(f'{{"channel":"{channel}","message":{message}}}')).read_answer()


def publisher(server):
    connection = Connection(server.port)
    assert say(connection, "nobody", 0).status == 202
    return connection


def test_a_message_published_at_any_worker_reaches_clients_of_all(redis):
    with start(redis) as server:
        assert len(serving(server)) == WORKERS
        clients = [*spread(server, lambda: ws(server, "all")).values(),
                   *spread(server, lambda: sse(server, "all")).values()]
        publishers = spread(server, lambda: publisher(server))
        assert len(clients) == 2 * WORKERS and len(publishers) == WORKERS
        for number, connection in enumerate(publishers.values()):
            wait_until(lambda c=connection: say(c, "all", -1).json == {"subscribers": len(clients)}, "all are counted")
            assert say(connection, "all", number).status == 202
            for client in clients:
                while client.message() != ("all", number):
                    pass


def test_a_worker_that_is_killed_takes_only_its_own_clients_along_and_is_replaced(redis):
    with start(redis) as server:
        clients = spread(server, lambda: ws(server, "kill"))
        victim, orphan = clients.popitem()
        os.kill(victim, signal.SIGKILL)
        assert orphan.is_closed()
        server.process.wait_for(f"worker {victim} was killed")
        wait_until(lambda: len(serving(server)) == WORKERS and victim not in serving(server), "it is replaced")
        newcomers = spread(server, lambda: ws(server, "kill"))
        assert set(clients) < set(newcomers)
        with publisher(server) as connection:
            assert say(connection, "kill", 1).status == 202
        for client in [*clients.values(), *newcomers.values()]:
            assert client.message() == ("kill", 1)


def test_sigterm_drains_all_workers(redis):
    with start(redis) as server:
        clients = spread(server, lambda: ws(server, "term"))
        assert server.stop() == 0
        for client in clients.values():
            assert client.event()["event"] == "reconnect"
            assert client.close_code() == 1001


def test_a_reload_that_fails_leaves_all_workers_as_they_are(redis):
    with start(redis) as server:
        before = serving(server)
        clients = spread(server, lambda: ws(server, "fail"))
        (server.folder / "conf.d/10-push").write_text("{ nonsense")
        server.process.process.send_signal(signal.SIGHUP)
        server.process.wait_for("not reloading")
        assert set(serving(server)) == set(before)
        with publisher(server) as connection:
            assert say(connection, "fail", 1).status == 202
        for client in clients.values():
            assert client.message() == ("fail", 1)


def reload(server):
    """SIGHUP, until the old ones are gone."""
    old = serving(server)
    server.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.pids()) == 2 * WORKERS and not set(old) & set(server.pids()), "all are replaced")


def test_a_reload_replaces_all_workers_and_one_that_comes_too_early_is_done_later(redis):
    with start(redis) as server:
        clients = spread(server, lambda: ws(server, "hup"))
        reload(server)
        for client in clients.values():
            assert client.event()["event"] == "reconnect"
            assert client.close_code() == 1001
        for line in ("pushd: reloading\n", "reloading as soon as"):
            before = server.process.output().count(line)
            server.process.process.send_signal(signal.SIGHUP)
            wait_until(lambda t=line, n=before: server.process.output().count(t) > n, line)
        wait_until(lambda: server.process.output().count("pushd: the new configuration is in use") == 3, "twice more")


class Visitors(threading.Thread):
    """Connects, asks, is answered and closes, again and again, beside others."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answers, self.failures = port, 0, []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                assert publish(self.port, "visited", 1).status == 202
                self.answers += 1
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))


@contextlib.contextmanager
def visitors(port, count):
    threads = [Visitors(port) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.stopping.set()
        for thread in threads:
            thread.join(20)


def test_reloads_refuse_and_reset_nobody_who_connects_meanwhile(redis):
    with start(redis) as server, visitors(server.port, 4) as threads:
        for _ in range(3):
            before = sum(thread.answers for thread in threads)
            reload(server)
            assert sum(thread.answers for thread in threads) > before
        assert [failure for thread in threads for failure in thread.failures] == []


class Follower(threading.Thread):
    """A client as the contract wants it: told to reconnect, it goes on with the old connection until the new one is
    subscribed; what comes on both counts once."""

    def __init__(self, connect):
        super().__init__(daemon=True)
        self.connect, self.current = connect, connect()
        self.received, self.moves, self.failure = set(), 0, None
        self.lock = threading.Lock()
        self.is_complete = threading.Event()

    def event(self, connection):
        """(name, data), or None at the end of the connection."""
        got = connection.next()
        if isinstance(connection, WebSocket):
            if not got or got[0] != TEXT:
                return None
            event = json.loads(got[1])
            return event["event"], event["data"]
        if not got:
            return None
        name, data = got.decode().split("\n")[:2]
        return name.removeprefix("event:"), json.loads(data.removeprefix("data:"))

    def read(self, connection):
        with connection:
            while event := self.event(connection):
                name, data = event
                if name == "message":
                    with self.lock:
                        self.received.add(data["message"])
                        if data["message"] == END:
                            self.is_complete.set()
                            return
                elif name == "reconnect":
                    self.moves += 1
                    threading.Thread(target=self.guard, args=[self.connect()], daemon=True).start()

    def guard(self, connection):
        try:
            self.read(connection)
        except Exception as error:  # noqa: BLE001 - shown by the test's own thread
            self.failure = repr(error)

    def run(self):
        self.guard(self.current)


END = -1


def test_clients_that_reconnect_when_told_to_miss_nothing_over_reloads(redis):
    with start(redis) as server:
        followers = [Follower(lambda k=kind: k(server, "follow")) for kind in (ws, sse) for _ in range(2 * WORKERS)]
        for follower in followers:
            follower.start()
        stopping, sent = threading.Event(), []

        def publish_on():
            while not stopping.wait(0.002):
                assert publish(server.port, "follow", len(sent)).status == 202
                sent.append(len(sent))

        publisher = threading.Thread(target=publish_on, daemon=True)
        publisher.start()
        for _ in range(3):
            before = len(sent)
            reload(server)
            assert len(sent) > before
        stopping.set()
        publisher.join()
        assert server.publish("follow", END).status == 202
        for follower in followers:
            assert follower.is_complete.wait(20), follower.failure
            assert not follower.failure
            assert set(sent) - follower.received == set()
            assert follower.moves >= 3


def test_a_scrape_of_any_worker_tells_the_sum_over_all_that_goes_on_over_reloads(redis):
    with start(redis) as server:
        clients = spread(server, lambda: ws(server, "sum"))
        server.wait_metric("ws_connections_count", len(clients))
        server.wait_metric("push_subscriptions", len(clients))
        for _ in range(10):
            server.publish("sum", 1)
        for client in clients.values():
            for _ in range(10):
                client.message()
        for _ in range(3 * WORKERS):
            assert server.metric("pub_messages_total") == 10
            assert server.metric("ws_messages_total") == 10 * len(clients)
            assert server.metric("push_workers") == WORKERS
        reload(server)
        assert server.metric("pub_messages_total") == 10
        assert server.metric("ws_messages_total") == 10 * len(clients)
        server.wait_metric("ws_connections_count", 0)
        if (TOOLS / "promtool").exists():
            text = get(server.management, "/actuator/prometheus").body
            run = subprocess.run([TOOLS / "promtool", "check", "metrics"], input=text, capture_output=True)
            assert run.returncode == 0, run.stderr
