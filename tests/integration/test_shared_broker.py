"""The embedded broker of several workers is one: over workers, reloads, ends of workers and of pushd, and restarts."""

import mmap
import os
import shutil
import signal
import struct
import time
from pathlib import Path

import pytest

from http1 import Connection, post, publish, request
from redis_servers import RedisServer, wait_until
from resuming import SseReader, WsReader, message, resumed
from server import Server
from test_orphans import LONG_DRAIN, Again, end, is_there, kill
from test_replace_pushd import Replaceable
from test_workers import Follower, publisher, say, serving, spread, sse, worker_of, ws

WORKERS = 3  # as spread() has it
ONE = {"PUSH_WORKERS": WORKERS, "PUSH_DRAIN_DURATION": "500ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "500ms"}
KEPT = {**ONE, "PUSH_HISTORY_RULES": "kept=100"}


def start(kind=Server, **env):
    return kind(**{**ONE, **env})


def reload(server, workers=WORKERS):
    """SIGHUP, until the old ones are gone."""
    old = serving(server)
    server.process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.pids()) == 2 * workers and not set(old) & set(server.pids()), "all are replaced")


def publish_once(server, key, message=1):
    data = post(f'{{"channel":"keyed","message":{message}}}', headers=[f"Idempotency-Key: {key}"])
    return request(server.port, data)


def check_key(server, key):
    """It is known at all workers, by the same key with another message."""
    for _ in range(2 * WORKERS):
        assert publish_once(server, key, 2).error == "the Idempotency-Key was used for another request"


def replayed(server, channel, last_id, count, reader=SseReader):
    """What comes behind a position."""
    client = reader(server.port, channel, last_id)
    try:
        return [client.next() for _ in range(count + 1)]
    finally:
        client.close()


def position_of(server, channel):
    client = SseReader(server.port, channel)
    try:
        return client.position()
    finally:
        client.close()


def fill(server, channel, numbers):
    for number in numbers:
        assert publish(server.port, channel, number).status == 202


def check_kept(server, position, numbers):
    """At several workers, as the kernel deals connections out."""
    wanted = [*(message("kept", number) for number in numbers), resumed(len(numbers))]
    for reader in (SseReader, WsReader) * 3:
        assert replayed(server, "kept", position, len(numbers), reader) == wanted


# Workers


def test_there_is_a_worker_for_each_cpu_that_pushd_may_run_on():
    with start(PUSH_WORKERS="") as server:
        assert len(serving(server)) == len(os.sched_getaffinity(0))


def test_a_message_published_at_any_worker_reaches_clients_of_all_and_each_counts():
    with start() as server:
        clients = [*spread(server, lambda: ws(server, "all")).values(),
                   *spread(server, lambda: sse(server, "all")).values()]
        publishers = spread(server, lambda: publisher(server))
        for number, connection in enumerate(publishers.values()):
            wait_until(lambda c=connection: say(c, "all", -1).json == {"subscribers": len(clients)}, "all are counted")
            assert say(connection, "all", number).status == 202
            for client in clients:
                while client.message() != ("all", number):
                    pass


def test_a_worker_that_is_killed_takes_only_its_own_clients_along():
    """Again and again, while all publish: some are killed while they write to what all share."""
    with start(**KEPT) as server:
        position = position_of(server, "kept")
        numbers = []
        for turn in range(4):
            clients = spread(server, lambda: ws(server, "kept,all"))
            connections = spread(server, lambda: publisher(server))
            victim, orphan = clients.popitem()
            late = connections.pop(victim)
            late.send(b"".join(post(f'{{"channel":"late","message":{n}}}') for n in range(200)))
            os.kill(victim, signal.SIGKILL)
            for connection in connections.values():
                for _ in range(5):
                    numbers.append(len(numbers))
                    answer = say(connection, "kept", numbers[-1])
                    assert answer.status == 202, answer.body
            for client in clients.values():
                for number in numbers[-10:]:
                    while client.message() != ("kept", number):
                        pass
            assert orphan.is_closed()
            wait_until(lambda v=victim: len(serving(server)) == WORKERS and v not in serving(server), "it is replaced")
            wait_until(lambda: publish(server.port, "nobody", 1).status == 202, "it serves")
            for client in clients.values():
                client.close()
            wait_until(lambda: publish(server.port, "all", 1).json == {"subscribers": 0}, "nobody is counted")
        check_kept(server, position, numbers)


