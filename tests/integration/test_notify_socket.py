"""The socket by which workers report to pushd: who may write to it, and that nothing that comes by it stays open."""

import array
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from http1 import publish
from server import Server

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
SEND = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try:
    s.sendto(b"READY=1\\n", sys.argv[1])
    print("sent")
except OSError as error:
    print(type(error).__name__)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A folder whose path leaves room for a socket's."""
    folder = Path("/tmp") / f"push-notify-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(folder, **more):
    return Server(arguments=["--run-dir", folder], **more)


def socket_of(folder):
    (path,) = folder.glob("pushd-*/notify")
    return path


def send_as_nobody(path):
    return subprocess.run([*AS_NOBODY, sys.executable, "-c", SEND, str(path)], capture_output=True, text=True,
                          check=True).stdout.strip()


def open_files(server):
    """What they are: socket:[123] and so on."""
    folder, links = f"/proc/{server.process.process.pid}/fd", set()
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.add(os.readlink(f"{folder}/{name}"))
    return links


def send_descriptors(path, count, text=b"FDSTORE=1\n"):
    """Waits while pushd's queue is full; returns what was sent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        fds = array.array("i", [sender.fileno()] * count)
        sender.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], 0, str(path))
        return os.readlink(f"/proc/self/fd/{sender.fileno()}")


def wait_read(server):
    """Until pushd has read all that was sent so far: it reads in order, and then does what a signal asks."""
    server.process.process.send_signal(1)
    server.process.wait_for("the new configuration is in use")
    server.process.lines.clear()


@needs_root
def test_another_user_cannot_write_to_the_notify_socket(short):
    with start(short):
        assert send_as_nobody(socket_of(short)) == "PermissionError"


@needs_root
def test_a_worker_that_has_given_up_root_still_reports_and_nobody_else_may(short):
    def give_up_root(server):
        conf = server.folder / "conf"
        conf.write_text(conf.read_text().replace('"global": {', '"global": { "username": "nobody",', 1))

    with start(short, before=give_up_root) as server:
        assert Path(f"/proc/{server.worker()}").stat().st_uid == 65534
        assert publish(server.port, "a", 1).status == 202
        path = socket_of(short)
        assert path.stat().st_uid == 65534 and path.stat().st_mode & 0o777 == 0o600
        # it may write, and is not believed: it is no worker
        assert send_as_nobody(path) == "sent"
        other = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--", sys.executable, "-c",
                                SEND, str(path)], capture_output=True, text=True, check=True).stdout.strip()
        assert other == "PermissionError"


@pytest.mark.parametrize("count", [1, 2, 3, 253])
def test_descriptors_that_strangers_send_are_closed(short, count):
    with start(short, PUSH_DRAIN_DURATION="100ms") as server:
        path = socket_of(short)
        sent = {send_descriptors(path, count) for _ in range(50)}
        end = time.monotonic() + 20
        while open_files(server) & sent and time.monotonic() < end:
            time.sleep(0.02)
        assert not open_files(server) & sent
        assert publish(server.port, "a", 1).status == 202


def test_datagrams_of_any_shape_change_nothing(short):
    with start(short, PUSH_DRAIN_DURATION="100ms") as server:
        path, before, worker = socket_of(short), len(open_files(server)), server.worker()
        for text in (b"", b"\0", b"READY=1\n", b"STATUS=x\nREADY=1\n" * 500, os.urandom(200), b"STATUS=" + b"x" * 5000):
            send_descriptors(path, 2, text or b"\n")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(text, str(path))
        wait_read(server)
        assert publish(server.port, "a", 1).status == 202
        assert server.worker() != worker
        end = time.monotonic() + 20
        while len(open_files(server)) > before and time.monotonic() < end:
            time.sleep(0.02)
        assert len(open_files(server)) <= before
