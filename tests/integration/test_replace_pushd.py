"""SIGUSR2: another pushd takes the place of the one that runs, in the same process, and ends nothing."""

import os
import shutil
import signal
import subprocess
import threading

import pytest

import http1
from http1 import Connection, get, post
from redis_servers import RedisServer, wait_until
from server import BUILD, PUSHD, Server
from test_workers import Follower, sse, ws

DRAIN = {"PUSH_DRAIN_DURATION": "500ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "1s"}


class Replaceable(Server):
    """pushd from a folder of its own, where another file can take its place."""

    def command(self, arguments=()):
        program = self.folder / "bin/pushd"
        if not program.exists():
            program.parent.mkdir()
            shutil.copy(BUILD / "server/libpushd_listen.so", program.parent)
            shutil.copy(PUSHD, program)
        return [program, *super().command(arguments)[1:]]

    def replace(self, text=None):
        """By a copy, or by a script.  As a package manager does: another file of that name."""
        fresh = self.folder / "bin/fresh"
        if text:
            fresh.write_text(text)
            fresh.chmod(0o755)
        else:
            shutil.copy(PUSHD, fresh)
        fresh.rename(self.folder / "bin/pushd")

    def upgrade(self):
        self.process.process.send_signal(signal.SIGUSR2)

    def program(self):
        """Inode of what runs."""
        return os.stat(f"/proc/{self.process.process.pid}/exe").st_ino


def serving(server):
    pids = server.pids()
    return pids[len(pids) // 2:]


class Publisher(threading.Thread):
    """Publishes numbers on one connection after another, one at a time; each is accepted."""

    def __init__(self, server, channel):
        super().__init__(daemon=True)
        self.server, self.channel = server, channel
        self.count, self.failure, self.done = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.done.is_set():
                with Connection(self.server.port) as connection:
                    self.publish(connection)
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.failure = repr(error)

    def publish(self, connection):
        for _ in range(20):
            answer = connection.send(post(f'{{"channel":"{self.channel}","message":{self.count}}}')).read_answer()
            if answer.status != 202:
                raise AssertionError(f"{self.count}: {answer.status}")
            self.count += 1
            if self.done.is_set() or answer.headers.get("connection") == "close":
                return


def check_upgrade(server):
    """Nothing is lost, refused or ended by it; the clients move to new workers."""
    old, pid = serving(server), server.process.process.pid
    followers = [Follower(server, connect, "all") for connect in (ws, sse) for _ in range(3)]
    publisher = Publisher(server, "all")
    before = server.program()
    server.replace()
    server.upgrade()
    server.process.wait_for("upgraded to pushd")
    assert server.program() != before and server.process.process.pid == pid
    server.process.wait_for("the new configuration is in use")
    wait_until(lambda: not set(old) & set(server.pids()), "the old workers have left")
    publisher.done.set()
    publisher.join(60)
    assert not publisher.failure and publisher.count
    assert http1.publish(server.port, "all", -1).status == 202
    for follower in followers:
        assert follower.done.wait(60), follower.failure
        assert follower.seen >= set(range(publisher.count)) and follower.moves == 1


def test_another_pushd_takes_over_without_an_end_and_its_workers_replace_the_old_ones():
    with RedisServer() as redis, Replaceable(PUSH_REDIS_URL=redis.url(), PUSH_WORKERS=2, **DRAIN) as server:
        check_upgrade(server)
        assert server.metric("push_workers") == 2
        # the new one does all that the old one did: workers that are killed are started again, another reload, another upgrade
        victim = serving(server)[0]
        os.kill(victim, signal.SIGKILL)
        server.process.wait_for(f"worker {victim} was killed by signal 9")
        wait_until(lambda: len(serving(server)) == 2 and victim not in server.pids(), "it is replaced")
        check_upgrade_again(server)


def check_upgrade_again(server):
    old = server.pids()
    server.upgrade()
    wait_until(lambda: server.process.output().count("upgraded to pushd") == 2, "once more")
    wait_until(lambda: len(server.pids()) == 4 and not set(old) & set(server.pids()), "all are replaced")
    assert get(server.management, "/actuator/health/readiness").status == 200


BAD = {
    "not a program": ("no program", "Exec format error"),
    "it fails": ("#!/bin/sh\necho 'pushd: it is Tuesday' >&2; exit 1\n", "it is Tuesday"),
    "one of before": ("#!/bin/sh\necho 'configuration is valid'\n", "it cannot take over from a pushd that runs"),
    # by a signal that nothing can catch: a preloaded sanitizer says much about the others
    "killed": ("#!/bin/sh\nkill -KILL $$\n", "its check failed"),
}


@pytest.fixture(scope="module")
def server():
    with Replaceable(**DRAIN) as running:
        yield running


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_take_over_is_not_begun(server, kind):
    text, reason = BAD[kind]
    workers, program = server.pids(), server.program()
    server.replace(text)
    server.upgrade()
    server.process.wait_for(f"not upgrading, this pushd continues: .*{reason}")
    assert server.pids() == workers and server.program() == program
    assert http1.publish(server.port, "a", 1).status == 202


def test_a_wrong_configuration_is_found_before_anything_is_replaced(server):
    workers = server.pids()
    push = server.folder / "conf.d/10-push"
    right = push.read_text()
    push.write_text("{ nonsense")
    server.replace()
    server.upgrade()
    server.process.wait_for(r"not upgrading, this pushd continues: .*conf\.d/10-push")
    push.write_text(right)
    assert server.pids() == workers
    server.upgrade()
    server.process.wait_for("the new configuration is in use")


def test_what_cannot_be_executed_after_all_costs_nothing():
    """Its check runs, and then it is gone."""
    with Replaceable(**DRAIN) as server:
        workers = server.pids()
        program = server.folder / "bin/pushd"
        server.replace(f"#!/bin/sh\nrm {program}\necho 'can take over by state 1'\n")
        server.upgrade()
        server.process.wait_for("not upgrading, this pushd continues: .*No such file")
        assert server.pids() == workers
        # descriptors are its own again
        os.kill(server.worker(), signal.SIGKILL)
        wait_until(lambda: len(server.pids()) == 2 and server.pids() != workers, "it is replaced")
        pid = server.worker()
        assert not any("pushd-state" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
        assert "PUSHD_UPGRADE=" not in open(f"/proc/{pid}/environ").read()
        assert http1.publish(server.port, "a", 1).status == 202


STATES = {
    "another layout": '{"layout":999}',
    "cut": '{"layout":1,"run_dir":"/run',
}


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_cannot_be_read_is_taken_over_as_from_a_killed_pushd(kind):
    # long enough to find the old one
    with Replaceable(PUSH_DRAIN_DURATION="600s") as server:
        client = ws(server, "a")
        assert http1.publish(server.port, "a", 1).json == {"subscribers": 1}
        real = server.folder / "bin/real"
        shutil.copy(PUSHD, real)
        # between the two: another state in the place of that which was left
        state = server.folder / "state"
        state.write_text(STATES[kind])
        server.replace("#!/bin/bash\n"
                       f'for a; do [ "$a" = --check ] && exec {real} "$@"; done\n'
                       f'eval "exec $PUSHD_UPGRADE<{state}"\n'
                       f'exec -a {server.folder}/bin/pushd {real} "$@"\n')
        server.upgrade()
        server.process.wait_for("cannot go on from the pushd before: .*; taking over as if it had been killed")
        server.process.wait_for("took over the broker of a pushd that was killed")
        server.process.wait_for("held by worker .* of a pushd that was killed: taking over")
        wait_until(lambda: server.process.output().count("Push is ready") == 2, "it serves")
        assert http1.publish(server.port, "a", 2).json == {"subscribers": 1}
        while client.message() != ("a", 2):
            pass
        client.close()
        wait_until(lambda: len(server.pids()) == 2, "the old worker has left")
        wait_until(lambda: http1.publish(server.port, "a", 3).json == {"subscribers": 0}, "nobody is counted")


def test_a_stop_ends_an_upgrade_that_has_not_begun():
    with Replaceable(**DRAIN) as server:
        server.replace("#!/bin/sh\nexec sleep 1000\n")
        server.upgrade()
        server.process.wait_for("upgrading: checking")
        assert server.stop() == 0
    assert subprocess.run(["pgrep", "-f", f"{server.folder}/bin"], stdout=subprocess.DEVNULL, check=False).returncode == 1
