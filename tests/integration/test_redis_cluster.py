"""A Redis Cluster of six: messages by slot, masters that die, slots that move, with and without sharded channels."""

import pytest

from http1 import publish
from ports import free_port
from reconcile import Reconciliation
from redis_nodes import node as start, readiness, two, ws
from redis_servers import Cluster, Subscriber, slot_of, wait_until

# channels of all three masters
LOAD = "load-%d"
CHANNELS = 6


@pytest.fixture(params=["off", "on"], ids=["plain", "sharded"])
def sharded(request):
    return request.param


@pytest.fixture
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture(scope="module")
def steady():
    """A cluster in which nothing is broken."""
    with Cluster() as running:
        yield running


def wait_well(node, servers=3):
    wait_until(lambda: node.metric("push_redis_servers_up") == node.metric("push_redis_servers") == servers,
               f"connected to {servers} servers")


def test_messages_of_all_slots_reach_clients_of_all_nodes_and_are_counted(steady, sharded):
    one, other = two(steady.url, PUSH_REDIS_SHARDED=sharded)
    with one, other:
        names = [f"slots-{i}" for i in range(60)]
        assert len({steady.owner(slot_of(name)).port for name in names}) == 3
        clients = [ws(one, ",".join(names)), ws(other, ",".join(names))]
        for number, name in enumerate(names):
            wait_until(lambda n=name: publish(one.port, n, "early").json["subscribers"] == 2, "both are counted")
            assert publish(other.port, name, number).json == {"subscribers": 2}
        for client in clients:
            seen = []
            while len(seen) < len(names):
                channel, message = client.message()
                if message != "early":
                    seen.append((channel, message))
            assert sorted(seen) == sorted(zip(names, range(len(names))))


def test_metrics_tell_which_servers_are_up_and_which_slots_nobody_serves(cluster, sharded):
    with start(cluster.url, PUSH_REDIS_SHARDED=sharded) as node:
        wait_well(node)
        assert f'push_redis_info{{topology="cluster",sharded="{sharded}"}} 1\n' in node.check_metrics()
        masters = {cluster.owner(slot).port for slot in (0, 8000, 16383)}
        assert all(node.metric(f'push_redis_server_up{{server="127.0.0.1:{port}"}}') == 1 for port in masters)
        assert node.metric("push_redis_slots_unserved") == 0
        victim = cluster.owner(0)
        victim.freeze()
        node.wait_metric(f'push_redis_server_up{{server="127.0.0.1:{victim.port}"}}', 0)
        assert 5000 < node.metric("push_redis_slots_unserved") < 6000
        victim.thaw()
        node.wait_metric("push_redis_slots_unserved", 0)


def test_names_with_braces_have_their_counts_too(steady, sharded):
    one, other = two(steady.url, PUSH_REDIS_SHARDED=sharded)
    with one, other:
        names = ("{a", "a}b", "{a}b", "{}c", "{{d}}", "}e{")
        clients = [ws(node, name) for name in names for node in (one, other)]
        for name in names:
            wait_until(lambda n=name: publish(one.port, n, 1).json == {"subscribers": 2}, "both are counted")
        assert len(clients) == 12


def test_plain_redis_clients_take_part(steady, sharded):
    publish_command, subscribe = ("SPUBLISH", "SSUBSCRIBE") if sharded == "on" else ("PUBLISH", "SUBSCRIBE")
    owner = steady.owner(slot_of("interop"))
    one, other = two(steady.url, PUSH_REDIS_SHARDED=sharded)
    with one, other, ws(one, "interop") as client, Subscriber(owner.port, "interop", subscribe) as plain:
        owner.command(publish_command, "interop", "from redis")
        assert client.message() == ("interop", "from redis")
        assert plain.message() == b"from redis"
        wait_until(lambda: publish(other.port, "interop", "from push").json == {"subscribers": 2}, "both are counted")
        assert client.message() == ("interop", "from push")
        assert plain.message() == b"from push"


def test_a_publish_at_any_server_of_the_cluster_reaches_clients(steady):
    """Of plain channels the cluster's bus carries what is published elsewhere."""
    with start(steady.url) as node, ws(node, "anywhere") as client:
        for number, server in enumerate(steady.nodes):
            server.command("PUBLISH", "anywhere", str(number))
        assert sorted(client.message()[1] for _ in steady.nodes) == [str(i) for i in range(6)]


def test_one_reachable_server_of_the_url_is_enough(steady):
    url = steady.url.replace("//", f"//127.0.0.1:{free_port()},127.0.0.1:{free_port()},")
    with start(url) as node:
        wait_well(node)


def test_the_origins_name_of_the_clusters_nodes(steady):
    nodes = steady.url.split("//")[1]
    with start("", SPRING_REDIS_CLUSTER_NODES=nodes) as node:
        assert publish(node.port, "a", 1).status == 202
        assert 'push_redis_info{topology="cluster",sharded="off"} 1' in node.check_metrics()


def test_a_killed_master_loses_nothing_without_a_gap(cluster, sharded):
    one, other = two(cluster.url, PUSH_REDIS_SHARDED=sharded)
    with one, other, Reconciliation([one, other], channels=CHANNELS, channel=LOAD) as load:
        for node in (one, other):
            wait_well(node)
        load.settle()
        cluster.kill_master(slot_of(LOAD % 0))
        for node in (one, other):
            wait_well(node)
        load.settle()
        assert readiness(one) == 200
    assert any(load.gaps)
    # clients of the other masters' channels are not disturbed
    assert not all(load.gaps)


def test_a_slot_that_moves_loses_nothing_without_a_gap(cluster, sharded):
    """What was published at the old server comes by the cluster's bus, too: without shards it may be late, or twice."""
    slot = slot_of(LOAD % 0)
    one, other = two(cluster.url, PUSH_REDIS_SHARDED=sharded)
    with one, other, Reconciliation([one, other], channels=CHANNELS, channel=LOAD, exact=sharded == "on") as load:
        for node in (one, other):
            wait_well(node)
        for _ in range(4):
            load.settle(20)
            target = next(node for node in cluster.nodes[:3] if node is not cluster.owner(slot))
            cluster.move_slot(slot, target)
            client_kind = "SHARDNUMSUB" if sharded == "on" else "NUMSUB"
            wait_until(lambda t=target: t.command("PUBSUB", client_kind, LOAD % 0)[1] == 2, "both nodes are subscribed there")
        load.settle()
    assert any(load.gaps) and not all(load.gaps)


def test_a_cluster_that_is_away_as_a_whole_is_found_again(cluster, sharded):
    one, other = two(cluster.url, PUSH_REDIS_SHARDED=sharded)
    with one, other, Reconciliation([one, other], channels=CHANNELS, channel=LOAD) as load:
        load.settle()
        for node in cluster.nodes:
            node.kill()
        wait_until(lambda: readiness(one) == 503, "readiness is DOWN")
        for node in cluster.nodes:
            node.start()
        cluster.wait_ok()
        for node in (one, other):
            wait_well(node)
            wait_until(lambda n=node: readiness(n) == 200, "readiness is UP")
        load.settle()
    assert all(load.gaps)
