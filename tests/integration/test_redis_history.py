"""History that Redis keeps: a client that comes back, at whichever node, has what it missed or is told of the gap."""

import itertools
import json
import ssl
import threading
import time

import pytest

from h2client import H2, make_certificate
from http1 import Connection, get, post, publish, request
from ports import free_port
from redis_nodes import IMPATIENT, node, readiness, ws
from redis_servers import Client, Cluster, RedisServer, Sentinels, slot_of, wait_until
from resuming import READERS, SseReader, gap, message, resumed
from server import SANITIZED
from test_tls import VHOST

names = (f"room-{i}" for i in itertools.count())
KEPT = {"PUSH_HISTORY_SIZE": 20, "PUSH_HISTORY_TTL": "1m", "PUSH_HISTORY_RULES": "short:=3 brief:=10/1s off:=0 big:=2000",
        "PUSH_RECONNECT_DITHER_MIN_DURATION": "1h", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1h"}


def two(url, **more):
    return node(url, **KEPT, **more), node(url, **KEPT, **more)


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis):
    one, other = two(redis.url())
    with one, other:
        yield one, other


@pytest.fixture
def room():
    return next(names)


@pytest.fixture(params=READERS)
def come(request):
    """come(node, channels, last_id): a client of each transport."""
    opened = []

    def open_one(at, channels, last_id=None):
        opened.append(READERS[request.param](at.port, channels, last_id))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


def test_a_client_that_comes_back_at_another_node_gets_what_it_missed_and_then_goes_on(nodes, come, room):
    one, other = nodes
    first = come(one, room)
    first.position()
    other.publish(room, 1)
    assert first.next() == message(room, 1)
    first.close()
    one.publish(room, "two")
    other.publish(room, {"three": 3})
    again = come(other, room, first.id)
    assert [again.next() for _ in range(3)] == [message(room, "two"), message(room, {"three": 3}), resumed(2)]
    one.publish(room, 4)
    assert again.next() == message(room, 4)


def test_a_client_that_has_received_nothing_has_a_position(nodes, come, room):
    one, other = nodes
    first = come(one, room)
    position = first.position()
    first.close()
    one.publish(room, 1)
    again = come(other, room, position)
    assert [again.next(), again.next()] == [message(room, 1), resumed(1)]


def test_one_id_resumes_all_channels_in_the_order_of_publishing(nodes, come, room):
    one, other = nodes
    channels = f"{room}-a,{room}-b,{room}-c"
    position = come(one, channels).position()
    for i in range(9):
        nodes[i % 2].publish(f"{room}-{'abc'[i % 3]}", i)
    again = come(other, channels, position)
    assert [again.next() for _ in range(10)] == [message(f"{room}-{'abc'[i % 3]}", i) for i in range(9)] + [resumed(9)]


def test_a_quiet_channel_is_no_gap(nodes, come, room):
    """Others have moved the partition on, and no node has a window of this one."""
    one, other = nodes
    position = come(one, f"{room}-quiet").position()
    for i in range(50):
        one.publish(f"{room}-loud-{i}", i)
    again = come(other, f"{room}-quiet", position)
    assert again.next() == resumed(0)


def test_what_has_left_is_a_gap_with_all_that_there_is(nodes, come, room):
    one, other = nodes
    channel = "short:" + room
    first = come(one, channel)
    first.position()
    one.publish(channel, 0)
    assert first.next() == message(channel, 0)
    first.close()
    for i in range(1, 6):
        other.publish(channel, i)
    again = come(other, channel, first.id)
    event, data = again.next()
    assert event == "gap" and data["channel"] == channel and data["missed"] in (2, "unknown")
    assert [again.next() for _ in range(3)] == [message(channel, i) for i in (3, 4, 5)]


def test_messages_that_are_too_old_are_a_gap(nodes, redis, come, room):
    one, other = nodes
    channel = "brief:" + room
    position = come(one, channel).position()
    one.publish(channel, 1)
    with redis.client() as client:
        wait_until(lambda: not client.command("EXISTS", "push:history:" + channel), "it has expired")
    again = come(other, channel, position)
    assert again.next() == gap(channel)


@pytest.mark.parametrize("last_id", ["nonsense", "0.1.zzz", "%25%22%7B", "x" * 2000])
def test_an_id_from_outside_is_never_trusted(nodes, come, room, last_id):
    one, _ = nodes
    client = come(one, room, last_id)
    assert client.next() == gap(room)
    one.publish(room, "live")
    assert client.next() == message(room, "live")


@pytest.mark.parametrize("history", ["", "off:"], ids=["history", "no history"])
@pytest.mark.parametrize("kind", READERS)
def test_what_is_published_once_the_head_of_the_response_has_come_arrives(nodes, kind, history):
    """`onopen` fires at the head, and a page fetches the state it shows then."""
    one, other = nodes
    for i in range(40):
        room = history + next(names)
        client = READERS[kind](one.port, room)
        nodes[i % 2].publish(room, i)
        assert client.next() == message(room, i)
        client.close()


