"""What users see of the embedded broker's several workers: one broker, whichever worker a connection comes to."""

import contextlib
import itertools
import json
import os
import signal
import threading
import time

import pytest

from http1 import Connection, get, post, request
from redis_servers import wait_until
from resuming import SseReader, WsReader, message, resumed
from server import Server
from test_live import Controlled, subscribed, unsubscribed
from test_redis_auth import KEY, end_of, keys, order, refusal  # noqa: F401
from sseclient import EventStream
from test_workers import has_socket, inode_of, serving, ws
from tokens import bearer

names = (f"room-{i}" for i in itertools.count())
SETTINGS = {"PUSH_HISTORY_RULES": "kept:=5000", "PUSH_MESSAGE_MAX_SIZE": "1mb", "PUSH_ACK_TIMEOUT": "10m",
            "PUSH_DRAIN_DURATION": "500ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "20s",
            "PUSH_RECONNECT_DITHER_MIN_DURATION": "1h", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1h"}


@pytest.fixture(scope="module", params=[2, 4])
def server(request):
    with Server(PUSH_WORKERS=request.param, **SETTINGS) as running:
        assert len(serving(running)) == request.param
        yield running


@pytest.fixture
def room():
    return next(names)


def wire(client):
    """The connection of a client, whatever it is."""
    while not isinstance(client, Connection):
        client = client.stream if hasattr(client, "stream") else client.socket
    return client


def at(pid, connect):
    """A client of that worker: the kernel deals connections out."""
    end = time.monotonic() + 60
    while True:
        client = connect()
        if has_socket(pid, inode_of(wire(client))):
            return client
        wire(client).close()
        assert time.monotonic() < end, "this worker gets no connection"


def at_each(server, connect):
    """A client of each."""
    pids, found = serving(server), {}
    end = time.monotonic() + 60
    while len(found) < len(pids):
        client = connect()
        inode = inode_of(wire(client))
        pid = next(pid for pid in pids if has_socket(pid, inode))
        if found.setdefault(pid, client) is not client:
            wire(client).close()
        assert time.monotonic() < end, "some worker gets no connection"
    return [found[pid] for pid in pids]


def sse(server, channels):
    """Past its first heartbeat, with an id or without."""
    client = EventStream(server.port, channels)
    assert client.raw().startswith(b"event:heartbeat\n")
    return client


def close(*clients):
    for client in clients:
        wire(client).close()


def bare(server):
    """A connection that some worker has taken: it has answered."""
    connection = Connection(server.port)
    assert connection.send(post('{"channel":"nobody","message":0}')).read_answer().status == 202
    return connection


def say(connection, channel, value, headers=None, query=""):
    body = json.dumps({"channel": channel, "message": value})
    return connection.send(post(body, headers=headers, path=f"/messages{query}")).read_answer()


@pytest.mark.parametrize("kind", ["", "kept:"])
def test_what_is_published_at_all_workers_comes_to_all_clients_in_one_order(server, room, kind):
    channel, count = kind + room, 50
    clients = [*at_each(server, lambda: ws(server, channel)), *at_each(server, lambda: ws(server, channel))]
    publishers = at_each(server, lambda: bare(server))

    def publish_all(number, connection):
        for i in range(count):
            assert say(connection, channel, [number, i]).status == 202

    threads = [threading.Thread(target=publish_all, args=item) for item in enumerate(publishers)]
    for thread in threads:
        thread.start()
    orders = [[client.message()[1] for _ in range(count * len(publishers))] for client in clients]
    for thread in threads:
        thread.join()
    assert all(other == orders[0] for other in orders)
    for number in range(len(publishers)):
        assert [i for n, i in orders[0] if n == number] == list(range(count))
    close(*clients, *publishers)


def test_one_who_goes_from_worker_to_worker_publishes_in_order(server, room):
    clients = at_each(server, lambda: ws(server, room))
    publishers = at_each(server, lambda: bare(server))
    for i in range(200):
        assert say(publishers[i % len(publishers)], room, i).status == 202
    for client in clients:
        assert [client.message()[1] for _ in range(200)] == list(range(200))
    close(*clients, *publishers)


@pytest.mark.parametrize("kind", ["", "kept:"])
def test_a_client_counts_at_every_worker_from_its_first_heartbeat_on_and_no_longer_when_it_has_left(server, room, kind):
    channel, clients = kind + room, []
    publishers = at_each(server, lambda: bare(server))
    for connect in (ws, sse):
        for pid in serving(server):
            clients.append(at(pid, lambda c=connect: c(server, channel)))
            wanted = {"subscribers": len(clients), "written": len(clients)}
            # those of other workers that were tried and closed may be noticed later
            for connection in publishers:
                wait_until(lambda c=connection, w=wanted: say(c, channel, 1, query="?wait=written").json == w, "it counts")
    for _ in range(20):
        client = ws(server, channel)
        assert say(publishers[0], channel, 1).json["subscribers"] >= len(clients) + 1
        client.close()
    close(*clients)
    for connection in publishers:
        wait_until(lambda c=connection: say(c, channel, 1).json == {"subscribers": 0}, "nobody is left")
    close(*publishers)


def test_a_key_is_one_at_all_workers(server, room):
    client = ws(server, room)
    publishers = at_each(server, lambda: bare(server))
    key = [f"Idempotency-Key: {room}"]
    answers = [say(connection, room, "once", key) for connection in publishers]
    assert {(answer.status, answer.body) for answer in answers} == {(202, b'{"subscribers":1}')}
    for connection in publishers:
        assert say(connection, room, "other", key).error == "the Idempotency-Key was used for another request"
    assert say(publishers[0], room, "end").status == 202
    assert [client.message()[1] for _ in range(2)] == ["once", "end"]
    close(client, *publishers)


def test_a_key_that_comes_to_all_workers_at_once_publishes_once(server, room):
    client = ws(server, room)
    publishers = at_each(server, lambda: bare(server))
    for turn in range(20):
        data = post(json.dumps({"channel": room, "message": turn}), headers=[f"Idempotency-Key: {room}-{turn}"])
        for connection in publishers:
            connection.send(data)
        answers = [connection.read_answer() for connection in publishers]
        assert {answer.status for answer in answers} <= {202, 409} and 202 in {answer.status for answer in answers}
    assert say(publishers[0], room, "end").status == 202
    assert [client.message()[1] for _ in range(21)] == [*range(20), "end"]
    close(client, *publishers)


def test_a_name_goes_on_behind_its_last_ack_at_another_worker(server, room):
    channel, pids = f"kept:{room}", serving(server)
    for turn, pid in enumerate(pids * 2):
        client = at(pid, lambda: WsReader(server.port, channel, more=f"&client={room}"))
        if turn:
            assert [client.next(), client.next()] == [message(channel, turn - 1), resumed(1)]
            client.say("ack", id=client.id)
        else:
            client.position()
        # what it says after it is carried out after it
        client.say("ping")
        wait_until(lambda c=client: c._event()["event"] == "pong", "it is answered")
        client.close()
        assert request(server.port, post(json.dumps({"channel": channel, "message": turn}))).status == 202


def test_channels_of_a_stream_are_changed_at_any_worker(server, room):
    stream = Controlled(server.port, "here")
    publishers = at_each(server, lambda: bare(server))
    for i, connection in enumerate(publishers):
        new = f"{room}-{i}"
        body = json.dumps({"subscribe": [new]})
        answer = connection.send(post(body, path=stream.path)).read_answer()
        assert (answer.status, answer.json["subscribed"]) == (200, [new])
        assert stream.event() == subscribed(new)
        for other in publishers:
            assert say(other, new, 1).json == {"subscribers": 1}
            assert stream.event() == message(new, 1)
        body = json.dumps({"unsubscribe": [new]})
        assert connection.send(post(body, path=stream.path)).read_answer().json["unsubscribed"] == [new]
        assert stream.event() == unsubscribed(new)
        assert say(publishers[0], new, 1).json == {"subscribers": 0}
    token = stream.token
    close(stream)
    for connection in publishers:
        wait_until(lambda c=connection: c.send(post('{"subscribe":["x"]}', path=f"/sse/messages/{token}")).read_answer().status
                   == 404, "the token is gone with its stream")
    close(*publishers)


def test_history_is_read_at_any_worker_and_goes_on_at_any(server, room):
    channel = f"kept:{room}"
    publishers = at_each(server, lambda: bare(server))
    first = get(server.port, f"/messages?channel={channel}").json["id"]
    for i in range(100):
        assert say(publishers[i % len(publishers)], channel, i).status == 202
    answers = [c.send(f"GET /messages?channel={channel} HTTP/1.1\r\nHost: test\r\n\r\n").read_answer() for c in publishers]
    assert [m["message"] for m in answers[0].json["messages"]] == list(range(100))
    assert len({answer.body for answer in answers}) == 1
    for reader in (SseReader, WsReader):
        for client in at_each(server, lambda r=reader: r(server.port, channel, first)):
            assert [client.next() for _ in range(101)] == [*(message(channel, i) for i in range(100)), resumed(100)]
            close(client)
    close(*publishers)


def test_ten_thousand_channels(server):
    each = 100
    clients = [ws(server, ",".join(f"many-{i * each + n}" for n in range(each))) for i in range(10000 // each)]
    publishers = at_each(server, lambda: bare(server))
    for i in range(len(clients)):
        body = json.dumps([{"channel": f"many-{i * each + n}", "message": n} for n in range(each)])
        parts = publishers[i % len(publishers)].send(post(body)).read_answer().json
        assert parts == [{"subscribers": 1}] * each
    for i, client in enumerate(clients):
        assert [client.message() for _ in range(each)] == [(f"many-{i * each + n}", n) for n in range(each)]
    close(*clients, *publishers)


def flood(connection, channel):
    """More than the log keeps for those that are behind, 64 MB."""
    body = post(json.dumps({"channel": channel, "message": "x" * 1_000_000}))
    for _ in range(80):
        assert connection.send(body).read_answer().status == 202


def test_a_worker_that_missed_messages_tells_it_and_brings_what_is_kept(server, room):
    victim, other = serving(server)[:2]
    kept = at(victim, lambda: ws(server, f"kept:{room}"))
    quiet, lost = (at(victim, lambda c=c: ws(server, c)) for c in (f"{room}-quiet", f"{room}-lost"))
    bystander = at(other, lambda: ws(server, f"{room}-quiet"))
    publisher = at(other, lambda: bare(server))
    os.kill(victim, signal.SIGSTOP)
    try:
        assert say(publisher, f"kept:{room}", 0).json["subscribers"] >= 1
        flood(publisher, f"{room}-lost")
        assert say(publisher, f"kept:{room}", 1).status == 202
    finally:
        os.kill(victim, signal.SIGCONT)
    for client in (quiet, lost):
        assert client.event() == {"event": "gap", "data": {}}
    assert [kept.message()[1] for _ in range(2)] == [0, 1]
    for channel in (f"kept:{room}", f"{room}-quiet", f"{room}-lost"):
        assert say(publisher, channel, 2).status == 202
    for client in (kept, quiet, lost, bystander):
        assert client.message()[1] == 2
    close(kept, quiet, lost, bystander, publisher)


@pytest.mark.parametrize("workers", [2, 4])
def test_all_workers_disconnect_and_refuse_and_so_do_those_that_start_later(keys, workers):  # noqa: F811
    headers = bearer(KEY.token(subscribe=["news"], sub="joe", iat=-10))
    with Server(PUSH_WORKERS=workers, **{**SETTINGS, **keys}) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client) for client in at_each(server, lambda: ws(server, "news", headers))]
        assert order(server, "/tokens/revoke", user="joe").status == 202
        for client in clients:
            assert end_of(client) == ("the token was revoked", 4401)
        for _ in range(10 * workers):  # whichever worker takes the connection
            assert refusal(server, headers) == (401, "the token was revoked")
        victim = serving(server)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(serving(server)) == workers and victim not in serving(server), "it is replaced")
        for _ in range(10 * workers):
            assert refusal(server, headers) == (401, "the token was revoked")
        fresh = bearer(KEY.token(subscribe=["news"], sub="ann"))
        clients = [stack.enter_context(client) for client in at_each(server, lambda: ws(server, "news", fresh))]
        assert order(server, "/connections/disconnect", channel="news").status == 202
        for client in clients:
            assert end_of(client) == ("disconnected by the operator", 4403)
