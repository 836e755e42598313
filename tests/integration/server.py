"""A real Push for a test: pushd, or stock lwsws by itself, on free ports, with the project's own configuration."""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import http1
from ports import free_port

BUILD = Path(os.environ.get("TEST_BUILD_DIR", "build/release")).resolve()
SOURCE = Path(os.environ.get("TEST_SOURCE_DIR", ".")).resolve()
DEPS = Path(os.environ.get("TEST_DEPS", SOURCE / "build/deps")).resolve()
TOOLS = Path(os.environ.get("TEST_TOOLS", SOURCE / "build/tools")).resolve()
DIRECT = os.environ.get("TEST_DIRECT", "on") == "on"
SANITIZED = os.environ.get("TEST_SANITIZE") == "1"

LWSWS = DEPS / "bin/lwsws"
PUSHD = BUILD / "server/pushd"
BAD_WORDS = ("assertion failed", "AddressSanitizer", "runtime error:", "LeakSanitizer")

START_S = 120  # only what fails takes so long: an overloaded machine needs a part of it
STOP_S = 120
METRIC_S = 120


def environment(extra):
    """The test's own environment without anything of Push's, and the sanitizers where they are built in."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PUSH_", "SPRING_", "NOTIFY_"))}
    if SANITIZED:
        asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
        env["LD_PRELOAD"] = asan
        # lws keeps what it allocated once until the process ends; leaks of core are valgrind's to find
        env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    if not DIRECT:
        env["PUSH_DIRECT"] = "off"
    env.update({k: str(v) for k, v in extra.items()})
    return env


class Process:
    """A process whose output is kept, and whose end is certain."""

    def __init__(self, command, env):
        self.lines = []
        self.process = subprocess.Popen([str(c) for c in command], env=environment(env), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                        start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        atexit.register(self.kill)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self):
        return "\n".join(self.lines)

    def wait(self, seconds=STOP_S):
        code = self.process.wait(seconds)
        self.reader.join(5)
        return code

    def wait_for(self, pattern, seconds=START_S):
        """Until a line matches; returns the match."""
        end = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < end:
            fresh = self.lines[seen:]
            for line in fresh:
                found = re.search(pattern, line)
                if found:
                    return found
            ended = self.process.poll() is not None
            seen += len(fresh)  # not their number now: some may have come meanwhile
            if ended:
                self.reader.join(5)
                found = re.search(pattern, self.output())
                assert found, f"ended with {self.process.returncode} before /{pattern}/:\n{self.output()}"
                return found
            time.sleep(0.01)
        raise AssertionError(f"no /{pattern}/ within {seconds} s:\n{self.output()}")

    def kill(self):
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Server:
    """
    with Server(PUSH_DRAIN_DURATION="1s") as server: ...

    stock=True runs lwsws without pushd.  options: more members of push-broker in conf.d.  conf_d: more files of
    conf.d, by name.  before: a function that is given the server before the start.  process: a kind of Process.
    """

    def __init__(self, stock=False, options=None, conf_d=None, before=None, arguments=(), wait=True, limit_files=None,
                 process=Process, **env):
        self.port, self.management = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="push-test-"))
        self.env = env
        self.stock = stock
        self._write_config(options or {}, conf_d or {})
        if before:
            before(self)
        self.process = process(self._limited(limit_files) + self.command(arguments), self._env())
        self.ended = False
        if wait:
            self.wait_until_ready()

    def _write_config(self, options, conf_d):
        shutil.copy(SOURCE / "conf", self.folder / "conf")
        shutil.copytree(SOURCE / "conf.d", self.folder / "conf.d")
        for name, text in conf_d.items():
            (self.folder / "conf.d" / name).write_text(text)
        push = self.folder / "conf.d/10-push"
        if options:
            members = ", ".join(f"{json.dumps(k)}: {json.dumps(str(v))}" for k, v in options.items())
            push.write_text(push.read_text().replace('"push-broker": { "status": "ok" }',
                                                     '"push-broker": { "status": "ok", ' + members + " }"))
        if self.stock:
            push.write_text(push.read_text().replace('"8080"', f'"{self.port}"')
                            .replace("/usr/share/push/mounts", str((SOURCE / "mounts").resolve())))
            management = self.folder / "conf.d/20-management"
            management.write_text(management.read_text().replace('"8000"', f'"{self.management}"'))
            conf = self.folder / "conf"
            conf.write_text(conf.read_text().replace("/usr/lib/push/plugins", str((BUILD / "plugins").resolve())))

    def _env(self):
        """One worker unless the test says otherwise, so that it is known who serves."""
        return self.env if self.stock else {"SERVER_PORT": self.port, "MANAGEMENT_SERVER_PORT": self.management,
                                            "PUSH_WORKERS": 1, **self.env}

    def _limited(self, files):
        return ["prlimit", f"--nofile={files}:{files}", "--"] if files else []

    def command(self, arguments=()):
        if self.stock:
            return [LWSWS, "-n", "-c", self.folder, "-d", "3", *arguments]
        return [PUSHD, "--config", self.folder, "--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts",
                "--lwsws", LWSWS, *arguments]

    def wait_until_ready(self):
        if not self.stock:
            self.process.wait_for("Push is ready")
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                if http1.get(self.management, "/actuator/health/readiness").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("not ready:\n" + self.process.output())

    def pids(self, name="lwsws"):
        """The server's processes of that name, children last."""
        found, parents = [], [self.process.process.pid]
        while parents:
            parent = parents.pop(0)
            out = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split()
            for pid in map(int, out):
                parents.append(pid)
                try:
                    if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                        found.append(pid)
                except OSError:  # it has just ended
                    pass
        return found

    def worker(self):
        """The process that serves."""
        return self.pids()[-1]

    def stop(self):
        """SIGTERM; the exit code."""
        self.ended = True
        if self.stock:
            pid = self.worker()
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + STOP_S
            while time.monotonic() < end and Path(f"/proc/{pid}/exe").exists():
                time.sleep(0.02)
            assert not Path(f"/proc/{pid}/exe").exists(), "the worker did not end"
            self.process.kill()
            return 0
        self.process.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def metric(self, name):
        """The value of a sample, by its name with labels."""
        for line in http1.get(self.management, "/actuator/prometheus").text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    def check_metrics(self):
        """By Prometheus' own tool, where there is one; returns the text."""
        text = http1.get(self.management, "/actuator/prometheus").text
        if not (TOOLS / "promtool").exists():
            pytest.skip("no promtool: tests/run takes it from Debian's package")
        run = subprocess.run([TOOLS / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return text

    def wait_metric(self, name, value, seconds=METRIC_S):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.metric(name) == value:
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} is {self.metric(name)}, not {value}")

    def publish(self, channel, message, **more):
        return http1.publish(self.port, channel, message, **more)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            code = 0 if self.ended else self.stop()
            output = self.process.output()
            assert not any(word in output for word in BAD_WORDS), output
            assert code == 0, f"ended with {code}:\n{output}"
        finally:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