def test_over_tls_and_http2_the_head_of_an_event_stream_says_so_too(redis, tmp_path):
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    tls = VHOST.replace("http/1.1", "h2,http/1.1") % (port, certificate, key)
    context = ssl.create_default_context(cafile=certificate)
    with node(redis.url(), conf_d={"30-tls": tls}, **KEPT) as one:
        for _ in range(20):
            room = next(names)
            client = SseReader(port, room, wrap=lambda plain: context.wrap_socket(plain, server_hostname="localhost"))
            one.publish(room, 1)
            assert client.next() == message(room, 1)
            client.close()
            room = next(names)
            with H2(port, certificate) as h2:
                stream = h2.get(f"/sse/messages?channels={room}")
                assert stream.status == 200
                one.publish(room, 2)
                stream.wait(lambda: b'"message":2' in stream.data)


@pytest.mark.parametrize("kind", READERS)
def test_the_head_does_not_wait_for_a_redis_that_stands_still_or_is_away(room, kind):
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        redis.freeze()
        gone = [Connection(one.port) for _ in range(20)]
        for i, each in enumerate(gone):
            each.send(f"GET /sse/messages?channels={room}-{i} HTTP/1.1\r\nHost: test\r\n\r\n")
        one.wait_metric("sse_connections_count", 20)
        for each in gone:
            each.close()
        one.wait_metric("sse_connections_count", 0)  # they leave before they have begun
        client = READERS[kind](one.port, room)
        redis.thaw()
        wait_until(lambda: readiness(one) == 200, "readiness is UP")
        client.position()  # with it the stream begins: what is published before is before it
        one.publish(room, 1)
        while client.next() != message(room, 1):
            pass
        client.close()
        redis.kill()
        wait_until(lambda: readiness(one) == 503, "readiness is DOWN")
        READERS[kind](one.port, room + "-2").close()


@pytest.mark.parametrize("of", ["this epoch", "an epoch to come", "the largest numbers"])
def test_an_id_ahead_of_what_was_numbered_is_a_gap_and_nothing_published_since_is_missed(nodes, come, room, of):
    """Of a database that was rolled back, of a client's own making: Redis itself says that nobody can have read it."""
    one, other = nodes
    first = come(one, room)
    first.position()
    one.publish(room, 1)
    assert first.next() == message(room, 1)
    _, epoch, number = first.id.split(".")
    ahead = {"this epoch": f"0.{epoch}.{number}zz", "an epoch to come": "0.zzzzzzzz.1",
             "the largest numbers": "0.3w5e11264sgsf.3w5e11264sgsf"}[of]
    client = come(other, room, ahead)
    client.position()
    one.publish(room, "live")
    assert [client.next(), client.next()] == [gap(room), message(room, "live")]
    again = come(one, room, client.id)
    assert again.next() == resumed(0)


@pytest.mark.parametrize("last_id", ["%00", "0.1.1%00", "+", "%FF%FE", "5.1.1", ""])
@pytest.mark.parametrize("kind", READERS)
def test_whatever_stands_in_the_query_as_an_id_is_answered(nodes, kind, room, last_id):
    one, _ = nodes
    client = READERS[kind](one.port, room, last_id, header=False)
    client.position()
    one.publish(room, "live")
    assert [client.next(), client.next()] == [gap(room), message(room, "live")]
    client.close()


def test_an_id_ahead_in_a_live_change_is_a_gap_and_the_other_channels_go_on(nodes, room):
    one, other = nodes
    client = READERS["ws"](one.port, room)
    epoch = client.position().split(".")[1]
    client.say("subscribe", channels=[room + "-2"], id=f"0.{epoch}.zzzzzz")
    assert client.next()[0] == "subscribed"
    other.publish(room, 1)
    other.publish(room + "-2", 2)
    assert [client.next() for _ in range(3)] == [gap(room + "-2"), message(room, 1), message(room + "-2", 2)]
    client.close()


@pytest.mark.parametrize("id", ["0.zzzzzzzz.1", "nonsense", 7, None])
def test_whatever_a_client_asks_to_resume_from_is_answered(nodes, room, id):
    one, other = nodes
    client = READERS["ws"](one.port, room, "nonsense")  # while it may still read what came before
    client.say("resume", id=id)
    client.position()
    other.publish(room, "live")
    assert sorted([client.next() for _ in range(3)]) == [gap(room), gap(room), message(room, "live")]
    client.close()


def test_a_message_whose_own_ttl_is_over_is_not_missing(nodes, come, room):
    one, other = nodes
    position = come(one, room).position()
    one.publish(room, "soon over", ttl="1ms")
    one.publish(room, "stays")
    wait_until(lambda: "soon over" not in get(other.port, f"/messages?channel={room}").text, "it is over")
    again = come(other, room, position)
    assert [again.next(), again.next()] == [message(room, "stays"), resumed(1)]


