"""Redis goes away, stands still, refuses, lies or is flooded, under load; what was acknowledged is reconciled."""

import json
import subprocess
import sys
import threading
import time

import pytest

from http1 import get, post, publish, request
from reconcile import Reconciliation
from redis_nodes import node as start, readiness, two, ws
from redis_servers import Proxy, RedisServer, program, wait_until
from server import SANITIZED
from sseclient import EventStream
from wsclient import TEXT, frame

@pytest.fixture
def redis():
    with RedisServer() as running:
        yield running


def outage(redis_url, begin, end, **settings):
    """Load on two nodes while Redis is away; returns the reconciled load."""
    one, other = two(redis_url, **settings)
    with one, other, Reconciliation([one, other]) as load:
        load.settle()
        begin()
        for node in (one, other):
            wait_until(lambda n=node: readiness(n) == 503, "readiness is DOWN", 10)
        for node in (one, other):
            assert get(node.management, "/actuator/health/liveness").status == 200
            started = time.monotonic()
            answer = publish(node.port, "elsewhere", 1)
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            assert "broker" in answer.error
            assert time.monotonic() - started < 3
        end()
        for node in (one, other):
            wait_until(lambda n=node: readiness(n) == 200, "readiness is UP", 10)
        load.settle()
        # the end of the load is published after the last gap
        for node in (one, other):
            wait_until(lambda n=node: n.metric("push_redis_servers_up") == 1, "both connections are back", 10)
    return load


def test_redis_killed_and_restarted_under_load_loses_nothing_without_a_gap(redis):
    load = outage(redis.url(), redis.kill, redis.start)
    assert load.refused > 0
    assert load.gaps == [1] * len(load.gaps)


def test_a_redis_that_stands_still_is_noticed_and_loses_nothing_without_a_gap(redis):
    load = outage(redis.url(), redis.freeze, redis.thaw)
    assert load.refused > 0
    assert all(load.gaps)


def test_a_peer_that_vanishes_without_a_word_is_noticed(redis):
    proxy = Proxy(redis.port)

    def vanish():
        proxy.black_hole = True

    def come_back():
        proxy.black_hole = False

    load = outage(f"redis://127.0.0.1:{proxy.port}", vanish, come_back)
    assert all(load.gaps)
    proxy.close()


def test_a_short_stand_still_is_no_loss(redis):
    one, other = two(redis.url(), PUSH_REDIS_TIMEOUT="10s")
    with one, other, Reconciliation([one, other]) as load:
        load.settle()
        redis.freeze()
        time.sleep(0.5)
        redis.thaw()
        load.settle()
    assert load.refused == 0 and not any(load.gaps) and load.missed == 0


def test_subscriptions_that_are_cut_are_made_again_with_a_gap(redis):
    one, other = two(redis.url())
    with one, other, Reconciliation([one, other]) as load:
        for _ in range(5):
            load.settle(10)
            assert redis.command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        load.settle()
    assert load.refused == 0 and all(load.gaps)


def test_commands_that_are_cut_are_an_error_or_acknowledged_and_never_repeated(redis):
    one, other = two(redis.url())
    with one, other, Reconciliation([one, other], pause=0) as load:
        for _ in range(10):
            load.settle(20)
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        load.settle()
    assert load.missed == 0  # or it was published twice, which leaving checks


def test_a_publish_whose_answer_is_lost_is_an_error_that_says_so_and_is_not_repeated(redis):
    proxy = Proxy(redis.port)
    with start(f"redis://127.0.0.1:{proxy.port}") as node, redis.subscribe("lost") as plain:
        proxy.cut_after_publish = "lost"
        answer = publish(node.port, "lost", "once")
        assert answer.status == 503 and "may have been published" in answer.error
        assert int(answer.headers["retry-after"]) >= 1
        wait_until(lambda: publish(node.port, "lost", "again").status == 202, "it works again")
        assert [plain.message(), plain.message()] == [b"once", b"again"]
        assert node.metric("push_redis_publishes_uncertain_total") == 1
    proxy.close()


def test_a_publish_waits_a_little_for_redis_to_come_back(redis):
    with start(redis.url(), PUSH_REDIS_PUBLISH_WAIT="10s") as node:
        client = ws(node, "patience")
        redis.kill()
        wait_until(lambda: node.metric("push_redis_servers_up") == 0, "the loss is noticed")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(publish(node.port, "patience", "late")))
        thread.start()
        wait_until(lambda: node.metric("push_redis_publishes_waiting") == 1, "it waits")
        redis.start()
        thread.join(15)
        assert answers[0].status == 202
        assert client.next()[1] in (b'{"event":"gap","data":{}}', b'{"event":"message","data":{"channel":"patience","message":"late"}}')


