"""The network between one Push node and Redis is cut, packets and all: Redis has a network namespace of its own."""

import contextlib
import os
import subprocess
import time

import pytest

from http1 import get, publish
from reconcile import Reconciliation
from redis_nodes import node, readiness, ws
from redis_servers import RedisServer, wait_until


def ip(*words):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=True).stdout


class Namespace:
    """
    A network namespace with one cable for each of the names `ends`; the machine's end of a cable is 10.203.N.1, the
    namespace's is 10.203.N.2.  Cutting a cable drops packets without a word to either side.
    """

    def __init__(self, *ends):
        self.name = f"push-{os.getpid()}"
        self.cables = {end: (f"p{os.getpid() % 100000}{i}", 1 + (2 * os.getpid() + i) % 250) for i, end in enumerate(ends)}
        ip("netns", "add", self.name)
        try:
            for cable, number in self.cables.values():
                ip("link", "add", cable, "type", "veth", "peer", "name", "x" + cable, "netns", self.name)
                ip("address", "add", f"10.203.{number}.1/24", "dev", cable)
                ip("link", "set", cable, "up")
                ip("-n", self.name, "address", "add", f"10.203.{number}.2/24", "dev", "x" + cable)
                ip("-n", self.name, "link", "set", "x" + cable, "up")
            ip("-n", self.name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def address(self, end):
        return f"10.203.{self.cables[end][1]}.2"

    def cut(self, end):
        """The far end goes down: what leaves here is sent, and arrives nowhere."""
        ip("-n", self.name, "link", "set", "x" + self.cables[end][0], "down")

    def mend(self, end):
        ip("-n", self.name, "link", "set", "x" + self.cables[end][0], "up")

    @property
    def inside(self):
        return ["ip", "netns", "exec", self.name]

    def close(self):
        ip("netns", "del", self.name)
        for cable, _ in self.cables.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("link", "del", cable)


@pytest.fixture
def network():
    try:
        namespace = Namespace("one", "other")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    yield namespace
    namespace.close()


def subscribers(server):
    return publish(server.port, "count", 1).json["subscribers"]


def test_a_node_that_is_partitioned_from_redis_refuses_and_tells_its_clients_while_others_go_on(network):
    with RedisServer(inside=network.inside, host=network.address("other")) as redis:
        one, other = (node(f"redis://{network.address(end)}:{redis.port}") for end in ("one", "other"))
        with one, other, ws(one, "count"), ws(other, "count"), Reconciliation([one, other]) as load:
            wait_until(lambda: subscribers(other) == 2, "both are counted")
            load.settle()
            network.cut("one")
            wait_until(lambda: readiness(one) == 503, "readiness of the one is DOWN", 10)
            assert readiness(other) == 200
            assert get(one.management, "/actuator/health/liveness").status == 200
            started = time.monotonic()
            answer = publish(one.port, "elsewhere", 1)
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            assert time.monotonic() - started < 3
            # though Redis still takes the dead connection for one that receives
            wait_until(lambda: subscribers(other) == 1, "its clients count no more", 10)
            network.mend("one")
            wait_until(lambda: readiness(one) == 200, "readiness of the one is UP", 20)
            wait_until(lambda: subscribers(other) == 2, "they count again", 10)
            load.settle()
        assert load.refused > 0
        # four WebSockets and an SSE stream at each
        assert all(load.gaps[:5]) and not any(load.gaps[5:])
