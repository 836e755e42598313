"""A log that nobody reads, or that cannot be written: Push serves on, counts the lines that are lost, and says so."""

import fcntl
import json
import os
import pty
import signal
import threading
import time

import pytest

from http1 import get, publish
from redis_servers import wait_until
from server import START_S, Process, Server
from wsclient import WebSocket

F_SETPIPE_SZ = 1031
DROPPED = "push_log_lines_dropped_total"
QUICK = {"PUSH_DRAIN_DURATION": "100ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "500ms"}


class Reader(Process):
    """A process whose output is read only as long as `reading` is set; a small pipe, which is full soon."""

    def __init__(self, command, env):
        self.reading = threading.Event()
        self.reading.set()
        super().__init__(command, env)
        fcntl.fcntl(self.process.stdout, F_SETPIPE_SZ, 4096)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.reading.wait()


def redirected(how):
    """A kind of Process that runs with its descriptors as the shell puts them."""
    class Redirected(Process):
        def __init__(self, command, env):
            super().__init__(["bash", "-c", f'exec "$0" "$@" {how}', *command], env)
    return Redirected


def start(stock=False, **more):
    """At level debug, so that each publish is a line."""
    arguments = ["-d", "1025"] if stock else []
    return Server(stock=stock, arguments=arguments, PUSH_LOG_LEVEL="debug", **QUICK, **more)


def wait_up(server):
    def is_up():
        try:
            return get(server.management, "/actuator/health/readiness").status == 200
        except OSError:
            return False
    wait_until(is_up, "it serves", START_S)


def publish_until_dropped(server):
    """Every publish is answered, whatever becomes of its line."""
    end = time.monotonic() + 60
    while server.metric(DROPPED) == 0:
        assert time.monotonic() < end, "no line was dropped"
        for _ in range(50):
            assert publish(server.port, "log", "x").status == 202


@pytest.mark.parametrize("kind", [{"PUSH_LOG_FORMAT": "text"}, {"PUSH_LOG_FORMAT": "json"}, {"stock": True}],
                         ids=["text", "json", "stock"])
def test_a_log_that_nobody_reads_stops_nothing_and_says_later_what_is_missing(kind):
    with start(process=Reader, **kind) as server, WebSocket(server.port, "log") as client:
        client.read_frame()
        server.process.reading.clear()
        publish_until_dropped(server)
        publish(server.port, "log", "last")
        while b"last" not in client.read_frame()[1]:
            pass
        server.process.reading.set()
        said = int(server.process.wait_for(r"(\d+) lines of the log were dropped")[1])
        assert said > 0
        server.process.lines.clear()
        wait_until(lambda: publish(server.port, "after", "x").status == 202 and "after" in server.process.output(),
                   "the log goes on", 30)
        assert server.metric(DROPPED) >= said
        if kind.get("PUSH_LOG_FORMAT") == "json":
            for line in list(server.process.lines):
                json.loads(line)


def test_a_worker_serves_on_while_pushd_does_not_read_its_log():
    with start() as server:
        pushd = server.process.process.pid
        pipe = os.open(f"/proc/{server.worker()}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        fcntl.fcntl(pipe, F_SETPIPE_SZ, 4096)
        os.close(pipe)
        os.kill(pushd, signal.SIGSTOP)
        try:
            publish_until_dropped(server)
        finally:
            os.kill(pushd, signal.SIGCONT)
        server.process.wait_for(r"\d+ lines of the log were dropped")


@pytest.mark.parametrize("stock", [False, True], ids=["pushd", "stock"])
def test_a_terminal_that_is_stopped_stops_nothing(stock):
    master, slave = pty.openpty()
    try:
        with start(stock, wait=False, process=redirected(f">{os.ttyname(slave)} 2>&1")) as server:
            wait_up(server)
            publish_until_dropped(server)
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("stock", [False, True], ids=["pushd", "stock"])
@pytest.mark.parametrize("how", ["2>/dev/full", ">/dev/full 2>&1", "> >(head -c1 >/dev/null) 2>&1"], ids=["full", "both", "gone"])
def test_a_log_that_cannot_be_written_stops_nothing_and_is_counted(stock, how):
    with start(stock, wait=False, process=redirected(how)) as server:
        wait_up(server)
        publish_until_dropped(server)


@pytest.mark.parametrize("stock", [False, True], ids=["pushd", "stock"])
@pytest.mark.parametrize("how", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_get_no_lines_that_are_meant_for_the_log(stock, how):
    with start(stock, wait=False, process=redirected(how)) as server:
        wait_up(server)
        with WebSocket(server.port, "log") as client:
            client.read_frame()
            for number in range(20):
                assert publish(server.port, "log", number).status == 202
                assert client.message() == ("log", number)