def test_a_subscription_that_delivers_nothing_is_noticed_and_repaired(redis):
    proxy = Proxy(redis.port)
    # not so impatient that a busy machine's pause is taken for a dead server, and ends the deaf connection first
    with start(f"redis://127.0.0.1:{proxy.port}", PUSH_REDIS_TIMEOUT="5s") as node:
        with ws(node, "deaf") as client, EventStream(node.port, "deaf") as stream:
            stream.raw()
            proxy.make_deaf()
            assert publish(node.port, "deaf", "swallowed").status == 202
            node.process.wait_for("deliver nothing", 20)
            assert client.event() == {"event": "gap", "data": {}}
            assert stream.next() == b"event:gap\ndata:{}\n\n"
            assert publish(node.port, "deaf", "heard").status == 202
            assert client.message() == ("deaf", "heard")
            assert stream.message() == ("deaf", "heard")
            assert node.metric("push_redis_probes_lost_total") >= 3
            assert proxy.swallowed
    proxy.close()


def test_who_has_moved_from_a_node_that_was_deaf_is_told_of_the_gap_at_the_new_one(redis):
    """As documented: a new connection, its first heartbeat, and only then the end of the old one; without history."""
    proxy = Proxy(redis.port)
    with start(redis.url()) as new, ws(new, "moves") as settled, \
            start(f"redis://127.0.0.1:{proxy.port}", PUSH_REDIS_TIMEOUT="30s") as old:
        client = ws(old, "moves")
        assert new.publish("moves", 1).status == 202
        assert client.message() == settled.message() == ("moves", 1)
        proxy.make_deaf()
        assert new.publish("moves", 2).status == 202  # which the old one does not hear
        assert settled.message() == ("moves", 2)
        moved = ws(new, "moves")
        client.close()
        old.process.wait_for("subscriptions deliver nothing")
        assert moved.event() == {"event": "gap", "data": {}}
        assert new.publish("moves", 3).status == 202
        assert moved.message() == settled.message() == ("moves", 3)  # who was here all the while missed nothing
        moved.close()
    proxy.close()


def test_a_node_starts_before_redis_does(redis):
    redis.kill()
    with start(redis.url(), wait=False) as node:
        node.process.wait_for("Push is running, but not ready: Redis .* cannot be reached: .*refused")
        assert readiness(node) == 503
        assert get(node.management, "/actuator/health").status == 503
        assert "Push is ready" not in node.process.output()
        client = ws(node, "early")  # it does not hang
        redis.start()
        node.process.wait_for("Push is ready")
        assert readiness(node) == 200
        assert client.event() == {"event": "gap", "data": {}}
        assert publish(node.port, "early", 1).json == {"subscribers": 1}
        assert client.message() == ("early", 1)


def test_a_subscription_that_is_not_allowed_holds_up_nobody_and_is_named(redis):
    redis.command("ACL", "SETUSER", "default", "resetchannels", "&free:*", "&\x1epush:*")
    with start(redis.url()) as node:
        denied, free = ws(node, "denied,free:b"), ws(node, "free:a")
        node.process.wait_for("NOPERM")
        assert publish(node.port, "free:a", 1).status == 202
        assert free.message() == ("free:a", 1)
        answer = publish(node.port, "denied", 1)
        assert answer.status == 503 and "refused" in answer.error
        redis.command("ACL", "SETUSER", "default", "allchannels")
        assert denied.event() == {"event": "gap", "data": {}}
        assert publish(node.port, "denied", 2).status == 202
        assert denied.message() == ("denied", 2)
        assert len([line for line in node.process.lines if "NOPERM" in line]) <= 3


def test_a_redis_without_memory_still_carries_messages(redis):
    redis.command("CONFIG", "SET", "maxmemory", "1")
    with start(redis.url()) as node, ws(node, "full") as client:
        assert publish(node.port, "full", 1).status == 202
        assert client.message() == ("full", 1)