# Reload


def test_a_reload_loses_nothing_and_keeps_history_keys_and_names():
    with start(**KEPT) as server:
        position = position_of(server, "kept")
        fill(server, "kept", range(5))
        assert publish_once(server, "k1").status == 202
        named = WsReader(server.port, "kept", more="&client=anna")
        named.first_ping()
        named.say("ack", id=named.id)
        old = [*spread(server, lambda: publisher(server)).values()]
        followers = [Follower(server, connect, "all") for connect in (ws, sse) for _ in range(WORKERS)]
        before = serving(server)
        server.process.process.send_signal(signal.SIGHUP)
        server.process.wait_for("the new configuration is in use")
        # publishes on connections of the old workers reach clients of the new ones, and the other way round
        fresh = ws(server, "all")
        count = 0
        while set(before) & set(server.pids()):
            for connection in old:
                try:
                    if say(connection, "all", count).status == 202:
                        assert next_number(fresh) == count
                        count += 1
                except (OSError, EOFError):
                    continue
            assert publish(server.port, "all", count).status == 202
            assert next_number(fresh) == count
            count += 1
        assert publish(server.port, "all", -1).status == 202
        for follower in followers:
            assert follower.done.wait(60), follower.failure
            assert follower.seen == {-1, *range(count)} and follower.moves == 1
        check_kept(server, position, range(5))
        check_key(server, "k1")
        fill(server, "kept", [5])
        again = WsReader(server.port, "kept", more="&client=anna")
        assert [again.next(), again.next()] == [message("kept", 5), resumed(1)]


def next_number(client):
    while True:
        channel, number = client.message()
        if channel == "all":
            return number


def configure(server, **options):
    """Another configuration for the next reload."""
    push = server.folder / "conf.d/10-push"
    members = "".join(f', "{name.replace("_", ".")}": "{value}"' for name, value in options.items())
    text = push.read_text()
    start_at = text.index('"push-broker": {')
    end_at = text.index("}", start_at)
    push.write_text(text[:start_at] + '"push-broker": { "status": "ok"' + members + " " + text[end_at:])


def test_a_reload_with_less_memory_for_history_drops_the_oldest():
    with start(PUSH_HISTORY_SIZE=1000) as server:
        for number in range(100):
            assert publish(server.port, "big", "x" * 10000).status == 202
        wait_until(lambda: server.metric("push_history_messages") == 100, "all are kept")
        configure(server, push_history_memory_max="512kb")
        reload(server)
        wait_until(lambda: server.metric("push_history_messages") < 60, "the oldest are dropped")


def test_a_reload_switches_to_redis_and_back():
    with RedisServer() as redis, start() as server:
        configure(server, push_redis_url=redis.url())
        reload(server)
        assert server.metric("push_redis_servers_up") == 1
        clients = spread(server, lambda: ws(server, "all"))
        wait_until(lambda: publish(server.port, "all", 1).json == {"subscribers": len(clients)}, "they are counted")
        configure(server)
        reload(server)
        clients = spread(server, lambda: ws(server, "all"))
        assert publish(server.port, "all", 1).json == {"subscribers": len(clients)}
        for client in clients.values():
            assert client.message() == ("all", 1)


# A worker that stands still


class Segment:
    """The lock in the memory that pushd has, layout 1."""

    LAYOUT_AT, LOCK_AT, OWNER, WAITERS = 8, 256, 0x7f, 1 << 31

    def __init__(self, pid):
        folder = Path(f"/proc/{pid}/fd")
        path = next(p for p in folder.iterdir() if os.readlink(p).startswith("/memfd:push-broker"))
        with open(path, "rb") as file:
            self.memory = mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED, mmap.PROT_READ)
        assert struct.unpack_from("<I", self.memory, self.LAYOUT_AT) == (1,)

    def word(self):
        return struct.unpack_from("<I", self.memory, self.LOCK_AT)[0] & ~self.WAITERS

    def stands_still(self):
        """Others have it for microseconds."""
        first = self.word()
        return first & self.OWNER and not any(time.sleep(0.005) or self.word() != first for _ in range(20))