def test_a_client_that_is_faster_than_a_node_is_waited_for(nodes, come, room):
    """A node without a client of the busy channel does not know its numbers, which the id has."""
    one, other = nodes
    quiet = come(other, f"{room}-quiet")
    quiet.position()
    both = come(one, f"{room}-quiet,{room}-busy")
    both.position()
    for i in range(30):
        one.publish(f"{room}-busy", i)
        both.next()
    both.close()
    again = come(other, f"{room}-quiet", both.id)
    assert again.next() == resumed(0)


def test_a_long_history_comes_in_pieces(nodes, come, room):
    one, other = nodes
    channel = "big:" + room
    position = come(one, channel).position()
    text = "x" * 4000
    for i in range(1200):
        one.publish(channel, f"{i} {text}")
    again = come(other, channel, position)
    assert [again.next()[1]["message"].split()[0] for _ in range(1200)] == [str(i) for i in range(1200)]
    assert again.next() == resumed(1200)


def test_plain_clients_of_redis_take_part(nodes, redis, come, room):
    one, _ = nodes
    client = come(one, room)
    client.position()
    with redis.subscribe(room) as plain:
        assert one.publish(room, "héllo").body == b'{"subscribers":2}'
        got = plain.message()
        assert got.startswith(b"\x1e#") and got.endswith(b" " + "héllo".encode())
    assert client.next() == message(room, "héllo")
    redis.command("PUBLISH", room, "by hand")
    assert client.next() == message(room, "by hand")


def test_forged_envelopes_break_nothing(nodes, redis, come, room):
    one, other = nodes
    client = come(one, room)
    client.position()
    one.publish(room, 1)
    assert client.next() == message(room, 1)
    for forged in (b"\x1e#", b"\x1e#1-1", b"\x1e#1-1 0-0 0 old", b"\x1e#99999999999999-1 0-0 0 new", b"\x1e#x-y 0-0 0 z",
                   b"\x1e#1-1 0-0 -5 z", b"\x1e#18446744073709551616-1 0-0 0 z"):
        redis.command("PUBLISH", room, forged)
    one.publish(room, 2)
    got = []
    while message(room, 2) not in got:
        got.append(client.next())
    assert [g for g in got if g[0] == "message" and isinstance(g[1]["message"], int)] == [message(room, 2)]
    assert [g for g in got if g[0] == "gap"] == []
    again = come(other, room, client.id)
    one.publish(room, 3)
    assert [again.next(), again.next()] in ([resumed(0), message(room, 3)], [message(room, 3), resumed(1)])


ODD = ["text", "", "\x1eby hand", "\x1e#1-1 0-0 0 hello", {"a": [1, None, "\u001e"]}, 7, None, ["#"], "1-1 0-0 0 hello"]


def next_but_counts(client):
    while True:
        event = client.next()
        if event[1].get("message") != "count":
            return event


def test_a_node_without_history_shows_what_one_with_it_publishes_and_the_other_way_round(redis, come, room):
    """A rolling update that switches history on, or off."""
    traced = {"PUSH_TRACE_URL": f"http://127.0.0.1:{free_port()}/v1/traces", "PUSH_TRACE_RATIO": "1"}
    with node(redis.url(), **KEPT, **traced) as keeping, node(redis.url()) as plain:
        clients = come(keeping, room), come(plain, room)
        for at in (keeping, plain):
            wait_until(lambda n=at: n.publish(room, "count").json["subscribers"] == 2, "both are counted")
        for at in (keeping, plain):
            for value in ODD:
                assert at.publish(room, value).json == {"subscribers": 2}
                for client in clients:
                    assert next_but_counts(client) == message(room, value)
            body = json.dumps({"channel": room, "message": "told"})
            written = request(at.port, post(body, path="/messages?wait=written")).json
            assert written == {"subscribers": 2, "written": 2}
            for client in clients:
                assert client.next() == message(room, "told")


def test_what_looks_like_an_envelope_and_is_none_is_a_text_without_history(redis, come, room):
    forged = [b"\x1e#", b"\x1e#1-1", b"\x1e#1-1 0-0 x", b"\x1e#x-y 0-0 0 z", b"\x1e#1-1 0-0 -5 z", b"\x1e# 1-1 0-0 0 z",
              b"\x1e@00-zz z", b"\x1e!no.1 z", b"\x1e\x1e"]
    with node(redis.url()) as plain:
        client = come(plain, room)
        wait_until(lambda: plain.publish(room, "count").json["subscribers"] == 1, "it is counted")
        for payload in forged:
            redis.command("PUBLISH", room, payload)
        redis.command("PUBLISH", room, b'\x1e#1-1 0-0 0 \x1e{"a":1}')
        redis.command("PUBLISH", room, f'\x1e#1-1 0-0 0 \x1e@00-{"1" * 32}-{"2" * 16}-01 \x1e{{"a":2}}')
        redis.command("PUBLISH", room, b"\x1e#1-1 0-0 0 ")
        got = []
        while message(room, "") not in got:
            got.append(client.next())
        got = [event for event in got if event != message(room, "count")]
        assert got == [message(room, payload.decode()) for payload in forged] + [
            message(room, {"a": 1}), message(room, {"a": 2}), message(room, "")]