def test_a_redis_that_forgets_everything_is_told_the_counts_again(redis):
    with start(redis.url()) as one, start(redis.url()) as other:
        clients = [ws(one, "forgotten"), ws(other, "forgotten")]
        redis.restart()
        wait_until(lambda: publish(one.port, "forgotten", 1).json.get("subscribers") == 2, "both are counted")
        assert len(clients) == 2


def test_ten_thousand_channels_are_subscribed_again_within_two_seconds(redis):
    with start(redis.url(), PUSH_CHANNELS_MAX=128) as node:
        names = [[f"many-{i}-{j}" for j in range(125)] for i in range(80)]
        clients = [EventStream(node.port, ",".join(each)) for each in names]
        for client in clients:
            client.raw()
        redis.kill()
        wait_until(lambda: readiness(node) == 503, "readiness is DOWN")
        redis.start()
        for client in clients:
            assert client.next() == b"event:gap\ndata:{}\n\n"
        wait_until(lambda: int(redis.command("INFO", "clients") and len(redis.command("PUBSUB", "CHANNELS", "many-*"))) == 10_000,
                   "all are subscribed")
        assert 0 < node.metric("push_redis_resubscribe_seconds") < (10 if SANITIZED else 2)
        for client, each in zip(clients, names):
            redis.command("PUBLISH", each[-1], "back")
            event = client.next()
            while event == b"event:gap\ndata:{}\n\n":
                event = client.next()
            assert b'"back"' in event


COPY = """
import socket, sys
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
stream.sendall(f"GET /sse/messages?channels={sys.argv[2]} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
while piece := stream.recv(1 << 20):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
"""


def test_a_foreign_publisher_at_full_speed_takes_nobody_down(redis, tmp_path):
    path, env = program("redis-benchmark")
    patient = {"PUSH_REDIS_TIMEOUT": "3s", "PUSH_REDIS_PUBLISH_WAIT": "3s", "PUSH_CLIENT_QUEUE_MAX_SIZE": "8mb"}
    got = tmp_path / "got"
    with start(redis.url(), **patient) as node, ws(node, "calm") as calm, got.open("wb") as output:
        stuck = EventStream(node.port, "flood")
        # a process of its own, since a thread of this one would be too slow when the machine is busy; and not curl, which
        # writes each chunk by itself
        reader = subprocess.Popen([sys.executable, "-c", COPY, str(node.port), "flood"], stdout=output)
        node.wait_metric("push_subscriptions", 3)
        flood = subprocess.Popen([path, "-p", str(redis.port), "-n", "100000", "-P", "64", "-q", "PUBLISH", "flood", "x" * 100],
                                 env=env, stdout=subprocess.DEVNULL)
        number = 0
        while flood.poll() is None or number < 10:
            assert publish(node.port, "calm", number).status == 202
            assert calm.message() == ("calm", number)
            assert readiness(node) == 200
            number += 1
        wait_until(lambda: got.read_bytes().count(b"event:message") >= 100_000, "all has come", 60)
        reader.terminate()
        reader.wait()
        assert stuck.is_closed()  # it was too slow, and nobody else was the worse for it


def test_a_flood_of_a_channel_that_nobody_listens_to_any_more_is_left_behind(redis):
    path, env = program("redis-benchmark")
    with start(redis.url()) as node:
        ws(node, "gone").close()
        subprocess.run([path, "-p", str(redis.port), "-n", "200000", "-P", "64", "-q", "PUBLISH", "gone", "x" * 100], env=env,
                       stdout=subprocess.DEVNULL, check=True)
        wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "gone")[1] == 0, "it is not subscribed any more", 15)
        assert readiness(node) == 200


# --- numbers of clients

def forget(redis, how, channel):
    if how == "FLUSHALL":
        redis.command("FLUSHALL")
    elif how == "DEL":
        redis.command("DEL", "push:clients:" + channel)
    else:
        for node in redis.command("HKEYS", "push:clients:" + channel):
            redis.command("HSET", "push:clients:" + channel, node, 17)


@pytest.mark.parametrize("how", ["FLUSHALL", "DEL", "another value"])
def test_a_number_of_clients_that_redis_has_lost_is_right_again_within_seconds(redis, how):
    channel = "lost-" + how.replace(" ", "-")
    with start(redis.url()) as one, start(redis.url()) as other:
        clients = [ws(other, channel) for _ in range(3)]
        wait_until(lambda: publish(one.port, channel, 0).json["subscribers"] == 3, "they are counted")
        forget(redis, how, channel)
        wait_until(lambda: publish(one.port, channel, 1).json["subscribers"] == 3, "they are counted again")
        assert other.metric("push_redis_counts_forgotten_total") >= 1
        answer = request(one.port, post(json.dumps({"channel": channel, "message": 2}), path="/messages?wait=written"))
        assert answer.json == {"subscribers": 3, "written": 3}
        assert len(clients) == 3


