"""
Pods of the Redis StatefulSet without Kubernetes: redis-server and the sidecar of each, started by the same cluster.sh
that the pods run, each pod at a loopback address of its own (which can change), with a folder for its volume (which can
be lost), and with /etc/hosts in a mount namespace for cluster DNS.  What is written by Kubernetes is given as it gives it:
POD_NAME, POD_IP, NODE_NAME.  Pods with even numbers run the script with dash, those with odd ones with busybox, its awk
and the rest of its tools included.
"""

import atexit
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ports import free_port
from redis_servers import MEMORY, Client, RedisError, program, wait_until
from server import SOURCE

REDIS = SOURCE / "k8s/base/redis"
PASSWORD, PUSH_PASSWORD = "a-secret_of-the_pods", "a-secret_of_Push"
APPLETS = ("sh", "awk", "timeout", "sleep", "date", "cat", "sed", "grep", "tail", "tr", "mkdir", "mktemp", "rm", "wc")


def missing():
    """Why it cannot be tried here, or None."""
    if os.geteuid() != 0:
        return "root is needed for the mount namespaces of pods"
    for name in ("dash", "busybox", "unshare"):
        if not shutil.which(name):
            return f"no {name} here: tests/platform/tools installs it"
    return None


class Pod:
    def __init__(self, pods, number, machine):
        self.pods, self.number, self.machine = pods, number, machine
        self.name = f"redis-{number}"
        self.data = pods.folder / self.name
        self.ip = None
        self.is_there = False
        self.server = self.sidecar = None

    def start(self, new_ip=False):
        self.data.mkdir(exist_ok=True)
        if new_ip or not self.ip:
            self.ip = self.pods.next_ip()
        self.is_there = True
        self.pods.write_hosts()
        self.server = self._run("start")
        self.sidecar = self._run("keep")

    def environment(self):
        tools = self.pods.tools / ("busybox" if self.number % 2 else "dash")
        return {"PATH": f"{tools}:{self.pods.tools}" + ("" if self.number % 2 else ":/usr/bin:/bin"), "POD_NAME": self.name,
                "POD_IP": self.ip, "NODE_NAME": self.machine, "REDISCLI_AUTH": PASSWORD, "PUSH_PASSWORD": PUSH_PASSWORD,
                "REDIS_PORT": str(self.pods.port), "REDIS_BIND_ALSO": "", "REDIS_CONF": str(self.pods.folder / "redis.conf"),
                "REDIS_SERVICE": "redis-nodes", "REDIS_DATA": str(self.data), "REDIS_FORGET_S": str(self.pods.forget_s),
                "REDIS_TAKEOVER_S": "2", "REDIS_LINGER_S": "0.7",
                "LC_ALL": "C", "TMPDIR": "/nowhere"}

    def _command(self, verb):
        return [*self.pods.inside(), "/usr/bin/setpriv", "--pdeathsig", "KILL", "--", str(self.pods.tools / ("busybox" if self.number % 2 else "dash") / "sh"),
                str(REDIS / "cluster.sh"), verb]

    def _env(self, verb):
        # the container and the sidecar have folders of their own for what they write
        return {**self.environment(), "REDIS_RUN": str(self.pods.folder / f"run-{self.name}-{verb}")}

    def _run(self, verb):
        log = open(self.pods.folder / f"{self.name}-{verb}.log", "ab")
        with log:
            return subprocess.Popen(self._command(verb), env=self._env(verb), stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, start_new_session=True)

    def script(self, verb, seconds=60):
        return subprocess.run(self._command(verb), env=self._env("exec-" + verb), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds)

    def is_ready(self):
        return self.script("ready").returncode == 0

    def command(self, *parts):
        with Client(self.pods.port, host=self.ip, timeout=3) as client:
            client.command("AUTH", PASSWORD)
            return client.command(*parts)

    def id(self):
        return self.command("CLUSTER", "MYID").decode()

    def is_master(self):
        return self.command("ROLE")[0] == b"master"

    def kill(self):
        """As a machine that loses its power: nobody says good-bye."""
        for each in (self.sidecar, self.server):
            if each:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(each.pid, signal.SIGKILL)
                each.wait()
        self.server = self.sidecar = None
        self.is_there = False
        self.pods.write_hosts()

    def terminate(self):
        """As the kubelet: preStop, SIGTERM to the container, then the sidecar."""
        left = self.script("leave", 270)
        assert left.returncode == 0, left.stderr
        self.server.terminate()
        self.server.wait(20)
        self.kill()
        return left.stdout

    def lose_disk(self):
        shutil.rmtree(self.data)

    def is_running(self):
        return self.server is not None


