"""compose.yaml: that what it says fits together, and, where there is an engine, that a replica can be replaced under
load without a publish refused or a message lost.

Images that are not to be had (no registry) are taken from Debian's packages by tests/platform/docker stand-ins; Grafana,
Jaeger and the collector Debian does not have: of these only what is written about them is tested.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from containers import (BUILD, ENGINE, SOURCE, compose_config, has_compose, http1, need_engine, own_options,
                        run, wait_until)
from ports import free_port
from redis_servers import peers
from server import Server
from sseclient import HEARTBEAT, RECONNECT, EventStream
from wsclient import PING, PONG, TEXT, WebSocket, frame

BALANCER = (SOURCE / "server/haproxy.cfg").read_text()
STARTED = ("push", "lb", "redis", "prometheus")


def seconds(text):
    """Of 300s, 5m, 1m0s, 250ms."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", text))


def default_of(option):
    text = run(BUILD / "server/pushd", "--help")
    return seconds(re.search(r"^  %s +(\S+)" % option, text, re.M)[1])


def longest_stay():
    return default_of("PUSH_RECONNECT_DITHER_MAX_DURATION") + default_of("PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION")


@pytest.fixture(scope="module")
def config():
    environment = has_compose()
    if not environment:
        pytest.skip("no docker compose to read the file with: tests/platform/docker start gets it")
    return compose_config(environment, "compose.yaml")


# What is written


def written(name="compose.yaml"):
    """The file itself, for what can be read without docker compose."""
    return pytest.importorskip("yaml").safe_load((SOURCE / name).read_text())


def started_with(service, services):
    """What `docker compose up SERVICE` starts."""
    found, due = set(), [service]
    while due:
        name = due.pop()
        if name not in found:
            found.add(name)
            due += services[name].get("depends_on", [])
    return found


def test_up_push_starts_what_publishes_the_ports():
    """`docker-compose up --build -d push`, as those who know the origin type it."""
    services = written()["services"]
    started = started_with("push", services)
    assert {port.rsplit(":", 1)[1] for name in started for port in services[name].get("ports", [])} == {"8080", "8000"}
    assert "prometheus" not in started


def test_with_tokens_the_keys_are_in_the_folder_that_is_mounted():
    push = written("compose.tokens.yaml")["services"]["push"]
    assert push["volumes"] == ["./keys:/run/push-keys:ro"]
    assert push["environment"] == {"PUSH_AUTH_KEYS": "/run/push-keys/app.jwk.pub",
                                   "PUSH_PUBLISH_KEYS": "/run/push-keys/publish.keys"}
    assert set(written("compose.tokens.yaml")["services"]) <= set(written()["services"])
    assert set(push["environment"]) <= own_options()


def test_the_commands_of_the_file_with_tokens_make_keys_that_push_accepts(tmp_path):
    text = (SOURCE / "compose.tokens.yaml").read_text()
    commands = re.findall(r"^#   ((?:mkdir|push token|chmod) .+?)(?:   +.+)?$", text, re.M)
    assert len(commands) == 4
    path = f"{BUILD / 'server'}:{os.environ['PATH']}"
    for command in commands:
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    settings = written("compose.tokens.yaml")["services"]["push"]["environment"]
    files = {name: Path(str(tmp_path / "keys") + value.removeprefix("/run/push-keys")) for name, value in settings.items()}
    # the image's user is another one than theirs
    assert all(file.stat().st_mode & 0o004 for file in files.values())
    with Server(**{name: str(file) for name, file in files.items()}) as server:
        body, key = '{"channel":"orders:1","message":1}', (tmp_path / "shop.key").read_text().strip()
        assert http1.request(server.port, http1.post(body, headers=[f"Push-Key: {key}"])).status == 202
        assert http1.request(server.port, http1.post(body)).status == 401


def test_the_operators_port_is_this_machines_alone():
    ports = [port for service in written()["services"].values() for port in service.get("ports", [])]
    assert [port for port in ports if port.endswith(":8000")] == ["127.0.0.1:${MANAGEMENT_PORT:-8000}:8000"]
    assert re.search(r"frontend operators\n\tbind :8000\n", BALANCER)