def test_a_number_of_clients_that_redis_has_no_memory_for_is_told_when_it_has(redis):
    with start(redis.url()) as one, start(redis.url()) as other:
        redis.command("CONFIG", "SET", "maxmemory", "1")
        clients = [ws(other, "no-room") for _ in range(3)]
        other.process.wait_for("refuses to store a subscriber count: OOM")
        redis.command("CONFIG", "SET", "maxmemory", "0")
        wait_until(lambda: publish(one.port, "no-room", 1).json["subscribers"] == 3, "they are counted")
        assert len(clients) == 3


def test_clients_that_leave_while_redis_is_away_are_not_counted_when_it_is_back(redis):
    proxy = Proxy(redis.port)
    with start(redis.url()) as one, start(f"redis://127.0.0.1:{proxy.port}") as other:
        clients = [ws(other, "left") for _ in range(3)]
        wait_until(lambda: publish(one.port, "left", 0).json["subscribers"] == 3, "they are counted")
        proxy.black_hole = True
        wait_until(lambda: other.metric("push_redis_servers_up") == 0, "it is noticed")
        for client in clients:
            client.close()
        other.wait_metric("push_subscriptions", 0)
        time.sleep(6)  # nobody lingers for them any more
        proxy.black_hole = False
        wait_until(lambda: publish(one.port, "left", 1).json["subscribers"] == 0, "they are forgotten", 30)
        wait_until(lambda: not redis.command("HGETALL", "push:clients:left"), "nothing stays of them", 30)
    proxy.close()


def test_the_number_of_clients_of_a_channel_that_is_used_does_not_expire(redis):
    with start(redis.url()) as node, ws(node, "flapping"):
        wait_until(lambda: redis.command("HVALS", "push:clients:flapping") == [b"1"], "it is counted")
        redis.command("EXPIRE", "push:clients:flapping", 60)
        with ws(node, "flapping"):
            wait_until(lambda: redis.command("HVALS", "push:clients:flapping") == [b"2"], "it is counted")
            wait_until(lambda: redis.command("TTL", "push:clients:flapping") > 60, "its time begins anew")


def test_one_look_that_fails_does_not_stop_the_others(redis):
    with start(redis.url()) as one, start(redis.url()) as other, ws(other, "odd"), ws(other, "even"):
        for name in ("odd", "even"):
            wait_until(lambda: redis.command("HVALS", f"push:clients:{name}") == [b"1"], "it is counted")
        redis.command("DEL", "push:clients:odd")
        redis.command("SET", "push:clients:odd", "text")
        wait_until(lambda: publish(one.port, "odd", 1) and "to read a subscriber count" in other.process.output(),
                   "a look is refused")
        redis.command("DEL", "push:clients:odd", "push:clients:even")
        wait_until(lambda: publish(one.port, "even", 1) and redis.command("HVALS", "push:clients:even") == [b"1"],
                   "it is counted again", 30)


def test_while_redis_refuses_numbers_of_clients_one_is_tried_at_a_time(redis):
    names = [f"crowd{i}" for i in range(100)]
    with start(redis.url()) as other:
        redis.command("CONFIG", "SET", "maxmemory", "1")
        with ws(other, "first"):
            other.process.wait_for("refuses to store a subscriber count: OOM")
            with ws(other, ",".join(names)):
                before = other.metric("push_redis_command_errors_total")
                wait_until(lambda: other.metric("push_redis_command_errors_total") >= before + 2, "two were tried", 60)
                assert other.metric("push_redis_command_errors_total") < before + 50
                redis.command("CONFIG", "SET", "maxmemory", "0")
                for name in (names[0], names[-1]):
                    wait_until(lambda: redis.command("HVALS", f"push:clients:{name}") == [b"1"], "it is counted", 30)