def test_scripts_that_redis_has_forgotten_are_loaded_again(nodes, redis, come, room):
    one, other = nodes
    client = come(one, room)
    client.position()
    redis.command("SCRIPT", "FLUSH")
    assert other.publish(room, 1).status == 202
    assert client.next() == message(room, 1)
    redis.command("SCRIPT", "FLUSH")
    again = come(other, room, client.id)
    assert again.next() == resumed(0)


def test_no_message_is_lost_or_doubled_between_replay_and_live(nodes, come, room):
    """While clients come back again and again at one node or the other, somebody publishes as fast as he can."""
    count = 300
    client, got = come(nodes[0], room), []
    client.position()
    publisher = threading.Thread(target=lambda: [publish(nodes[i % 2].port, room, i) for i in range(count)])
    publisher.start()
    missed = False
    while not got or got[-1] != count - 1:
        event, data = client.next()
        if event == "message":
            assert missed or data["message"] == (got[-1] + 1 if got else 0), got[-3:]
            missed = False
            got.append(data["message"])
            if len(got) % 10 == 5:
                client.close()
                client = come(nodes[len(got) // 10 % 2], room, client.id)
        missed = missed or event == "gap"
    publisher.join()
    assert got == sorted(set(got))


class Stream:
    """What a client hears of numbers that are published one after the other, in a thread of its own."""

    def __init__(self, reader):
        self.reader, self.got, self.gaps = reader, [], []
        reader.position()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while event := self.reader.next():
            if event[0] == "message":
                self.got.append(event[1]["message"])
            elif event[0] == "gap":
                self.gaps.append((len(self.got), event[1]))


def publish_until_done(servers, channel, first, count):
    """The numbers that were acknowledged."""
    return [i for i in range(first, first + count) if publish(servers[i % len(servers)].port, channel, i).status == 202]


def await_number(streams, number):
    for stream in streams:
        wait_until(lambda s=stream: number in s.got, f"{number} has come", 20)


def test_after_an_outage_without_loss_nobody_sees_a_gap_and_nobody_misses_anything(room):
    """Redis stands still, and goes on: what was published before and after comes, and nothing says gap."""
    with RedisServer() as redis:
        one, other = two(redis.url())
        with one, other:
            streams = [Stream(READERS[kind](at.port, f"{room},{room}-2")) for kind in READERS for at in (one, other)]
            acknowledged = publish_until_done([one, other], room, 0, 20)
            await_number(streams, 19)
            redis.freeze()
            for server in (one, other):
                wait_until(lambda s=server: readiness(s) == 503, "readiness is DOWN")
            redis.thaw()
            # published at once, by hand, while the nodes are away
            for server in (one, other):
                wait_until(lambda s=server: readiness(s) == 200, "readiness is UP")
            acknowledged += publish_until_done([one, other], room, 20, 20)
            await_number(streams, 39)
            for stream in streams:
                assert stream.gaps == [] and stream.got == acknowledged


def test_what_is_published_while_a_node_is_cut_off_reaches_its_clients_afterwards(room):
    """The connections of both nodes are killed again and again while one publishes."""
    room = "big:" + room
    with RedisServer() as redis:
        one, other = two(redis.url())
        with one, other, redis.client() as admin:
            streams = [Stream(READERS[kind](other.port, room)) for kind in READERS]
            acknowledged = publish_until_done([one], room, 0, 5)
            await_number(streams, 4)
            for round in range(1, 6):
                for line in admin.command("CLIENT", "LIST").decode().splitlines():
                    fields = dict(field.split("=", 1) for field in line.split())
                    if int(fields.get("sub", 0)):
                        admin.command("CLIENT", "KILL", "ID", fields["id"])
                acknowledged += publish_until_done([one], room, 5 * round, 5)
            await_number(streams, 29)
            for stream in streams:
                assert stream.gaps == [] and stream.got == acknowledged == list(range(30))


def test_a_redis_that_has_forgotten_everything_is_a_gap(room):
    with RedisServer() as redis:
        one, other = two(redis.url())
        with one, other:
            streams = [Stream(READERS[kind](one.port, room)) for kind in READERS]
            publish_until_done([one, other], room, 0, 4)
            await_number(streams, 3)
            redis.kill()
            redis.start()
            for server in (one, other):
                wait_until(lambda s=server: readiness(s) == 200, "readiness is UP")
            publish_until_done([one, other], room, 4, 4)
            await_number(streams, 7)
            for stream in streams:
                assert stream.gaps and stream.got == list(range(8))


def test_a_flush_of_the_database_is_noticed_with_the_next_message(nodes, redis, come, room):
    one, _ = nodes
    client = come(one, room)
    client.position()
    one.publish(room, 1)
    assert client.next() == message(room, 1)
    redis.command("FLUSHALL")
    one.publish(room, 2)
    assert [client.next(), client.next()] == [gap(room), message(room, 2)]


def test_a_sentinel_failover_says_gap_and_goes_on(room):
    with Sentinels() as sentinels:
        one, other = two(sentinels.url)
        with one, other:
            streams = [Stream(READERS[kind](at.port, room)) for kind in READERS for at in (one, other)]
            publish_until_done([one, other], room, 0, 10)
            await_number(streams, 9)
            new = sentinels.other()
            sentinels.master().kill()
            sentinels.wait_for_master(new.port)
            for server in (one, other):
                wait_until(lambda s=server: readiness(s) == 200, "readiness is UP")
            acknowledged = publish_until_done([one, other], room, 10, 10)
            await_number(streams, acknowledged[-1])
            for stream in streams:
                assert stream.gaps
                assert [n for n in stream.got if n >= 10] == acknowledged


ROOMS = [f"cluster-{i}" for i in range(24)]


@pytest.fixture(params=["off", "on"], ids=["plain", "sharded"], scope="module")
def cluster_nodes(request):
    with Cluster() as cluster:
        one, other = two(cluster.url, PUSH_REDIS_SHARDED=request.param)
        with one, other:
            yield cluster, one, other


def publish_rounds(servers, first, count):
    """Numbers to all rooms in turn; those that were acknowledged, by room."""
    acknowledged = {room: [] for room in ROOMS}
    for i in range(first, first + count):
        for k, room in enumerate(ROOMS):
            if publish(servers[(i + k) % len(servers)].port, room, i).status == 202:
                acknowledged[room].append(i)
    return acknowledged


def by_room(events):
    return {room: [data["message"] for event, data in events if event == "message" and data["channel"] == room]
            for room in ROOMS}


def read_until(reader, number):
    """All events up to where every room has brought the number."""
    events = []
    while not all(number in got for got in by_room(events).values()):
        events.append(reader.next())
    return events


def test_in_a_cluster_one_short_id_resumes_channels_of_all_servers(cluster_nodes, come):
    _, one, other = cluster_nodes
    reader = come(one, ",".join(ROOMS))
    position = reader.position()
    reader.close()
    acknowledged = publish_rounds([one, other], 0, 3)
    again = come(other, ",".join(ROOMS), position)
    events = read_until(again, 2)
    assert by_room(events) == acknowledged
    assert len(position) < 512 and len(again.id) < 512
    assert [event for event in events if event[0] == "gap"] == []


def test_in_a_cluster_a_slot_that_moves_while_others_publish_loses_nothing(cluster_nodes, come):
    cluster, one, other = cluster_nodes
    cluster.wait_until_old()
    readers = [come(at, ",".join(ROOMS)) for at in (one, other)]
    for reader in readers:
        reader.position()
    acknowledged = []
    publisher = threading.Thread(target=lambda: acknowledged.append(publish_rounds([one, other], 100, 40)))
    publisher.start()
    for partition in (0, 5):
        slot = partition * 1024
        owner = cluster.owner(slot)
        cluster.move_slot(slot, next(n for n in cluster.nodes[:3] if n.port != owner.port))
    publisher.join()
    wait_until(lambda: publish_rounds([one, other], 999, 1) == {room: [999] for room in ROOMS}, "all rooms take messages")
    for reader in readers:
        events = read_until(reader, 999)
        for room, got in by_room(events).items():
            expected = acknowledged[0][room]
            numbers = [n for n in got if n < 999]
            assert numbers == sorted(set(numbers))
            assert [n for n in numbers if n in expected] == expected
        assert [event for event in events if event[0] == "gap"] == []


def test_in_a_cluster_a_master_that_dies_is_a_gap_at_most_and_goes_on():
    with Cluster() as cluster:
        one, other = two(cluster.url, PUSH_REDIS_SHARDED="on")
        with one, other:
            reader = SseReader(one.port, ",".join(ROOMS))
            reader.position()
            before = publish_rounds([one, other], 0, 2)
            assert by_room(read_until(reader, 1)) == before
            cluster.kill_master(0)
            wait_until(lambda: all(list(publish_rounds([one, other], 5, 1).values())), "all rooms take messages")
            events = read_until(reader, 5)
            assert any(event == "gap" for event, _ in events)
            reader.close()


def test_in_a_sharded_cluster_a_name_that_begins_like_a_tag_is_a_channel_of_its_own():
    with Cluster() as cluster, node(cluster.url, PUSH_REDIS_SHARDED="on", PUSH_HISTORY_RULES="chat:=20") as one:
        assert publish(one.port, "chat:1", "early").status == 202
        key = next(k for server in cluster.nodes for k in server.command("KEYS", "push:history:{*}:chat:1"))
        tag = key[key.index(b"{"):key.index(b"}") + 1].decode()
        names = ["chat:1", tag + "chat:1", tag + tag + "chat:1", tag + "{a}chat:1", "{a}" + tag + "chat:1",
                 "{a}chat:1", "{}chat:1", tag, tag + tag, tag + "plain"]
        clients = [ws(one, name) for name in names]
        for name in names:
            assert publish(one.port, name, "of " + name).status == 202
        for name, client in zip(names, clients):
            assert client.message() == (name, "of " + name)
        assert one.metric("push_gaps_total") == 0


def test_who_may_not_subscribe_to_a_channel_learns_which_one_and_what_is_lost_by_it(room):
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "narrow", "on", ">pw", "+@all", "~*", "resetchannels", "&" + room)
        with node(f"redis://narrow:pw@127.0.0.1:{redis.port}", **KEPT) as one:
            lines = {what: one.process.wait_for(f"refuses a subscription to .*{what}.*NOPERM").string
                     for what in ("push:nodes", "push:probe")}
            assert "not counted as subscribers" in lines["push:nodes"] and "not detected" in lines["push:probe"]
            client = SseReader(one.port, room)
            client.position()
            one.publish(room, 1)
            assert client.next() == gap(room)  # of before there was a position
            assert client.next() == message(room, 1)
            other = SseReader(one.port, room + "-other")
            one.process.wait_for(f"refuses a subscription to '{room}-other', so that its clients get no messages: NOPERM")
            ahead = SseReader(one.port, room, "0.zzzzzzzz.1")
            assert ahead.next() == gap(room)
            one.process.wait_for("refuses a subscription to .*push:head.*, so that .*NOPERM")
            one.publish(room, 2)
            assert [ahead.next(), client.next()] == [message(room, 2)] * 2
            for each in (client, other, ahead):
                each.close()


def test_who_may_have_no_announcements_is_given_what_clients_missed_all_the_same(room):
    with RedisServer() as redis:
        redis.command("ACL", "SETUSER", "narrow", "on", ">pw", "+@all", "~*", "resetchannels", "&" + room)
        with node(redis.url(), **KEPT) as other, node(f"redis://narrow:pw@127.0.0.1:{redis.port}", **KEPT) as one:
            first = SseReader(other.port, room)
            position = first.position()
            other.publish(room, 1)
            assert first.next() == message(room, 1)
            back = SseReader(one.port, room, position)
            assert [back.next(), back.next()] == [message(room, 1), resumed(1)]
            other.publish(room, 2)
            assert [back.next(), first.next()] == [message(room, 2)] * 2
            for each in (first, back):
                each.close()


def test_history_off_for_a_channel_leaves_its_messages_as_they_are(nodes, redis, come, room):
    one, _ = nodes
    channel = "off:" + room
    client = come(one, f"{channel},{room}")
    client.position()
    with redis.subscribe(channel) as plain:
        one.publish(channel, "plain")
        assert plain.message() == b"plain"
    assert client.next() == message(channel, "plain")


# --- more channels than there is room for

def used_memory(redis):
    return int(redis.command("INFO", "memory").split(b"used_memory:")[1].split()[0])


def streams(redis):
    return {key.rsplit(b":", 1)[1].decode() for key in redis.command("KEYS", "push:history:*")}


def post_many(at, channels):
    body = json.dumps([{"channel": channel, "message": "x" * 200} for channel in channels])
    return request(at.port, post(body)).json


def test_of_more_channels_than_may_be_kept_those_that_were_quiet_longest_go_and_that_is_told(come):
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=3) as one:
        reader = come(one, "k0,k1")
        at = reader.position()
        reader.close()
        for i in range(3):
            assert publish(one.port, f"k{i}", i).status == 202
        for name in ("k0", "k3", "k4"):
            assert publish(one.port, name, 1).status == 202
        assert streams(redis) == {"k0", "k3", "k4"}
        wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "k1")[1] == 0, "the node has forgotten it, too")
        late = come(one, "k0,k1", at)
        assert {late.next()[0] for _ in range(2)} >= {"gap"}
        assert one.metric("push_redis_history_channels_dropped_total") == 2


