"""pushd --health, as a container's health check uses it, and where pushd keeps what it writes."""

import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import free_port
from server import PUSHD, Server, environment
from sseclient import EventStream


def health(server, *question, **env):
    """Exit code, what it printed, what it complained about, and how long it took."""
    start = time.monotonic()
    done = subprocess.run([PUSHD, "--config", server.folder, "--health", *question], capture_output=True, text=True,
                          env=environment({**server._env(), **env}), timeout=20)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


@contextmanager
def listener(answer=None):
    """Something that is not Push: what it answers, or None for nothing at all; "" closes at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            try:
                client, _ = server.accept()
                if answer is None:
                    client.recv(65536)
                    kept.append(client)
                    return
                client.recv(65536)
                client.sendall(answer)
                client.close()
            except OSError:
                pass
        kept = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        for client in kept:
            client.close()


@pytest.mark.parametrize("question", [(), ("ready",), ("live",), ("--health=live",)])
def test_a_server_that_is_well_is_up(server, question):
    code, out, err, _ = health(server, *question)
    assert (code, out, err) == (0, '{"status":"UP"}\n', "")


def test_an_answer_costs_milliseconds(server):
    assert min(health(server)[3] for _ in range(5)) < 0.2


def test_a_server_that_drains_is_alive_and_not_ready():
    with Server(PUSH_DRAIN_DURATION="20s") as server, EventStream(server.port, "d"):
        server.process.process.send_signal(signal.SIGTERM)
        server.process.wait_for("push: SIGTERM, draining")
        code, out, err, _ = health(server, "ready")
        assert code == 1 and '"reason":"draining"' in out
        assert f"http://127.0.0.1:{server.management}/actuator/health/readiness: answered 503" in err
        assert health(server, "live")[0] == 0
        server.process.process.send_signal(signal.SIGTERM)
        server.ended = True
        server.process.wait()


def test_a_broken_configuration_does_not_make_a_running_server_sick(server):
    assert health(server, PUSH_DRAIN_DURATION="nonsense", PUSH_NONSENSE="1", PUSH_WORKERS="0")[0] == 0


def test_nobody_there_is_said_with_the_port(server):
    port = free_port()
    code, out, err, seconds = health(server, MANAGEMENT_SERVER_PORT=port)
    assert (code, out) == (1, "") and seconds < 1
    assert err == f"pushd: --health: http://127.0.0.1:{port}/actuator/health/readiness: Connection refused\n"


def test_one_that_hangs_is_given_up_after_two_seconds(server):
    with listener() as port:
        code, _, err, seconds = health(server, MANAGEMENT_SERVER_PORT=port)
    assert code == 1 and 1.9 < seconds < 4
    assert f"127.0.0.1:{port}" in err and "no answer within 2000 ms" in err


@pytest.mark.parametrize("answer, what", [
    (b"", "closed without an answer"),
    (b"220 mail.example ESMTP\r\n", "the answer is not HTTP"),
    (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404"),
    (b"HTTP/1.1 200 OK\r\n\r\n<html>\x1b[2Jhello", "without {\"status\":\"UP\"}"),
    (b"x" * 100_000, "the answer is not HTTP"),
])
def test_another_server_on_the_port_is_not_healthy(server, answer, what):
    with listener(answer) as port:
        code, out, err, _ = health(server, MANAGEMENT_SERVER_PORT=port)
    assert code == 1 and what in err and "\x1b" not in out + err


@pytest.mark.parametrize("member, value, what", [
    ("interface", "127.0.0.1", None),
    ("interface", "lo", None),
    ("interface", "0.0.0.0", None),
    ("host-ssl-cert", "/etc/ssl/x.pem", "plain HTTP only"),
    ("unix-socket", "1", "no TCP port"),
    ("name", "others", "no vhost 'management'"),
])
def test_the_configuration_says_where_to_ask(server, tmp_path, member, value, what):
    """Of a server that listens on all addresses, asked by way of another configuration."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf").write_text("{}")
    members = {"name": '"management"', "port": str(server.management), member: f'"{value}"'}
    text = ", ".join(f'"{k}": {v}' for k, v in members.items())
    (tmp_path / "conf.d/management").write_text('{"vhosts": [7, {%s}]}' % text)
    done = subprocess.run([PUSHD, "--config", tmp_path, "--health"], capture_output=True, text=True,
                          env=environment({}))
    assert done.returncode == (1 if what else 0)
    assert (what or "UP") in done.stderr + done.stdout


def test_what_cannot_be_asked_is_said(tmp_path):
    def run(*arguments, **env):
        done = subprocess.run([PUSHD, *arguments], capture_output=True, text=True, env=environment(env))
        return done.returncode, done.stderr

    assert run("--health", "dead") == (2, "pushd: --health dead: must be live or ready\n")
    assert run("--health=") == (2, "pushd: --health : must be live or ready\n")
    code, err = run("--config", tmp_path / "none", "--health")
    assert code == 1 and f"{tmp_path}/none/conf: No such file" in err


def test_a_bad_port_is_named(server):
    code, _, err, _ = health(server, MANAGEMENT_SERVER_PORT="80x")
    assert code == 1 and "MANAGEMENT_SERVER_PORT=80x: not a port" in err


READ_ONLY = "for folder in / /run /tmp {}; do mount --bind $folder $folder; mount -o remount,bind,ro $folder; done; " \
            'exec "$@"'
HAS_MOUNTS = not subprocess.run(["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"], capture_output=True).returncode
needs_mounts = pytest.mark.skipif(not HAS_MOUNTS, reason="mounting needs root")


class ReadOnlyServer(Server):
    """In a root file system that is read-only, as a container's may be; `also`: more of its folders."""

    def __init__(self, also="", **more):
        self.also = also
        super().__init__(**more)

    def _limited(self, files):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", READ_ONLY.format(self.also), "sh"]


@needs_mounts
def test_where_all_else_is_read_only_dev_shm_is_found():
    with ReadOnlyServer() as server:
        assert list(Path("/dev/shm").glob("pushd-*"))
        assert health(server)[0] == 0


@needs_mounts
def test_where_nothing_can_be_written_every_place_is_named():
    with ReadOnlyServer("/dev/shm", wait=False, RUNTIME_DIRECTORY="/nowhere:/nor-here") as server:
        line = server.process.wait_for("no folder for the running configuration").string
        for folder in ("/nowhere (No such", "/run (Read-only", "/tmp (Read-only", "/dev/shm (Read-only"):
            assert folder in line
        assert line.endswith("; give one with --run-dir")
        assert server.process.wait() == 1
        server.ended = True


def test_a_run_dir_that_was_asked_for_is_the_only_one_tried():
    with Server(wait=False, arguments=("--run-dir", "/nowhere")) as server:
        server.process.wait_for("pushd: --run-dir /nowhere: No such file or directory$")
        assert server.process.wait() == 1
        server.ended = True
