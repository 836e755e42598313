"""The units: what systemd says of them, and what Push does under them, in a machine that systemd has booted."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import debian_machine
import http1
from debian_machine import SOURCE, Machine
from ports import free_port
from redis_servers import RedisServer, wait_until
from server import Server
from sseclient import EventStream
from wsclient import WebSocket

UNITS = ("push.service", "push@.service")
EXPOSURE_MAX = 20  # tenths
# what differs from one instance to the next
OF_AN_INSTANCE = ("Description", "Environment", "EnvironmentFile", "ExecStart", "ExecReload", "RuntimeDirectory",
                  "StateDirectory")


def need(program, package):
    if not shutil.which(program):
        pytest.skip(f"no {program}: apt install {package}")


def settings(unit):
    """[(name, value)] of all sections."""
    text = (SOURCE / "server" / unit).read_text()
    return [tuple(line.split("=", 1)) for line in text.splitlines() if re.match(r"\w+=", line)]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(unit, tmp_path):
    need("systemd-analyze", "systemd")
    # its programs and its manual page are not installed here
    text = (SOURCE / "server" / unit).read_text().replace("/usr/bin/pushd", "/bin/true")
    name = unit.replace("@", "@blue")
    (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / name],
                          capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if name in line]
    assert not complaints, done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_little_is_exposed(unit):
    need("systemd-analyze", "systemd")
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}",
                           SOURCE / "server" / unit], capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot read a file: 250 can")
    assert done.returncode == 0, done.stdout
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1]) <= EXPOSURE_MAX / 10


def test_the_template_is_the_service_but_for_what_an_instance_has_of_its_own():
    def common(unit):
        return [setting for setting in settings(unit) if setting[0] not in OF_AN_INSTANCE]

    assert common(UNITS[0]) == common(UNITS[1])
    own = dict(settings(UNITS[1]))
    assert own["RuntimeDirectory"] == "push-%i" and own["EnvironmentFile"] == "/etc/push/%i.env"


def allowed_calls(filters):
    """Lines of SystemCallFilter, as systemd.exec(5) has it: a list of what may be, and then of what may not."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
    groups = {}
    for line in text.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())

    def expand(name):
        return set().union(*map(expand, groups[name])) if name in groups else {name}

    allowed = expand("@default")
    for line in filters:
        calls = set().union(*map(expand, line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


def hears(client, text):
    """An event stream or a WebSocket brings it, whatever comes before."""
    event = ""
    while event is not None and text not in str(event):
        event = client.event() if isinstance(client, WebSocket) else client.raw()
    return event is not None


class TracedServer(Server):
    """With strace as a grandchild, so that pushd is the child as ever."""

    def __init__(self, trace, **env):
        self.trace = trace
        super().__init__(**env)

    def command(self, arguments=()):
        return ["strace", "-D", "-f", "-qq", "-o", self.trace, *super().command(arguments)]


def use_all_of_it(server, redis):
    """What makes system calls: clients of each kind, Redis that comes and goes, a reload, a worker that dies."""
    with EventStream(server.port, "a") as sse, WebSocket(server.port, "a") as ws:
        assert hears(sse, "heartbeat") and hears(ws, "ping")  # from here on nothing is missed
        server.publish("a", "first")
        assert hears(sse, "first") and hears(ws, "first")
        http1.get(server.port, "/")
        http1.get(server.management, "/actuator/prometheus")
        redis.restart()
        http1.get(server.port, "/messages?channel=a")
        os.kill(server.process.process.pid, signal.SIGHUP)
        server.process.wait_for("the new configuration is in use")
    with EventStream(server.port, "a") as sse:
        assert hears(sse, "heartbeat")
        end = time.monotonic() + 10
        while server.publish("a", "second").status != 202:
            assert time.monotonic() < end
        assert hears(sse, "second")
    os.kill(int(re.findall(r"worker (\d+) serves", server.process.output())[-1]), signal.SIGKILL)
    server.process.wait_for("starting another")


def test_all_system_calls_are_within_the_filter(tmp_path, redis):
    need("strace", "strace")
    need("systemd-analyze", "systemd")
    trace = tmp_path / "trace"
    with TracedServer(trace, PUSH_REDIS_URL=redis.url().replace("127.0.0.1", "localhost"), PUSH_HISTORY_SIZE=10,
                      PUSH_WORKERS=2, PUSH_DRAIN_DURATION="100ms") as server:
        use_all_of_it(server, redis)
    with open(trace, encoding="utf-8", errors="replace") as lines:
        used = {found[1] for found in (re.match(r"\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", line) for line in lines) if found}
    assert {"execve", "epoll_wait", "sendmsg", "pidfd_open"} <= used, used
    filters = [value for name, value in settings(UNITS[0]) if name == "SystemCallFilter"]
    assert used - allowed_calls(filters) - {"restart_syscall"} == set()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    package = debian_machine.build_package(tmp_path_factory.mktemp("package"))
    with Machine() as booted:
        shutil.copy(package, booted.path / "root/push.deb")
        booted.run("dpkg", "-i", "/root/push.deb")
        yield booted


class Unit:
    """A unit in the machine, with an environment of its own; what it listens on is this machine's network."""

    def __init__(self, machine, name="push", **environment):
        self.machine, self.name = machine, name
        self.port, self.management = free_port(), free_port()
        place = "etc/default/push" if name == "push" else "etc/push/" + name.split("@")[1] + ".env"
        self.environment = machine.path / place
        self.before = self.environment.read_text() if self.environment.exists() else ""
        self.write(**environment)

    def write(self, **environment):
        environment = {"SERVER_PORT": self.port, "MANAGEMENT_SERVER_PORT": self.management, "PUSH_DRAIN_DURATION": "100ms",
                       "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "300ms", **environment}
        self.environment.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))

    def systemctl(self, verb, **options):
        return self.machine.run("systemctl", verb, self.name, **options)

    def show(self, name):
        return self.machine.run("systemctl", "show", "--property", name, "--value", self.name).stdout.strip()

    def log(self):
        return self.machine.run("journalctl", "--no-pager", "--unit", self.name).stdout

    def __enter__(self):
        done = self.systemctl("start", check=False)
        assert done.returncode == 0, done.stdout + self.log()
        return self

    def __exit__(self, *_):
        self.systemctl("stop", check=False)
        self.systemctl("reset-failed", check=False)
        if self.environment.exists():
            self.environment.write_text(self.before)


def test_it_serves_in_its_sandbox(machine, redis):
    """Workers, Redis by its name, clients of each kind, files; what is forbidden is."""
    with Unit(machine, PUSH_REDIS_URL=redis.url().replace("127.0.0.1", "localhost"), PUSH_WORKERS=2,
              PUSH_HISTORY_SIZE=10) as push:
        with EventStream(push.port, "a") as sse, WebSocket(push.port, "a") as ws:
            assert hears(sse, "heartbeat") and hears(ws, "ping")  # from here on nothing is missed
            # one worker hears of the other's clients through Redis
            wait_until(lambda: http1.publish(push.port, "a", "hello").json == {"subscribers": 2}, "both are counted")
            assert hears(sse, "hello") and hears(ws, "hello")
        assert http1.get(push.port, "/").status == 200
        metrics = http1.get(push.management, "/actuator/prometheus").text
        assert "\npush_workers 2" in metrics
        # what is read from /proc
        for name in ("process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds"):
            assert float(re.search(rf"^{name} (\S+)", metrics, re.M)[1]) > 0
        pid = push.show("MainPID")
        status = machine.run("cat", f"/proc/{pid}/status").stdout
        for expected in (r"Seccomp:\s2", r"NoNewPrivs:\s1", r"CapEff:\s0+\n", r"CapBnd:\s0+\n"):
            assert re.search(expected, status), status
        assert not re.search(r"Uid:\s0\s", status)
        mounts = machine.run("cat", f"/proc/{pid}/mounts").stdout
        assert re.search(r" /proc proc \S*subset=pid", mounts), mounts
        assert "EPERM" not in push.log() and "Operation not permitted" not in push.log()


def test_a_worker_that_is_killed_is_started_again(machine):
    with Unit(machine) as push:
        workers = machine.run("pgrep", "lwsws").stdout.split()
        machine.run("kill", "-KILL", workers[-1])
        end = time.monotonic() + 10
        while True:
            try:
                if http1.get(push.management, "/actuator/health").status == 200 and \
                        machine.run("pgrep", "lwsws").stdout.split()[-1:] != workers[-1:]:
                    break
            except OSError:
                assert time.monotonic() < end, push.log()
        assert push.show("ActiveState") == "active" and push.show("NRestarts") == "0"


def test_a_reload_takes_a_configuration_or_says_what_is_wrong_with_it(machine):
    file = machine.path / "etc/push/conf.d/10-push"
    before = file.read_text()
    with Unit(machine) as push:
        pid = push.show("MainPID")
        file.write_text(before.replace('"push-broker": { "status": "ok" }', '"push-broker": { "push-history-size": "many" }'))
        done = push.systemctl("reload", check=False)
        assert done.returncode != 0 and "push.history.size" in push.log(), push.log()
        assert http1.publish(push.port, "a", "goes on").status == 202
        file.write_text(before)
        with EventStream(push.port, "a") as sse:
            push.systemctl("reload")
            assert hears(sse, "event:reconnect")
        assert "the new configuration is in use" in push.log()
        assert http1.publish(push.port, "a", "anew").status == 202
        assert push.show("MainPID") == pid


def test_systemd_waits_for_a_drain_however_long_it_is(machine):
    """Beyond TimeoutStopSec, since pushd says how long it will take."""
    override = machine.path / "etc/systemd/system/push.service.d/short.conf"
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text("[Service]\nTimeoutStopSec=1\n")
    machine.run("systemctl", "daemon-reload")
    try:
        with Unit(machine, PUSH_DRAIN_DURATION="3s") as push:
            clients = [EventStream(push.port, "a") for _ in range(8)]
            started = time.monotonic()
            push.systemctl("stop")
            assert 1 < time.monotonic() - started < 20
            assert push.show("Result") == "success", push.log()
            for client in clients:
                client.close()
    finally:
        override.unlink()
        machine.run("systemctl", "daemon-reload")


def test_a_configuration_that_is_wrong_is_given_up_and_shown(machine):
    push = Unit(machine, PUSH_HISTORY_SIZE="many")
    override = machine.path / "etc/systemd/system/push.service.d/soon.conf"
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text("[Service]\nRestartSec=50ms\n")
    machine.run("systemctl", "daemon-reload")
    try:
        assert push.systemctl("start", check=False).returncode != 0
        end = time.monotonic() + 20
        while push.show("ActiveState") != "failed":
            assert time.monotonic() < end, push.log()
        assert "PUSH_HISTORY_SIZE" in push.log()
    finally:
        override.unlink()
        push.__exit__()
        machine.run("systemctl", "daemon-reload")


def test_instances_stand_side_by_side(machine):
    machine.run("cp", "-r", "/etc/push", "/etc/push-green")
    with Unit(machine, "push@blue") as blue, Unit(machine, "push@green", PUSHD_CONFIG="/etc/push-green") as green:
        for unit in (blue, green):
            assert http1.publish(unit.port, "a", unit.name).status == 202
        assert "--config /etc/push-green" in machine.run("ps", "-o", "args=", "-p", green.show("MainPID")).stdout
        blue.systemctl("stop")
        assert http1.publish(green.port, "a", "still").status == 202


def test_an_instance_without_its_file_is_not_started(machine):
    """It would take the ports of another one."""
    assert machine.run("systemctl", "start", "push@nobody", check=False).returncode != 0
    assert "/etc/push/nobody.env" in machine.run("journalctl", "--no-pager", "--unit", "push@nobody").stdout \
        or "environment files" in machine.run("journalctl", "--no-pager", "--unit", "push@nobody").stdout


def test_what_is_removed_is_stopped_and_what_is_purged_is_forgotten(machine):
    """The last one: the package is gone then."""
    with Unit(machine) as push, Unit(machine, "push@blue") as blue:
        push.systemctl("enable")
        machine.run("dpkg", "--remove", "push")
        assert machine.run("pgrep", "pushd", check=False).stdout == ""
        assert (machine.path / "etc/push/blue.env").exists()
        machine.run("dpkg", "--purge", "push")
        assert not (machine.path / "etc/systemd/system/multi-user.target.wants/push.service").is_symlink()
        assert blue.environment.exists(), "what others made is theirs"