def test_a_client_of_a_new_channel_sees_no_gap_while_others_names_go_past_the_bound(come):
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=5) as one:
        for i in range(5):
            assert publish(one.port, f"old{i}", i).status == 202
        reader = come(one, "new")
        reader.position()
        for i in range(20):
            assert publish(one.port, f"other{i}", i).status == 202
        for n in range(2):
            assert publish(one.port, "new", n).status == 202
            assert reader.next() == message("new", n)
        assert one.metric("push_redis_holes_total") == 0
        assert one.metric("push_redis_history_channels_dropped_total") == 21


def test_of_a_channel_that_was_dropped_only_those_see_a_gap_that_miss_something(come):
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=5) as one:
        live = come(one, "early,other4")
        before = live.position()
        assert publish(one.port, "early", 1).status == 202
        assert live.next() == message("early", 1)
        for i in range(5):
            assert publish(one.port, f"other{i}", i).status == 202
        assert live.next() == message("other4", 4)
        after = live.id
        assert "early" not in streams(redis)
        assert publish(one.port, "early", 2).status == 202
        assert live.next() == message("early", 2)  # which came without a gap
        live.close()
        with node(redis.url(), **KEPT) as other:  # which has nothing of it in its own memory
            late, right = come(other, "early", before), come(other, "early", after)
            assert [late.next() for _ in range(2)] == [gap("early"), message("early", 2)]
            assert right.next() == message("early", 2)