class Pods:
    def __init__(self, count=6, machines=3, node_timeout_ms=800, forget_s=600, start=True):
        self.folder = Path(tempfile.mkdtemp(prefix="push-pods-", dir=MEMORY))
        self.folder.chmod(0o755)
        self.port = free_port(distance=10000)  # and that of the bus
        self.forget_s = forget_s
        self.net = f"127.{random.randrange(2, 255)}.{random.randrange(2, 255)}."
        self.last_ip = 0
        self.tools = self.folder / "tools"
        self.pods = []
        self._make_tools()
        conf = (REDIS / "redis.conf").read_text()
        (self.folder / "redis.conf").write_text(conf.replace("cluster-node-timeout 3000", f"cluster-node-timeout {node_timeout_ms}"))
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        self.machines = machines
        atexit.register(self.close)
        for number in range(count):
            self.add(start)

    def _make_tools(self):
        for shell in ("busybox", "dash"):
            (self.tools / shell).mkdir(parents=True)
        for applet in APPLETS:
            (self.tools / "busybox" / applet).symlink_to(shutil.which("busybox"))
        (self.tools / "dash/sh").symlink_to(shutil.which("dash"))
        for name in ("redis-server", "redis-cli"):
            path, env = program(name)
            libraries = env.get("LD_LIBRARY_PATH", "")
            wrapper = self.tools / name
            wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {path} "$@"\n')
            wrapper.chmod(0o755)

    def next_ip(self):
        self.last_ip += 1
        return self.net + str(self.last_ip)

    def write_hosts(self):
        """In place, since it is mounted; a pod that is not there has no name, as with a headless Service."""
        there = [p for p in self.pods if p.is_there]
        lines = [f"{p.ip} {p.name}.redis-nodes" for p in there]
        lines += [f"{p.ip} redis" for p in there]  # the Service
        with open(self.folder / "hosts", "r+", encoding="ascii") as hosts:
            hosts.write("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
            hosts.truncate()

    def inside(self):
        return ["/usr/bin/unshare", "-m", "/bin/sh", "-c", '/bin/mount --bind "$0" /etc/hosts && exec "$@"', str(self.folder / "hosts")]

    def add(self, start=True):
        pod = Pod(self, len(self.pods), f"worker-{len(self.pods) % self.machines}" if self.machines else "one")
        self.pods.append(pod)
        if start:
            pod.start()
        return pod

    def running(self):
        return [p for p in self.pods if p.is_running()]

    def wait_ready(self, seconds=20):
        end = time.monotonic() + seconds
        for pod in self.running():
            while True:
                probe = pod.script("ready")
                if probe.returncode == 0:
                    break
                assert time.monotonic() < end, f"not ready within {seconds} s: {probe.stderr}\n{self.report()}"
                time.sleep(0.1)

    def wait_settled(self, seconds=30):
        """Until nothing is left to do, and everybody is ready."""
        self.wait_ready(seconds)
        end = time.monotonic() + seconds
        while True:
            plan = self.running()[0].script("plan")
            assert plan.returncode == 0, plan.stderr
            if not plan.stdout:
                break
            assert time.monotonic() < end, f"not settled within {seconds} s: {plan.stdout}\n{self.report()}"
            time.sleep(0.2)
        self.wait_ready(seconds)

    def report(self):
        out = []
        for pod in self.running():
            with contextlib.suppress(OSError, EOFError, RedisError):
                out.append(f"{pod.name} sees\n" + pod.command("CLUSTER", "NODES").decode())
        for log in sorted(self.folder.glob("*-keep.log")):
            out.append(f"{log.name}\n" + log.read_text()[-3000:])
        return "\n".join(out)

    def nodes(self, pod=None):
        """What one pod sees: a list of (id, address, POD, machine, flags, id of its master, number of slots)."""
        text = (pod or self.running()[0]).command("CLUSTER", "NODES").decode()
        found = []
        for line in text.splitlines():
            part = line.split()
            address, _, host = part[1].partition(",")
            name, _, machine = host.removeprefix("leaving.").partition(".")
            slots = sum((int(b or a) - int(a) + 1) for a, _, b in (s.partition("-") for s in part[8:] if s[0] != "["))
            found.append((part[0], address.split("@")[0], name, machine, part[2].split(","), part[3], slots))
        return found

    def masters(self):
        """{pod: number of slots}"""
        by_name = {p.name: p for p in self.pods}
        return {by_name[n[2]]: n[6] for n in self.nodes() if "master" in n[4] and n[6]}

    def check_whole(self, masters, seconds=15):
        """Each slot is served, each master followed, nobody else known, soon by everybody's word."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self._check_whole(masters)
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _check_whole(self, masters):
        for pod in self.running():
            nodes = self.nodes(pod)
            assert len(nodes) == len(self.running()), self.report()
            assert sum(n[6] for n in nodes) == 16384, self.report()
            owners = [n for n in nodes if n[6]]
            assert len(owners) == masters, self.report()
            for owner in owners:
                assert "master" in owner[4] and any(n[5] == owner[0] for n in nodes), self.report()
            assert not any("fail" in flag or flag == "noaddr" for n in nodes for flag in n[4]), self.report()

    def shared_machines(self):
        """Pairs of a replica and its master on one machine."""
        nodes = self.nodes()
        by_id = {n[0]: n for n in nodes}
        return [(n[2], by_id[n[5]][2]) for n in nodes if n[5] in by_id and by_id[n[5]][3] == n[3]]

    def url(self):
        return f"redis+cluster://push:{PUSH_PASSWORD}@redis:{self.port}"

    def close(self):
        atexit.unregister(self.close)
        for pod in self.pods:
            pod.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
