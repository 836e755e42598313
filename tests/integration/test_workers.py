"""Several workers behind one port, with a real Redis: who gets what, who notices whose end, what a reload costs."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from http1 import Connection, get, post
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


def ws(server, channel, headers=()):
    """Connected and past its first heartbeat, which says that it misses nothing from now on."""
    client = WebSocket(server.port, channel, headers=headers)
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


def test_with_redis_there_is_a_worker_for_each_cpu_that_pushd_may_run_on(redis):
    with start(redis, PUSH_WORKERS="") as server:
        assert len(serving(server)) == len(os.sched_getaffinity(0))


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
        for client in clients.values():
            assert client.message() == ("kill", 1)
        for client in newcomers.values():
            event = client.event()
            # of one who came before the new worker had reached Redis, in front of anything else
            if event == {"event": "gap", "data": {}}:
                event = client.event()
            assert event["data"] == {"channel": "kill", "message": 1}


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
        for line in ("pushd: reloading\n", "reloading after the current start or reload"):
            before = server.process.output().count(line)
            server.process.process.send_signal(signal.SIGHUP)
            wait_until(lambda t=line, n=before: server.process.output().count(t) > n, line)
        wait_until(lambda: server.process.output().count("pushd: the new configuration is in use") == 3, "twice more")


class Follower(threading.Thread):
    """A client that honours `reconnect`: connects anew, then leaves, and counts what it has seen of a channel."""

    def __init__(self, server, connect, channel):
        super().__init__(daemon=True)
        self.server, self.connect, self.channel = server, connect, channel
        self.seen, self.moves, self.failure = set(), 0, None
        self.done = threading.Event()
        self.client = connect(server, channel)
        self.start()

    def run(self):
        try:
            while not self.done.is_set():
                self.read_one()
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.failure = repr(error)

    def read_one(self):
        event, number = self.next_of(self.client)
        if event == "message":
            self.take(number)
        elif event == "reconnect":
            fresh = self.connect(self.server, self.channel)
            self.moves += 1
            # what the old one was given before it left is there still
            self.client.socket.settimeout(3)  # until the server closes it
            with contextlib.suppress(OSError, EOFError):
                while True:
                    event, number = self.next_of(self.client)
                    if event == "message":
                        self.take(number)
                    if event is None:
                        break
            self.client.close()
            self.client = fresh
        else:
            raise AssertionError(f"{event}: closed without being asked to reconnect")

    def take(self, number):
        self.seen.add(number)
        if number == -1:
            self.done.set()

    @staticmethod
    def next_of(client):
        if isinstance(client, WebSocket):
            got = client.next()
            if got is None or got[0] != TEXT:
                return None, None
            event = json.loads(got[1])
            return event["event"], event["data"].get("message")
        raw = client.next()
        if raw is None:
            return None, None
        name, data = raw.decode().split("\n")[:2]
        return name[len("event:"):], json.loads(data[len("data:"):]).get("message")


def test_clients_that_honour_reconnect_lose_no_message_in_reloads(redis):
    with start(redis) as server:
        followers = [Follower(server, connect, "all") for connect in (ws, sse) for _ in range(2 * WORKERS)]
        stop, numbers, refused = threading.Event(), [], []

        def publish_all():
            number = 0
            while not stop.is_set():
                with Connection(server.port) as connection:
                    answer = say(connection, "all", number)
                (numbers if answer.status == 202 else refused).append(number)
                number += 1
                time.sleep(0.002)

        thread = threading.Thread(target=publish_all)
        thread.start()
        for _ in range(2):
            reload(server)
        stop.set()
        thread.join()
        with publisher(server) as connection:
            say(connection, "all", -1)
        for follower in followers:
            follower.join(10)
        assert not refused
        assert [f.failure for f in followers if f.failure] == []
        assert all(f.moves >= 2 for f in followers)
        for follower in followers:
            assert set(numbers) - follower.seen == set()


class Knocker(threading.Thread):
    """Connects, asks and reads the answer, as fast as it can, and counts whom that did not work for."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.asked, self.failures, self.done = ask, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.done.is_set():
            self.asked += 1
            try:
                self.ask()
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))


def answered(port, request, status):
    with Connection(port) as connection:
        answer = connection.send(request).read_answer()
        assert answer.status == status, (answer.status, answer.body)


def opened(connect, server):
    with connect(server, "knock"):
        pass


def late(server):
    """Connected before it says anything: whoever is being replaced may have accepted it."""
    with Connection(server.port) as connection:
        time.sleep(0.02)
        assert connection.send(post('{"channel":"knock","message":1}')).read_answer().status == 202