def test_names_that_have_nothing_any_more_make_room_without_a_gap(come):
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=5) as one:
        for i in range(5):
            assert publish(one.port, f"old{i}", i).status == 202
            redis.command("DEL", f"push:history:old{i}", f"push:last:old{i}")
        before = redis.command("HGET", "push:history", "o")
        reader = come(one, "new")
        reader.position()
        for n in range(2):
            assert publish(one.port, "new", n).status == 202
            assert reader.next() == message("new", n)
        assert redis.command("HGET", "push:history", "o") == before


def test_a_repeat_of_a_publish_drops_nobody_s_history():
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=2) as one:
        def once():
            for key in redis.command("KEYS", "push:value:*"):
                redis.command("DEL", key)  # the answer was lost: only the script knows of the first one
            return request(one.port, post('{"channel":"a","message":1}', headers=["Idempotency-Key: k"])).status
        assert once() == 202
        for name in ("b", "c"):
            assert publish(one.port, name, 1).status == 202
        assert streams(redis) == {"b", "c"}
        assert once() == 202
        assert streams(redis) == {"b", "c"}


def test_a_redis_that_is_filled_with_channels_keeps_the_newest_and_takes_every_publish():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one, ws(one, "honest") as client:
        redis.command("CONFIG", "SET", "maxmemory", used_memory(redis) + (8 << 20))
        refused = 0
        for i in range(60):
            refused += sum("error" in part for part in post_many(one, [f"fill-{i}-{j}" for j in range(200)]))
        assert refused == 0
        assert one.metric("push_redis_history_channels_dropped_total") > 0
        assert publish(one.port, "honest", "kept").status == 202
        assert client.message() == ("honest", "kept")  # without a gap
        assert "honest" in streams(redis) and one.metric("push_redis_unkept_total") == 0
        assert keyed(one, "honest", "k").status == 202