def stop_with_the_lock(server, victim, connection):
    """SIGSTOP at a random moment, again and again, until it has the lock."""
    segment = Segment(server.process.process.pid)
    for turn in range(20000):
        if turn % 50 == 0:
            connection.socket.sendall(b"".join(post(f'{{"channel":"kept","message":{n}}}') for n in range(200)))
            connection.socket.settimeout(0)
            try:
                while connection.socket.recv(65536):
                    pass
            except BlockingIOError:
                pass
            connection.socket.settimeout(15)
        os.kill(victim, signal.SIGSTOP)
        while Path(f"/proc/{victim}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "Tt":
            pass
        if segment.stands_still():
            return
        os.kill(victim, signal.SIGCONT)
        time.sleep(0.0005)
    raise AssertionError("it never has the lock")


def test_a_worker_that_stands_still_with_the_lock_is_killed_and_the_others_go_on():
    with start(**KEPT) as server:
        clients = spread(server, lambda: ws(server, "all"))
        connections = spread(server, lambda: publisher(server))
        victim, connection = connections.popitem()
        clients.pop(victim)
        stop_with_the_lock(server, victim, connection)
        other = next(iter(connections.values()))
        answer = say(other, "all", 1)
        assert answer.status in (202, 503)  # 202 if pushd was faster
        server.process.wait_for(f"worker {victim} stands still and has the broker's lock")
        server.process.wait_for(f"worker {victim} was killed by signal 9")
        wait_until(lambda: say(other, "all", 2).status == 202, "the lock is free")
        for client in clients.values():
            while client.message() != ("all", 2):
                pass
        wait_until(lambda: len(serving(server)) == WORKERS and victim not in serving(server), "it is replaced")


# pushd is killed, or upgraded


def test_the_next_pushd_takes_over_what_a_killed_one_left():
    first = Server(**{**KEPT, **LONG_DRAIN})
    position = position_of(first, "kept")
    fill(first, "kept", range(5))
    assert publish_once(first, "k1").status == 202
    # they stay while the old workers drain, and all of them hear of what the new ones are told
    clients = spread(first, lambda: ws(first, "all"))
    children = kill(first)
    assert len(children) == WORKERS
    try:
        with Again(first, **KEPT) as second:
            second.process.wait_for(r"took over the broker of a pushd that was killed: [1-9]\d* messages, [1-9]\d* values")
            check_kept(second, position, range(5))
            check_key(second, "k1")
            fill(second, "kept", [5])
            check_kept(second, position, range(6))
            # those that have not been asked to leave yet hear of what is published now
            answer = publish(second.port, "all", 7)
            assert answer.json["subscribers"] == len(clients)
            for client in clients.values():
                while client.message() != ("all", 7):
                    pass
            # the old workers' counts go with them
            end(children)
            wait_until(lambda: not any(map(is_there, children)), "they are gone")
            wait_until(lambda: publish(second.port, "all", 8).json == {"subscribers": 0}, "nobody is counted")
            reload(second)
            check_kept(second, position, range(6))
    finally:
        end(children)
        shutil.rmtree(first.folder, ignore_errors=True)


def test_an_upgrade_keeps_history_keys_and_names_and_loses_nothing():
    with start(Replaceable, **KEPT) as server:
        position = position_of(server, "kept")
        fill(server, "kept", range(5))
        assert publish_once(server, "k1").status == 202
        old = serving(server)
        followers = [Follower(server, connect, "all") for connect in (ws, sse) for _ in range(WORKERS)]
        server.replace()
        server.upgrade()
        count = 0
        while set(old) & set(server.pids()):
            assert publish(server.port, "all", count).status == 202
            count += 1
        assert publish(server.port, "all", -1).status == 202
        for follower in followers:
            assert follower.done.wait(60), follower.failure
            assert follower.seen == {-1, *range(count)} and follower.moves == 1
        assert "upgraded to pushd" in server.process.output()
        check_kept(server, position, range(5))
        check_key(server, "k1")
        # it is as much the new one's as it was the old one's
        victim = serving(server)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(serving(server)) == WORKERS and victim not in serving(server), "it is replaced")
        check_kept(server, position, range(5))


# push.history.file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history"


