"""A Redis master with a replica and three sentinels: who is the master, failovers under load, sentinels that die."""

import pytest

from http1 import publish
from ports import free_port
from reconcile import Reconciliation
from redis_nodes import node as start, readiness, two
from redis_servers import RedisServer, Sentinels, wait_until

@pytest.fixture
def sentinels():
    with Sentinels() as running:
        yield running


def wait_connected(node, port):
    wait_until(lambda: any(f":{port}: connected" in line for line in node.process.lines), f"connected to {port}")
    wait_until(lambda: readiness(node) == 200, "readiness is UP")


def test_a_killed_master_is_followed_by_its_replica_and_nothing_is_lost_without_a_gap(sentinels):
    one, other = two(sentinels.url)
    with one, other, Reconciliation([one, other]) as load:
        load.settle()
        heir = sentinels.other().port
        sentinels.master().kill()
        sentinels.wait_for_master(heir)
        for node in (one, other):
            wait_connected(node, heir)
            assert node.metric('push_redis_info{topology="sentinel",sharded="off"}') == 1
            assert node.metric(f'push_redis_server_up{{server="127.0.0.1:{heir}"}}') == 1
        load.settle()
    assert load.refused > 0
    assert all(load.gaps)


def test_a_failover_that_an_operator_asks_for_loses_nothing_without_a_gap(sentinels):
    one, other = two(sentinels.url)
    with one, other, Reconciliation([one, other]) as load:
        load.settle()
        heir = sentinels.other().port
        sentinels.sentinels[0].command("SENTINEL", "FAILOVER", sentinels.NAME)
        sentinels.wait_for_master(heir)
        for node in (one, other):
            wait_connected(node, heir)
        load.settle()
    assert all(load.gaps)


def test_a_master_that_stands_still_is_left_and_not_believed_when_it_is_back(sentinels):
    one, other = two(sentinels.url)
    with one, other, Reconciliation([one, other]) as load:
        load.settle()
        old, heir = sentinels.master(), sentinels.other().port
        old.freeze()
        sentinels.wait_for_master(heir)
        old.thaw()
        for node in (one, other):
            wait_connected(node, heir)
        load.settle()
    assert all(load.gaps)


def test_sentinels_that_are_gone_or_know_nothing_are_passed_over(sentinels):
    with RedisServer(sentinel="") as ignorant:
        url = sentinels.url.replace("//", f"//127.0.0.1:{free_port()},127.0.0.1:{ignorant.port},")
        sentinels.sentinels[0].kill()
        with start(url) as node:
            assert publish(node.port, "a", 1).status == 202


def test_the_origins_names_of_sentinels_and_their_master(sentinels):
    nodes, name = sentinels.url.split("//")[1].split("/")
    with start("", SPRING_REDIS_SENTINEL_NODES=nodes, SPRING_REDIS_SENTINEL_MASTER=name) as node:
        assert publish(node.port, "a", 1).status == 202
        assert 'push_redis_info{topology="sentinel",sharded="off"} 1' in node.check_metrics()


def test_a_replica_is_never_taken_for_the_master(sentinels):
    """A sentinel that tells old news names a server that says itself that it is none."""
    replica = sentinels.other()
    lines = f"sentinel monitor {sentinels.NAME} 127.0.0.1 {replica.port} 2\n"
    with RedisServer(sentinel=lines) as liar:
        with start(f"redis+sentinel://127.0.0.1:{liar.port}/{sentinels.NAME}", wait=False) as node:
            node.process.wait_for("not a master but a")
            assert readiness(node) == 503


def test_a_name_that_no_sentinel_knows_is_said_so(sentinels):
    url = sentinels.url.replace("/" + sentinels.NAME, "/elsewhere")
    with start(url, wait=False) as node:
        node.process.wait_for("has no master named 'elsewhere'")
        assert readiness(node) == 503


def test_a_password_of_the_servers_is_not_wanted_by_the_sentinels():
    with Sentinels("--requirepass", "geheim", "--masterauth", "geheim",
                   sentinel_lines=f"sentinel auth-pass {Sentinels.NAME} geheim\n") as sentinels:
        with start(sentinels.url.replace("//", "//:geheim@")) as node:
            assert publish(node.port, "a", 1).status == 202
            assert "geheim" not in node.process.output()


def test_sentinels_with_a_password_get_it_too():
    with Sentinels("--requirepass", "geheim", "--masterauth", "geheim",
                   sentinel_lines=f"sentinel auth-pass {Sentinels.NAME} geheim\n") as sentinels:
        for each in sentinels.sentinels:
            each.command("ACL", "SETUSER", "default", "resetpass", ">geheim")
            each.password = "geheim"
        with start(sentinels.url.replace("//", "//:geheim@")) as node:
            assert publish(node.port, "a", 1).status == 202