def is_in_use(redis, channel, since_ms):
    """As if its messages had come since then."""
    redis.command("XADD", "push:history:" + channel, "1-1", "m", "old", "t", since_ms, "x", 0, "a", "0-0", "b", since_ms)


def test_new_names_do_not_push_out_channels_that_have_been_in_use():
    with RedisServer() as redis, node(redis.url(), **KEPT, PUSH_HISTORY_CHANNELS_MAX=10) as one:
        hour_ago = int(redis.command("TIME")[0]) * 1000 - 3_600_000
        room = {f"room{i}" for i in range(4)}
        for name in room:
            is_in_use(redis, name, hour_ago)
        for name in sorted(room):
            assert publish(one.port, name, 1).status == 202
        keep(one, 400)
        assert room < streams(redis) and "quiet-399" in streams(redis) and len(streams(redis)) == 10


def test_new_names_do_not_push_out_channels_that_have_been_in_use_where_there_is_no_memory():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        is_in_use(redis, "room", int(redis.command("TIME")[0]) * 1000 - 3_600_000)
        assert publish(one.port, "room", 1).status == 202
        keep(one, 200)
        redis.command("CONFIG", "SET", "maxmemory", used_memory(redis))
        keep(one, 1000)
        assert one.metric("push_redis_history_channels_dropped_total") > 500
        assert "room" in streams(redis)


def test_a_channel_gives_way_to_newer_ones_when_it_was_quiet_for_as_long_as_it_had_been_in_use():
    """A minute at most."""
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        now = int(redis.command("TIME")[0]) * 1000
        ages = {"new": 0, "half": 30_000, "old": 3_600_000}
        for name, age in ages.items():
            if age:
                is_in_use(redis, name, now - age)
            assert publish(one.port, name, 1).status == 202
        after = {name: float(redis.command("ZSCORE", "push:channels", name)) - now for name in ages}
        assert 0 <= after["new"] < 15_000 and 30_000 <= after["half"] < 60_000 and 60_000 <= after["old"] < 75_000
        [entry] = redis.command("XREVRANGE", "push:history:half", "+", "-", "COUNT", 1)
        assert entry[1][8:] == [b"b", b"%d" % (now - 30_000)]  # what comes next knows it, too


def keep(at, count):
    """A message of each of so many channels."""
    for i in range(0, count, 200):
        assert not any("error" in part for part in post_many(at, [f"quiet-{n}" for n in range(i, i + 200)]))


def keyed(at, channel, key):
    body = json.dumps({"channel": channel, "message": key})
    return request(at.port, post(body, headers=[f"Idempotency-Key: {key}"]))


def fill_up(redis):
    """More is kept than there may be, so that every command that needs memory is refused."""
    redis.command("CONFIG", "SET", "maxmemory", used_memory(redis) - (64 << 10))