@pytest.mark.parametrize("is_held", [False, True], ids=["gone", "held"])
def test_a_number_of_its_own_that_a_node_has_not_told_is_corrected(redis, is_held):
    """What a server has that was promoted before an HDEL came."""
    channel = f"stale-{is_held}"
    key = "push:clients:" + channel
    with start(redis.url()) as one, start(redis.url()) as two:
        with ws(one, channel):
            wait_until(lambda: redis.command("HKEYS", key), "it is counted")
            own = redis.command("HKEYS", key)[0]
            if is_held:
                redis.command("HSET", key, own, 5)
                assert publish(one.port, channel, 1).json["subscribers"] == 1
                wait_until(lambda: redis.command("HGET", key, own) == b"1", "it is corrected")
        wait_until(lambda: not redis.command("HKEYS", key), "it is cleared", 30)
        one.wait_metric("push_subscriptions", 0)
        with ws(two, channel):
            redis.command("HSET", key, own, 5)
            assert publish(one.port, channel, 1).status == 202
            wait_until(lambda: redis.command("HGET", key, own) is None, "it is corrected")
            wait_until(lambda: publish(two.port, channel, 1).json["subscribers"] == 1, "it is right everywhere")


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside another one"])
def test_a_number_of_a_node_that_lives_and_does_not_receive_the_channel_is_corrected(redis, others):
    """What a server has that was promoted before an HDEL came; the node never publishes there itself."""
    with start(redis.url()) as one, start(redis.url()) as two, ws(one, "stale" if others else "none"), ws(two, "else"):
        wait_until(lambda: redis.command("HKEYS", "push:clients:else"), "the node is known by its number")
        stale = redis.command("HKEYS", "push:clients:else")[0]
        redis.command("HSET", "push:clients:stale", stale, 5)
        wait_until(lambda: publish(one.port, "stale", 1).json["subscribers"] == 5 + others, "it is taken for one that lives")
        wait_until(lambda: publish(one.port, "stale", 1).json["subscribers"] == others, "it is corrected")
        assert redis.command("HGET", "push:clients:stale", stale) is None
        assert publish(one.port, "else", 1).json["subscribers"] == 1


def test_whoever_asks_a_node_to_look_at_its_numbers_of_clients_takes_nothing_away_and_nothing_down(redis):
    """Anybody with access to Redis may."""
    names = ["", " ", "room", "x" * 255, "x" * 256, "x" * 70000, "\x1epush:nodes", "\x1e", "{a}room", "\xff\xfe", "a b\0c"]
    with start(redis.url()) as node, ws(node, "room") as client:
        wait_until(lambda: redis.command("HVALS", "push:clients:room") == [b"1"], "it is counted")
        for name in names:
            redis.command("PUBLISH", "\x1epush:nodes", f"#0123456789abcdef {name}")
            time.sleep(0.02)  # what comes within 10 ms is passed over
        redis.command("PUBLISH", "\x1epush:nodes", "#0123456789abcdef")
        wait_until(lambda: command_calls(redis, "hdel") >= 2, "channels that it has not are looked at")
        assert publish(node.port, "room", 1).json == {"subscribers": 1}
        assert client.message() == ("room", 1)
        assert redis.command("HVALS", "push:clients:room") == [b"1"] and "node 0123456789abcdef" not in node.process.output()


# --- ever new channels

def command_calls(redis, *names):
    stats = redis.command("INFO", "commandstats").decode()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats.splitlines()
               if line.split(":")[0] in ["cmdstat_" + name for name in names])


def through_channels(client, count):
    """60 new names a message, and the next one leaves them."""
    names = []
    for i in range(count):
        frames = b""
        if names:
            frames += frame(TEXT, json.dumps({"event": "unsubscribe", "data": {"channels": names}}).encode())
        names = [f"new-{i}-{j}" for j in range(60)]
        client.send(frames + frame(TEXT, json.dumps({"event": "subscribe", "data": {"channels": names}}).encode()))
    return names


def test_a_client_that_goes_through_channels_costs_redis_hardly_any_bookkeeping(redis):
    with start(redis.url(), PUSH_CLIENT_QUEUE_MAX_SIZE="16mb") as node:
        client = ws(node, "start")

        def read():
            while client.socket.recv(1 << 20):
                pass

        threading.Thread(target=read, daemon=True).start()
        last = through_channels(client, 500)
        wait_until(lambda: command_calls(redis, "publish") and redis.command("PUBSUB", "NUMSUB", last[-1])[1] == 1, "the last one is subscribed")
        assert node.metric("push_pauses_total") >= 1
        assert command_calls(redis, "hset", "hdel", "expire") < 500 * 60 / 2
        wait_until(lambda: len(redis.command("PUBSUB", "CHANNELS", "new-*")) == 60, "the others are not")
        assert publish(node.port, last[-1], 1).json == {"subscribers": 1}


