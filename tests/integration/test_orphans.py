"""pushd is killed: whoever starts it again has it serve at once, and its workers' clients are drained all the same."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from http1 import get, publish
from ports import free_port
from redis_nodes import ws
from redis_servers import RedisServer, wait_until
from server import BUILD, LWSWS, PUSHD, SOURCE, Process, Server

SLOW_DRAIN = {"PUSH_DRAIN_DURATION": "20s", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "2s"}
# a worker leaves with its last client, without one at once: some are left however long the next pushd takes to start
LONG_DRAIN = {**SLOW_DRAIN, "PUSH_DRAIN_DURATION": "600s"}
TAKEN_OVER = r"held by worker (\d+) of a pushd that was killed: taking over"


class Again(Server):
    """Another pushd on the ports and the configuration of one that was killed."""

    def __init__(self, before, **env):
        self.killed = before
        super().__init__(**env)

    def _write_config(self, options, conf_d):
        shutil.rmtree(self.folder)
        self.port, self.management, self.folder = self.killed.port, self.killed.management, self.killed.folder


def kill(server):
    """kill -9 of pushd alone; its workers."""
    children = [pid for pid in server.pids() if f"PPid:\t{server.process.process.pid}\n" not in
                Path(f"/proc/{pid}/status").read_text()]
    server.process.process.kill()
    server.process.process.wait()
    server.ended = True
    return children


def is_there(pid):
    return Path(f"/proc/{pid}/exe").exists()


def end(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def rest_until(client, wanted):
    while wanted not in client.read_frame()[1]:
        pass


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_pushd_takes_over_at_once_what_a_killed_one_left(workers):
    with RedisServer() as redis:
        env = {**SLOW_DRAIN, **({"PUSH_REDIS_URL": redis.url(), "PUSH_WORKERS": workers} if workers > 1 else {})}
        first = Server(**env)
        clients = [ws(first, "a") for _ in range(8)]
        children = kill(first)
        assert len(children) == workers
        try:
            with Again(first, **env) as second:
                assert int(re.search(TAKEN_OVER, second.process.output())[1]) in children
                # the drain goes on while the new one serves, and nobody asks the old one how it is
                for _ in range(20):
                    assert get(second.management, "/actuator/health/readiness").status == 200
                    assert publish(second.port, "a", 1).status == 202
                # at a random moment of the drain
                clients[0].socket.settimeout(60)
                rest_until(clients[0], b'"reconnect"')
                assert "killing it" not in second.process.output()
        finally:
            end(children)
            shutil.rmtree(first.folder, ignore_errors=True)


def test_a_worker_that_is_stuck_is_killed_for_its_port():
    first = Server(**LONG_DRAIN)
    clients = [ws(first, "a") for _ in range(4)]
    children = kill(first)
    # not before: the kernel continues what stands still where it is orphaned
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        with Again(first, **SLOW_DRAIN) as second:
            second.process.wait_for(f"worker {children[0]} does not release port .*, killing it")
            assert publish(second.port, "a", 1).status == 202
        wait_until(lambda: not is_there(children[0]), "it is gone", 10)
    finally:
        for client in clients:
            client.close()
        end(children)
        shutil.rmtree(first.folder, ignore_errors=True)


def run_on(port, management, *before, **env):
    """pushd on these ports, which ends at once; (exit code, lines)."""
    process = Process([*before, PUSHD, "--config", SOURCE, "--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts",
                       "--lwsws", LWSWS], {"SERVER_PORT": port, "MANAGEMENT_SERVER_PORT": management, **env})
    try:
        return process.wait(60), process.lines
    finally:
        process.kill()


def test_a_pushd_that_lives_keeps_its_ports():
    with Server() as server:
        code, lines = run_on(server.port, server.management)
        assert code == 1 and len(lines) == 1 and f"port {server.port} " in lines[0] and "is taken" in lines[0]
        assert publish(server.port, "a", 1).status == 202


LISTEN = """
import socket, sys, time
s = socket.create_server(("", int(sys.argv[1])), reuse_port=True)
print("listens", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("notify", ["", "/run/pushd-nobody/other", "/nowhere/notify", "/run/systemd/notify"])
def test_a_port_that_something_else_holds_fails_at_once_and_nothing_is_signalled(notify):
    port, management = free_port(), free_port()
    holder = Process([sys.executable, "-c", LISTEN, port], {"NOTIFY_SOCKET": notify})
    try:
        holder.wait_for("listens")
        code, lines = run_on(port, management)
        assert code == 1 and len(lines) == 1
        assert re.search(rf"port {port} .* is taken by python3\S* \(pid {holder.process.pid}\)", lines[0])
        assert holder.process.poll() is None
    finally:
        holder.kill()


def test_a_worker_whose_pushd_is_only_out_of_sight_keeps_its_port(tmp_path):
    """As of another container: its socket cannot be found here, and its parent shows that it is no orphan."""
    port, management = free_port(), free_port()
    # the shell is the root of lwsws', its child listens
    holder = Process(["sh", "-c", f"{sys.executable} -c '{LISTEN}' {port}; true"],
                     {"NOTIFY_SOCKET": f"{tmp_path}/pushd-other/notify"})
    try:
        holder.wait_for("listens")
        code, lines = run_on(port, management)
        assert code == 1 and "is taken" in lines[-1] and "taking over" not in "\n".join(lines)
        assert holder.process.poll() is None
    finally:
        holder.kill()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_another_users_orphans_are_left_alone_and_named():
    first = Server(**LONG_DRAIN)
    clients = [ws(first, "a") for _ in range(4)]
    children = kill(first)
    try:
        code, lines = run_on(first.port, first.management, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
        assert code == 1 and "is taken" in lines[-1] and "taking over" not in "\n".join(lines)
        assert all(map(is_there, children))
    finally:
        for client in clients:
            client.close()
        end(children)
        shutil.rmtree(first.folder, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_workers_that_have_given_up_root_are_taken_over_too():
    def give_up_root(server):
        conf = server.folder / "conf"
        conf.write_text(conf.read_text().replace('"global": {', '"global": { "username": "nobody",', 1))

    first = Server(before=give_up_root, **LONG_DRAIN)
    clients = [ws(first, "a") for _ in range(4)]
    children = kill(first)
    try:
        with Again(first, **SLOW_DRAIN) as second:
            assert re.search(TAKEN_OVER, second.process.output())
            assert publish(second.port, "a", 1).status == 202
    finally:
        for client in clients:
            client.close()
        end(children)
        shutil.rmtree(first.folder, ignore_errors=True)
