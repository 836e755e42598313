"""Notices between nodes, by the engine alone (notice_node.c) and real servers: what one puts all get, now or later."""

import signal
import subprocess
import threading

import pytest

from redis_nodes import rights
from redis_servers import Cluster, RedisServer, Sentinels, wait_until
from server import BUILD

KEEPS_DATA = ("--appendonly", "yes", "--appendfsync", "always")


class Node:
    """One engine in a process of its own; `got` is what it has received so far."""

    def __init__(self, url, **options):
        options = {"push.redis.url": url, "push.redis.timeout": "2s", **options}
        self.process = subprocess.Popen([BUILD / "tests/integration/notice_node", *(f"{k}={v}" for k, v in options.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def got(self):
        return [line[4:] for line in list(self.lines) if line.startswith("got ")]

    @property
    def done(self):
        return [line[5:] for line in list(self.lines) if line.startswith("done ")]

    @property
    def is_ready(self):
        return [line for line in list(self.lines) if line in ("ready", "unready")][-1:] == ["ready"]

    def put(self, text, ttl_s=600):
        """What became of it."""
        count = len(self.done)
        self.process.stdin.write(f"put {ttl_s} {text}\n")
        wait_until(lambda: len(self.done) > count, f"the notice '{text}' is done")
        return self.done[count]

    def wait_ready(self):
        wait_until(lambda: self.is_ready, f"the node is ready: {self.lines}")
        return self

    def wait_got(self, *texts):
        wait_until(lambda: set(texts) <= set(self.got), f"{texts} have come: {self.lines}")
        assert sorted(self.got) == sorted(texts), "each once, and nothing else"

    def signal(self, number):
        self.process.send_signal(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(30)


def check_two_nodes_and_one_that_starts_later(url, **options):
    with Node(url, **options) as one, Node(url, **options) as other:
        one.wait_ready(), other.wait_ready()
        assert [one.put("a"), other.put("b"), one.put("gone", 0)] == ["ok"] * 3
        for each in (one, other):
            each.wait_got("a", "b", "gone")
        assert one.lines.index("got a") < one.lines.index("done ok"), "its own comes first"
        with Node(url, **options) as later:
            later.wait_ready()
            assert sorted(later.got) == ["a", "b"], "a node is ready when it has what is remembered"


@pytest.mark.parametrize("prefix", ["", "staging:"])
def test_a_notice_reaches_each_node_once_and_one_that_starts_later_before_it_is_ready(prefix):
    with RedisServer() as redis:
        check_two_nodes_and_one_that_starts_later(redis.url(), **{"push.redis.prefix": prefix})
        keys = redis.command("KEYS", "*notices*")
        assert keys == [f"{prefix}push:notices".encode()]
        assert redis.command("ZCARD", keys[0]) == 2


def test_in_a_cluster_with_shards_and_without():
    with Cluster() as cluster:
        for sharded in ("off", "on"):
            check_two_nodes_and_one_that_starts_later(
                cluster.url, **{"push.redis.sharded": sharded, "push.redis.prefix": sharded + ":"})


def test_a_node_that_was_stopped_gets_what_came_meanwhile():
    with RedisServer() as redis, Node(redis.url()) as one, Node(redis.url()) as other:
        one.wait_ready(), other.wait_ready()
        assert one.put("before") == "ok"
        other.wait_got("before")
        other.signal(signal.SIGSTOP)
        assert one.put("meanwhile") == "ok"
        # as if it had stood still for long: its connections are gone
        for kind in ("normal", "pubsub"):
            for line in redis.command("CLIENT", "LIST", "TYPE", kind).decode().splitlines():
                fields = dict(field.split("=", 1) for field in line.split())
                if fields["name"].startswith("push-"):
                    redis.command("CLIENT", "KILL", "ID", fields["id"])
        wait_until(lambda: one.lines.count("ready") >= 2 and one.is_ready, "the other one is back")
        assert one.put("last") == "ok"
        other.signal(signal.SIGCONT)
        other.wait_got("before", "meanwhile", "last")
        one.wait_got("before", "meanwhile", "last")


def test_while_redis_is_away_a_notice_fails_and_is_received_here_and_what_it_remembers_survives_its_restart():
    with RedisServer(*KEEPS_DATA) as redis, Node(redis.url()) as one, Node(redis.url()) as other:
        one.wait_ready(), other.wait_ready()
        assert one.put("before") == "ok"
        other.wait_got("before")
        redis.kill()
        assert one.put("alone") == "the broker cannot be reached"
        one.wait_got("before", "alone")
        redis.restart()
        wait_until(lambda: one.lines.count("ready") >= 2 and one.is_ready, "it is connected again")
        assert one.put("after") == "ok"
        other.wait_got("before", "after")
        with Node(redis.url()) as later:
            later.wait_ready().wait_got("before", "after")


def test_after_a_failover():
    with Sentinels() as servers, Node(servers.url) as one, Node(servers.url) as other:
        one.wait_ready(), other.wait_ready()
        assert one.put("before") == "ok"
        other.wait_got("before")
        wait_until(lambda: servers.other().command("ZCARD", "push:notices") == 1, "the replica has it")
        servers.master().kill()
        wait_until(lambda: one.put("again") == "ok", "the new master takes it", 60)
        wait_until(lambda: "again" in other.got, "the other node hears of it")
        with Node(servers.url) as later:
            wait_until(lambda: {"before", "again"} <= set(later.got), "what was remembered is remembered there")


def test_one_that_lasts_a_second_is_over_for_a_node_that_starts_a_minute_later():
    with RedisServer() as redis, Node(redis.url()) as one:
        one.wait_ready()
        assert [one.put("short", 1), one.put("long", 600)] == ["ok"] * 2
        key, server_s = "push:notices", int(redis.command("TIME")[0])
        scores = {text.split(b" ")[1]: int(redis.command("ZSCORE", key, text)) / 1000
                  for text in redis.command("ZRANGE", key, 0, -1)}
        assert scores[b"short"] < server_s + 2 and server_s + 500 < scores[b"long"] <= server_s + 602
        # what Redis remembers as over for a minute
        for text in redis.command("ZRANGE", key, 0, 0):
            redis.command("ZADD", key, (server_s - 61) * 1000, text)
        with Node(redis.url()) as later:
            later.wait_ready().wait_got("long")
        assert redis.command("ZCARD", key) == 1


def test_with_the_rights_that_the_manual_gives_and_without_them_a_node_is_not_ready():
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "push", "on", ">PASSWORD", *rights("revocations are shared"))
        url = redis.url("push:PASSWORD@")
        with Node(url) as one, Node(url) as other:
            one.wait_ready(), other.wait_ready()
            assert one.put("a") == "ok"
            other.wait_got("a")
            redis.command("ACL", "SETUSER", "push", "-zrevrange", "-zadd")
            assert one.put("b") == "the broker refused the message"
            with Node(url) as later:
                wait_until(lambda: any("refuses to read notices" in line for line in later.lines), "the log says why")
                assert not later.is_ready
                redis.command("ACL", "SETUSER", "push", "+zrevrange")
                later.wait_ready().wait_got("a")