def lines(path):
    return f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def test_no_connection_is_refused_reset_or_unanswered_in_reloads(redis):
    with start(redis) as server:
        body = post('{"channel":"knock","message":1}', headers=["Connection: close"])
        knockers = [
            *(Knocker(lambda: answered(server.port, body, 202)) for _ in range(3)),
            Knocker(lambda: answered(server.port, lines("/favicon.svg"), 200)),
            Knocker(lambda: answered(server.management, lines("/actuator/health/liveness"), 200)),
            Knocker(lambda: opened(ws, server)),
            Knocker(lambda: opened(sse, server)),
            Knocker(lambda: late(server)),
        ]
        for _ in range(4):
            reload(server)
        for knocker in knockers:
            knocker.done.set()
        for knocker in knockers:
            knocker.join(30)
        asked = sum(knocker.asked for knocker in knockers)
        print(f"{asked} connections")
        assert asked > 500
        assert [failure for knocker in knockers for failure in knocker.failures] == []


def samples(server):
    """{name with labels: value} of one scrape, from whichever worker the kernel picks."""
    text = get(server.management, "/actuator/prometheus", headers=["Connection: close"]).text
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[:1] != "#"}


def test_every_scrape_tells_the_sum_of_all_workers(redis):
    with start(redis) as server:
        clients = spread(server, lambda: ws(server, "sum"))
        publishers = spread(server, lambda: publisher(server))
        for connection in publishers.values():
            for _ in range(5):
                assert say(connection, "sum", 1).status == 202
        for client in clients.values():
            assert [client.message() for _ in range(5 * WORKERS)] == [("sum", 1)] * 5 * WORKERS
        wait_until(lambda: samples(server)["ws_connections_count"] == WORKERS, "who came by the way has left")
        first = samples(server)
        assert first["pub_messages_total"] >= 5 * WORKERS + WORKERS
        assert first["ws_messages_total"] == 5 * WORKERS * WORKERS
        assert [first[f'push_worker_connections{{worker="{n + 1}"}}'] for n in range(WORKERS)] == [1] * WORKERS
        assert first["push_workers"] == WORKERS
        assert first["push_redis_servers"] == first["push_redis_servers_up"] == 1
        assert first["push_broker_up"] == 1
        assert first["push_draining"] == 0
        for _ in range(20):
            again = samples(server)
            assert [again[name] for name in SUMMED] == [first[name] for name in SUMMED]


SUMMED = ["ws_connections_count", "ws_messages_total", "pub_messages_total", "push_subscriptions", "push_workers"]


def is_counter(name):
    base = name.split("{")[0]
    return base.endswith(("_total", "_bucket", "_count", "_sum")) and not base.endswith("connections_count")


def test_counters_never_go_back_and_gauges_forget_who_is_gone(redis):
    with start(redis) as server:
        last, went_back, done = {}, [], threading.Event()

        def scrape():
            while not done.is_set():
                got = {}
                with contextlib.suppress(OSError, EOFError):  # asked of the one that is killed
                    got = samples(server)
                for name, value in got.items():
                    if is_counter(name) and value < last.get(name, 0):
                        went_back.append((name, last[name], value))
                    last[name] = value

        clients = spread(server, lambda: ws(server, "back"))
        with publisher(server) as connection:
            for _ in range(50):
                say(connection, "back", 1)
        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            wait_until(lambda: last.get("pub_messages_total", 0) >= 50, "they are counted")
            start_time = last["process_start_time_seconds"]
            victim, orphan = clients.popitem()
            assert last["push_worker_restarts_total"] == 0
            os.kill(victim, signal.SIGKILL)
            assert orphan.is_closed()
            wait_until(lambda: len(server.pids()) == 2 * WORKERS and victim not in server.pids(), "it is replaced")
            wait_until(lambda: last["ws_connections_count"] == WORKERS - 1, "its client does not count any more")
            reload(server)
            wait_until(lambda: last["ws_connections_count"] == 0, "nor do the others")
            wait_until(lambda: last["push_workers"] == WORKERS, "nor the old workers")
        finally:
            done.set()
            thread.join()
        assert went_back == []
        assert last["pub_messages_total"] >= 50
        assert last["process_start_time_seconds"] == start_time
        assert last["push_worker_restarts_total"] == 1  # a reload is none


def test_while_redis_is_away_every_scrape_says_so_and_a_reload_is_no_drain_of_all():
    with RedisServer() as own, start(own, PUSH_DRAIN_DURATION="3s") as server:
        client = ws(server, "state")
        server.process.process.send_signal(signal.SIGHUP)
        wait_until(lambda: samples(server)["push_draining"] == WORKERS, "the old ones drain")
        assert samples(server)["push_workers"] == 2 * WORKERS
        client.close()
        wait_until(lambda: samples(server)["push_draining"] == 0, "they are gone")
        own.kill()
        wait_until(lambda: samples(server)["push_broker_up"] == 0, "Redis is missed")
        own.restart()
        wait_until(lambda: samples(server)["push_broker_up"] == 1, "and back")


def test_promtool_finds_nothing_wrong_with_the_metrics_of_several(redis):
    with start(redis) as server:
        assert 'push_redis_info{topology="standalone",sharded="off"} 1\n' in server.check_metrics()