def test_a_client_is_not_read_from_while_too_many_of_its_channels_are_unconfirmed(redis):
    with start(redis.url(), PUSH_REDIS_TIMEOUT="60s") as node:
        client = ws(node, "start")
        redis.freeze()
        try:
            last = through_channels(client, 3)
            node.wait_metric("push_paused_clients", 1)
        finally:
            redis.thaw()
        node.wait_metric("push_paused_clients", 0)
        wait_until(lambda: redis.command("PUBSUB", "NUMSUB", last[0])[1] == 1, "it is read from again")


def health(node):
    answer = get(node.management, "/actuator/health")
    return answer.status, answer.json.get("reason", "")


def refuse_publishes(node, count=3, **more):
    for _ in range(count):
        answer = publish(node.port, "refused", 1, **more)
        assert answer.status == 503 and "refused" in answer.error


def test_health_is_down_while_redis_refuses_every_publish_and_readiness_is_not(redis):
    """A balancer that takes all nodes away would leave clients without subscriptions and publishers without an answer."""
    with start(redis.url()) as node, ws(node, "refused") as client:
        assert health(node) == (200, "")
        redis.command("ACL", "SETUSER", "default", "-publish", "-eval", "-evalsha")
        refuse_publishes(node)
        status, reason = health(node)
        assert status == 503 and "refuses publishes: NOPERM" in reason
        assert node.metric("push_broker_up") == 0
        assert readiness(node) == 200
        redis.command("ACL", "SETUSER", "default", "+@all")
        assert publish(node.port, "refused", 2).status == 202
        assert client.message() == ("refused", 2)
        assert health(node) == (200, "") and node.metric("push_broker_up") == 1


def keyed(node, key):
    return request(node.port, post('{"channel":"keyed","message":1}', headers=[f"Idempotency-Key: {key}"]))


def test_health_is_down_while_redis_refuses_every_publish_with_a_key(redis):
    with start(redis.url()) as node:
        redis.command("CONFIG", "SET", "maxmemory", "1")
        for i in range(3):
            assert keyed(node, f"refused{i}").status == 503
        status, reason = health(node)
        assert status == 503 and "refuses publishes with an Idempotency-Key: OOM" in reason
        assert node.metric("push_broker_up") == 0 and readiness(node) == 200
        assert publish(node.port, "keyed", 1).status == 202
        assert health(node)[0] == 503  # which says nothing of those with a key
        redis.command("CONFIG", "SET", "maxmemory", "0")
        assert keyed(node, "accepted").status == 202
        assert health(node) == (200, "") and node.metric("push_broker_up") == 1


def test_a_channel_whose_history_cannot_be_written_says_nothing_of_the_broker(redis):
    with start(redis.url(), PUSH_HISTORY_SIZE=20) as node:
        redis.command("SET", "push:history:bad", "text")
        for _ in range(4):
            assert publish(node.port, "bad", 1).status == 503
        assert health(node) == (200, "")
        assert publish(node.port, "good", 1).status == 202


def test_what_is_refused_for_its_channel_says_nothing_of_the_broker(redis):
    redis.command("ACL", "SETUSER", "default", "resetchannels", "&free:*", "&\x1epush:*")
    with start(redis.url()) as node:
        refuse_publishes(node, 10)
        assert health(node) == (200, "") and node.metric("push_broker_up") == 1
        assert publish(node.port, "free:a", 1).status == 202


@pytest.mark.parametrize("history", [{}, {"PUSH_HISTORY_SIZE": 10}], ids=["without", "with"])
def test_publishes_go_on_and_health_is_up_while_redis_can_only_not_write(redis, history):
    """Over its memory without eviction, and with a disk that cannot be written."""
    with start(redis.url(), **history) as node, ws(node, "full") as client:
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.command("CONFIG", "SET", "maxmemory", "1")
        for n in range(5):
            assert publish(node.port, "full", n).status == 202
        assert health(node) == (200, "") and readiness(node) == 200 and node.metric("push_broker_up") == 1
        messages = []
        while len(messages) < 5:
            event = client.event()
            assert event["event"] in ("message", "gap")
            messages += [event["data"]["message"]] if event["event"] == "message" else []
        assert messages == list(range(5))
        redis.command("CONFIG", "SET", "maxmemory", "0")