def test_the_origins_name_of_the_tests_file_leads_to_them():
    assert written("docker-compose.test.yml")["include"] == ["compose.test.yaml"]


def test_it_sets_only_options_that_push_has():
    text = (SOURCE / "compose.yaml").read_text()
    known = own_options() | {"PUSH_IMAGE", "PUSH_REPLICAS", "PUSH_CPUS", "PUSH_MEMORY"}  # the file's own, for itself
    assert not set(re.findall(r"\bPUSH_[A-Z0-9_]+\b", text)) - known - {"PUSH_HISTORY_SIZE"}


def test_what_is_for_the_file_is_not_given_to_push(config):
    """pushd refuses a variable that begins with PUSH_ and is no option."""
    given = {name for name in config["services"]["push"]["environment"] if name.startswith("PUSH_")}
    assert given and given <= own_options()


def test_all_that_is_mounted_is_there(config):
    mounts = [mount for service in config["services"].values() for mount in service.get("volumes", [])]
    files = [mount["source"] for mount in mounts if mount["type"] == "bind"]
    assert len(files) >= 5
    for name in files:
        assert (SOURCE / name).exists(), name


def test_images_are_pinned(config):
    for name, service in config["services"].items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_every_service_is_hardened_limited_and_started_again(config):
    for name, service in config["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
        # no shell and no curl in the images of these
        assert service.get("healthcheck") or name in ("otel-collector", "jaeger"), name


def test_only_the_load_balancer_is_open_to_others(config):
    ports = [(name, port) for name, service in config["services"].items() for port in service.get("ports", [])]
    assert [name for name, port in ports if port.get("host_ip") != "127.0.0.1"] == ["lb"]
    assert [port["host_ip"] for _, port in ports if port["target"] == 8000] == ["127.0.0.1"]


def test_redis_is_reached_by_push_alone(config):
    networks = {name: set(service["networks"]) for name, service in config["services"].items()}
    assert [name for name in networks if networks[name] & networks["redis"]] == ["push", "redis"]


def test_a_stop_leaves_time_for_the_drain(config):
    stop = seconds(config["services"]["push"]["stop_grace_period"])
    assert stop > default_of("PUSH_DRAIN_DURATION") + default_of("PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION")


def test_the_load_balancer_waits_longer_than_a_client_stays():
    for name in ("client", "server", "tunnel"):
        assert seconds(re.search(r"timeout %s +(\S+)" % name, BALANCER)[1]) > longest_stay(), name
    assert seconds(re.search(r"hard-stop-after (\S+)", BALANCER)[1]) > longest_stay()


def test_haproxy_understands_its_configuration():
    haproxy, environment = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin"), None
    if peers.is_there("HAProxy"):
        haproxy, environment = peers.path("usr/sbin/haproxy"), peers.environment()
    if not haproxy:
        pytest.skip("no haproxy here: tests/run unpacks it from Debian's package")
    run(haproxy, "-c", "-f", SOURCE / "server/haproxy.cfg", env=environment)


def test_compose_test_yaml_runs_the_tests_by_their_labels():
    environment = has_compose()
    if not environment:
        pytest.skip("no docker compose to read the file with: tests/platform/docker start gets it")
    services = compose_config(environment, "compose.test.yaml")["services"]
    assert set(services) == {"unit-tests", "integration-tests"}
    for name, service in services.items():
        assert service["build"]["target"] == "test"
        assert " AS test\n" in (SOURCE / "Dockerfile").read_text()
        assert service["command"][service["command"].index("-L") + 1] == name.split("-", maxsplit=1)[0]


# What runs


class Project:
    """What compose.yaml starts, under a name and on ports of its own, with a short drain."""

    def __init__(self, docker, folder):
        self.docker, self.port, self.prometheus = docker, free_port(), free_port()
        self.management = free_port()
        self.name = "pushtest%d" % self.port
        files = int(run("sh", "-c", "ulimit -Hn").strip().replace("unlimited", "1048576"))
        self.environment = {"LB_PORT": str(self.port), "MANAGEMENT_PORT": str(self.management), "PROMETHEUS_PORT": str(self.prometheus),
                            "NOFILE": str(min(files, 4096)), "PUSH_IMAGE": "push-compose-test"}
        more = {"PUSH_DRAIN_DURATION": "2s", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "1s"}
        (folder / "more.json").write_text(json.dumps({"services": {"push": {"environment": more}}}))
        self.files = ["-f", str(SOURCE / "compose.yaml"), "-f", str(folder / "more.json")]

    def __call__(self, *command, check=True):
        return self.docker("compose", "--project-directory", str(SOURCE), "--project-name", self.name, *self.files,
                           *command, check=check, **self.environment)

    def replicas(self):
        return self("ps", "--quiet", "push").split()

    def connections_of(self, container):
        """There is nothing in the image to ask with, so Prometheus' neighbour does: the load balancer's bash."""
        address = json.loads(self.docker("inspect", container))[0]["NetworkSettings"]["Networks"]
        address = address[self.name + "_front"]["IPAddress"]
        text = self("exec", "-T", "lb", "bash", "-c", "exec 3<>/dev/tcp/%s/8000; printf 'GET /actuator/prometheus HTTP/1.0"
                    "\\r\\n\\r\\n' >&3; cat <&3" % address)
        return sum(int(float(count)) for count in re.findall(r"^push_connections\{.*\} (\S+)$", text, re.M))

    def replace(self, container):
        """As docs/deploy/docker.md says it."""
        self.docker("stop", "--time", "60", container)
        self.docker("rm", container)
        self("up", "--detach", "--no-deps", "--no-recreate", "--wait", "push")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    docker = need_engine()
    project = Project(docker, tmp_path_factory.mktemp("compose"))
    docker.build("push-compose-test")
    if docker.private:
        run(ENGINE, "stand-ins")
    try:
        project("up", "--detach", "--wait", "--wait-timeout", "120", *STARTED)
        yield project
    finally:
        project("down", "--volumes", "--timeout", "5", check=False)
        docker("rmi", "--force", "push-compose-test", check=False)


class Subscriber(threading.Thread):
    """Follows `reconnect` as a client library does: opens anew, then closes the old one.  What it gets is kept."""

    def __init__(self, port, channel):
        super().__init__(daemon=True)
        self.port, self.channel = port, channel
        self.got, self.reconnects, self.errors = set(), 0, []
        self.leave = threading.Event()
        self.ready = threading.Event()

    def run(self):
        try:
            while not self.leave.is_set():
                with self.connect() as connection:
                    self.ready.set()
                    self.follow(connection)
        except Exception as error:  # noqa: BLE001 whatever it is, it is to be seen
            self.errors.append(repr(error))
        self.ready.set()

    def follow(self, connection):
        """Until it asks to reconnect, and then what is still on its way on the old one beside the new one."""
        while not self.leave.is_set():
            event = self.read(connection)
            if event == "reconnect":
                self.reconnects += 1
                with self.connect() as successor:
                    closing = threading.Thread(target=self.drain, args=(connection,), daemon=True)
                    closing.start()
                    self.follow(successor)
                    closing.join(5)
                return
            assert event is not None, "closed without being asked to reconnect"

    def drain(self, connection):
        try:
            connection.socket.settimeout(0.5)
            while self.read(connection):
                pass
        except (OSError, EOFError):
            pass
        connection.close()


class WebSocketSubscriber(Subscriber):
    def connect(self):
        connection = WebSocket(self.port, self.channel)
        assert connection.status == 101, connection.status
        assert self.read(connection) == "ping"
        return connection

    def read(self, connection):
        got = connection.read_frame()
        if got and got[0] == PING:
            connection.send(frame(PONG, got[1]))
            return "ping"
        if not got or got[0] != TEXT:
            return None
        event = json.loads(got[1])
        assert event["event"] != "gap", "told of a gap"
        if event["event"] == "message":
            self.got.add(event["data"]["message"])
        return event["event"]


class EventStreamSubscriber(Subscriber):
    def connect(self):
        connection = EventStream(self.port, self.channel)
        assert connection.status == 200, connection.status
        assert self.read(connection) == "ping"
        return connection

    def read(self, connection):
        got = connection.raw()
        if not got or got == HEARTBEAT or got == RECONNECT:
            return {HEARTBEAT: "ping", RECONNECT: "reconnect"}.get(got)
        assert got.startswith(b"event:message\ndata:"), got
        self.got.add(json.loads(got[len(b"event:message\ndata:"):])["message"])
        return "message"


class Publisher(threading.Thread):
    """Publishes numbers one after the other, on one connection or on one for each."""

    def __init__(self, port, channel, first, keep):
        super().__init__(daemon=True)
        self.port, self.channel, self.number, self.keep = port, channel, first, keep
        self.accepted, self.refused = set(), []
        self.leave = threading.Event()

    def run(self):
        connection = None
        while not self.leave.is_set():
            self.number += 1
            body = http1.post(json.dumps({"channel": self.channel, "message": self.number}))
            try:
                connection = connection or http1.Connection(self.port)
                answer = connection.send(body).read_answer()
                if answer.status == 202:
                    self.accepted.add(self.number)
                else:
                    self.refused.append((self.number, answer.status, answer.text))
            except (OSError, EOFError) as error:
                self.refused.append((self.number, repr(error)))
                connection = None
            if connection and not self.keep:
                connection.close()
                connection = None
            time.sleep(0.004)


def test_both_replicas_serve_behind_one_port(project):
    assert len(project.replicas()) == 2
    clients = [EventStream(project.port, "both") for _ in range(8)]
    try:
        assert all(client.raw() == HEARTBEAT for client in clients)
        wait_until(lambda: http1.publish(project.port, "both", 1).json == {"subscribers": 8}, "all are counted")
        # the fewest connections first: each has half of them
        for container in project.replicas():
            assert project.connections_of(container) == 4
    finally:
        for client in clients:
            client.close()


def test_a_replica_answers_operators_of_this_machine(project):
    assert http1.get(project.management, "/actuator/health").json["status"] == "UP"


def test_replicas_are_replaced_under_load_without_a_refusal_or_a_loss(project):
    crowd = [kind(project.port, "rolling") for kind in (WebSocketSubscriber, EventStreamSubscriber) for _ in range(10)]
    for subscriber in crowd:
        subscriber.start()
    assert all(subscriber.ready.wait(20) for subscriber in crowd)
    publishers = [Publisher(project.port, "rolling", first, keep) for first, keep in ((0, False), (1_000_000, True))]
    for publisher in publishers:
        publisher.start()
    before = project.replicas()
    for container in before:
        project.replace(container)
    assert not set(before) & set(project.replicas()) and len(project.replicas()) == 2
    for publisher in publishers:
        publisher.leave.set()
        publisher.join(20)
    accepted = set().union(*(publisher.accepted for publisher in publishers))
    wait_until(lambda: all(subscriber.got >= accepted or subscriber.errors for subscriber in crowd), "all is delivered", 15)
    for subscriber in crowd:
        subscriber.leave.set()
    assert [publisher.refused for publisher in publishers] == [[], []]
    assert [subscriber.errors for subscriber in crowd if subscriber.errors] == []
    assert all(subscriber.reconnects >= 1 for subscriber in crowd)
    print("%d messages to %d subscribers, %d reconnects" % (
        len(accepted), len(crowd), sum(subscriber.reconnects for subscriber in crowd)))


def test_prometheus_finds_each_replica(project):
    def targets():
        url = f"http://127.0.0.1:{project.prometheus}/api/v1/targets?state=active"
        with urllib.request.urlopen(url) as answer:
            text = answer.read()
        return [target for target in json.loads(text)["data"]["activeTargets"] if target["health"] == "up"]

    def names():
        return sorted(target["labels"]["job"] for target in targets())

    wait_until(lambda: names() == ["haproxy", "prometheus", "push", "push"], "all are scraped", 60)


def test_without_redis_push_is_not_ready_but_alive_and_comes_back(project):
    container = project.replicas()[0]

    def is_ready():
        return '"UP"' in project.docker("exec", container, "pushd", "--health", check=False)

    project("stop", "--timeout", "5", "redis")
    try:
        wait_until(lambda: not is_ready(), "it is not ready")
        assert '"UP"' in project.docker("exec", container, "pushd", "--health", "live")
        assert http1.publish(project.port, "a", 1).status == 503
    finally:
        project("up", "--detach", "--no-deps", "--no-recreate", "--wait", "redis")
    wait_until(lambda: http1.publish(project.port, "a", 1).status == 202, "publishing works again")