def test_history_and_keys_outlive_a_stop_and_a_start(file):
    with start(**KEPT, PUSH_HISTORY_FILE=file) as server:
        position = position_of(server, "kept")
        fill(server, "kept", range(5))
        assert publish_once(server, "k1").status == 202
        reload(server)
        check_kept(server, position, range(5))
    with start(**KEPT, PUSH_HISTORY_FILE=file) as server:
        check_kept(server, position, range(5))
        check_key(server, "k1")
        fill(server, "kept", [5])
        check_kept(server, position, range(6))


def test_history_outlives_that_everything_is_killed(file):
    with start(**KEPT, PUSH_HISTORY_FILE=file) as server:
        position = position_of(server, "kept")
        fill(server, "kept", range(5))
        pids = [server.process.process.pid, *server.pids()]
        end(pids)
        wait_until(lambda: not any(map(is_there, pids)), "all are gone")
        server.ended = True
        server.process.process.wait()
    with start(**KEPT, PUSH_HISTORY_FILE=file) as server:
        check_kept(server, position, range(5))


def test_a_file_is_taken_over_from_a_pushd_that_was_killed(file):
    first = Server(**{**KEPT, **LONG_DRAIN}, PUSH_HISTORY_FILE=file)
    position = position_of(first, "kept")
    fill(first, "kept", range(5))
    clients = spread(first, lambda: ws(first, "all"))
    children = kill(first)
    try:
        with Again(first, **KEPT, PUSH_HISTORY_FILE=file) as second:
            check_kept(second, position, range(5))
            assert publish(second.port, "all", 7).json["subscribers"] == len(clients)
            fill(second, "kept", [5])
            end(children)
            wait_until(lambda: not any(map(is_there, children)), "they are gone")
            # the file is the new one's alone, now that they do not have it any more
            wait_until(lambda: is_locked_by(second.process.process.pid, file), "the file is the new one's")
            check_taken(file)
        with start(**KEPT, PUSH_HISTORY_FILE=file) as third:
            check_kept(third, position, range(6))
    finally:
        end(children)
        shutil.rmtree(first.folder, ignore_errors=True)


def test_a_broken_file_is_set_aside_and_named(file):
    file.write_bytes(b"no segment" * 10000)
    with start(**KEPT, PUSH_HISTORY_FILE=file) as server:
        assert f"{file}.broken-" in server.process.output()
        fill(server, "kept", range(5))
    aside = [path for path in file.parent.iterdir() if ".broken-" in path.name]
    assert len(aside) == 1 and aside[0].read_bytes() == b"no segment" * 10000


def is_locked_by(pid, file):
    """As the kernel lists it: number, kind, mode, access, pid, device:inode, ..."""
    inode = f":{file.stat().st_ino}"
    return any(fields[1] == "FLOCK" and fields[4] == str(pid) and fields[5].endswith(inode)
               for fields in map(str.split, Path("/proc/locks").read_text().splitlines()))


def check_taken(file):
    with Server(wait=False, PUSH_HISTORY_FILE=file) as other:
        other.ended = True
        assert other.process.wait() == 1
        assert f"push.history.file={file}: another pushd has it" in other.process.output()


def test_two_pushds_do_not_share_a_file(file):
    with start(PUSH_HISTORY_FILE=file):
        check_taken(file)


@pytest.mark.parametrize("path", ["/nowhere/history", "/dev/full", "/"])
def test_a_file_that_cannot_be_had_is_named(path):
    with Server(wait=False, PUSH_HISTORY_FILE=path) as server:
        server.ended = True
        assert server.process.wait() == 1
        assert f"push.history.file={path}: " in server.process.output()


def test_without_pushd_there_is_no_file_and_that_is_said(file):
    with Server(stock=True, wait=False, options={"push-history-file": file}) as server:
        server.ended = True
        server.process.wait_for(f"push.history.file={file}: needs pushd")
    assert not file.exists()


def test_with_redis_the_file_is_not_used_and_that_is_said(file):
    with RedisServer() as redis, start(PUSH_REDIS_URL=redis.url(), PUSH_HISTORY_FILE=file) as server:
        assert f"push.history.file={file}: is not used, as push.redis.url is set" in server.process.output()
    assert not file.exists()