@pytest.mark.parametrize("channel", ["honest", "off:honest"], ids=["history", "no history"])
def test_history_makes_room_for_the_key_of_a_publish(channel):
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        keep(one, 200)
        for i in range(3):
            fill_up(redis)
            wait_until(lambda: keyed(one, channel, f"key-{i}").status == 202, "it is published, within a second")
        dropped = one.metric("push_redis_history_channels_dropped_total")
        assert 0 < dropped < 150 and "quiet-199" in streams(redis) and "quiet-0" not in streams(redis)
        assert get(one.management, "/actuator/health").status == 200


def test_history_makes_room_for_the_number_of_clients():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one, node(redis.url(), **KEPT) as other:
        keep(one, 200)
        fill_up(redis)
        with ws(other, "off:here"):
            wait_until(lambda: redis.command("HVALS", "push:clients:off:here") == [b"1"], "it is counted")
            assert publish(one.port, "off:here", 1).json == {"subscribers": 1}
        assert other.metric("push_redis_history_channels_dropped_total") > 0


def test_history_that_makes_no_room_is_dropped_slowly():
    """Somebody else has filled Redis."""
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        keep(one, 800)
        redis.command("CONFIG", "SET", "maxmemory", "1")
        before = time.monotonic()
        for i in range(100):
            answer = keyed(one, "off:honest", f"key-{i}")
            assert answer.status == 503 and "nothing was published" in answer.error
        seconds = time.monotonic() - before
        assert 0 < one.metric("push_redis_history_channels_dropped_total") <= 64 * (seconds + 1)


def test_who_may_not_make_room_gets_the_refusal_itself():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        keep(one, 200)
        redis.command("ACL", "SETUSER", "default", "-zpopmin")
        fill_up(redis)
        answer = keyed(one, "off:honest", "key")
        assert answer.status == 503 and "cannot keep the Idempotency-Key, nothing was published" in answer.error
        redis.command("ACL", "SETUSER", "default", "-evalsha")
        answer = keyed(one, "off:honest", "key")
        assert answer.status == 503 and "cannot keep the Idempotency-Key, nothing was published" in answer.error
        assert len(streams(redis)) == 200
        assert publish(one.port, "off:honest", 1).status == 202


def test_in_a_cluster_the_server_that_refuses_is_the_one_that_makes_room():
    with Cluster() as cluster, node(cluster.url, **KEPT) as one:
        keep(one, 600)
        for master in cluster.nodes[:3]:
            fill_up(master)
        for i in range(12):
            key = f"key-{i}"
            owner = cluster.owner(slot_of("push:value:idem:" + key))
            assert keyed(one, f"off:honest-{i}", key).status == 202, (key, owner.port)
        left = [len([name for name in streams(master) if "quiet" in name]) for master in cluster.nodes[:3]]
        assert 600 - sum(left) == one.metric("push_redis_history_channels_dropped_total") and min(left) > 0


def test_a_message_that_redis_refuses_to_keep_is_published_all_the_same_and_clients_are_told(come):
    with RedisServer() as redis, node(redis.url(), **KEPT) as one, node(redis.url(), **KEPT) as other:
        assert publish(one.port, "full", 1).status == 202
        away = come(other, "full")
        at = away.position()
        away.close()
        live = come(other, "full")
        live.position()
        wait_until(lambda: redis.command("HVALS", "push:clients:full") == [b"1"], "it is counted")
        redis.command("DEL", "push:channels")  # or they would make room
        redis.command("CONFIG", "SET", "maxmemory", "1")
        assert publish(one.port, "full", 2).json["subscribers"] >= 1
        assert live.next() == message("full", 2)
        assert live.next()[0] == "gap"
        assert one.metric("push_redis_unkept_total") == 1
        one.process.wait_for("refuses to keep a message.*OOM")
        answer = request(one.port, post('{"channel":"full","message":3}', headers=["Idempotency-Key: full"]))
        assert answer.status == 503 and "Idempotency-Key" in answer.error and "nothing was published" in answer.error
        redis.command("CONFIG", "SET", "maxmemory", "0")
        assert publish(one.port, "full", 4).status == 202
        got = [live.next()]
        while got[-1] != message("full", 4):
            got.append(live.next())
        assert all(event == "gap" for event, _ in got[:-1])
        late = come(other, "full", at)
        assert late.next()[0] == "gap"


def test_a_partition_that_has_moved_to_a_server_without_memory_takes_publishes():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one:
        wait_until(lambda: redis.uptime() >= 3, "it was up when the last message was numbered")
        assert publish(one.port, "moved", 1).status == 202
        redis.command("HSET", "push:history", "r", "that of the server before")
        redis.command("CONFIG", "SET", "maxmemory", "1")
        with ws(one, "moved") as client:
            assert publish(one.port, "moved", 2).status == 202
            assert client.message() == ("moved", 2)


def test_a_redis_that_writes_nothing_still_carries_messages():
    with RedisServer() as redis, node(redis.url(), **KEPT) as one, ws(one, "unwritten") as client:
        redis.command("CONFIG", "SET", "min-replicas-to-write", "1")
        assert publish(one.port, "unwritten", 1).status == 202
        assert client.message() == ("unwritten", 1)
        assert client.event() == {"event": "gap", "data": {}}
