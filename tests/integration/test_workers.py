"""Several workers behind one port, with a real Redis: who gets what, who notices whose end, what a reload costs."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from http1 import Connection, post
from redis_servers import RedisServer, wait_until
from server import Server
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
