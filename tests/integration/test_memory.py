"""push.memory.max: what waits has a total, and when that is near the slowest give way first."""

import contextlib
import re
import select
import socket
import threading
import time

import pytest

from http1 import Connection, get, post
from redis_servers import RedisServer
from server import DIRECT, SANITIZED, Server
from sseclient import EventStream
from test_hostile import Watch, read_to_end, slow_socket
from wsclient import CLOSE, PING, TEXT, WebSocket, frame

MB = 1024 * 1024
SLACK_S = 30


def subscribe_slowly(port, channel):
    """A client that never reads."""
    return slow_socket(port, f"GET /sse/messages?channels={channel} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def relieved(server, what):
    return server.metric(f'push_memory_relieved_total{{what="{what}"}}')


def in_use(server):
    return {use: server.metric(f'push_memory_bytes{{for="{use}"}}')
            for use in ("queues", "sockets", "requests", "history", "values", "channels")}


def text(number, size=60_000):
    """One of its own: the same text would be kept once."""
    return f"{number:08}" + "x" * (size - 8)


def to_channels(channels, message):
    names = ",".join(f'"c{i}"' for i in channels)
    return post('{"channels":[%s],"message":"%s"}' % (names, message))


@pytest.mark.skipif(SANITIZED, reason="the sanitizers' own memory is many times as much")
def test_slow_readers_have_a_total_and_the_others_are_served_while_they_are_closed():
    """Without one the messages of 384 channels would take 200 MB, and none of these queues is too large by itself."""
    with Server(PUSH_MEMORY_MAX="32mb") as server, Watch(server), contextlib.ExitStack() as stack:
        before = server.metric("process_resident_memory_bytes")
        slow = [stack.enter_context(subscribe_slowly(server.port, f"c{i}")) for i in range(384)]
        server.wait_metric("push_subscriptions", 385)
        with Connection(server.port) as publisher:
            for round_ in range(12):
                for channel in range(384):
                    publisher.send(to_channels([channel], text(round_ * 384 + channel, 45_000)))
                    assert publisher.read_answer().status == 202
                assert sum(in_use(server).values()) < 33 * MB
        assert server.metric("process_resident_memory_bytes") - before < 64 * MB
        assert relieved(server, "clients") > 100
        assert server.metric('push_disconnects_total{transport="sse",reason="memory"}') > 100
        assert relieved(server, "history") == relieved(server, "publishes") == 0
        for client in slow:
            client.close()
        server.wait_metric('push_connections{transport="sse"}', 0)
        # what was freed goes back to the system
        end = time.monotonic() + SLACK_S
        while server.metric("process_resident_memory_bytes") - before > 16 * MB:
            assert time.monotonic() < end, "the heap keeps what was freed"
            time.sleep(0.1)


def test_a_slow_websocket_that_gives_way_finds_1013():
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_CLIENT_QUEUE_MAX_SIZE="64mb") as server, \
            WebSocket(server.port, "slow", answer=False) as ws:
        for number in range(300):  # 18 MB
            if relieved(server, "clients"):
                break
            assert server.publish("slow", text(number)).status == 202
        while (got := ws.read_frame())[0] != CLOSE:
            assert got[0] in (TEXT, PING)
        assert got[1][:2] == b"\x03\xf5"  # 1013
        server.wait_metric('push_disconnects_total{transport="ws",reason="memory"}', 1)


def test_a_text_that_is_published_to_many_channels_is_kept_once():
    with Server() as server, contextlib.ExitStack() as stack:
        for i in range(128):
            stack.enter_context(subscribe_slowly(server.port, f"c{i}"))
        server.wait_metric("push_subscriptions", 128)
        with Connection(server.port) as publisher:
            for number in range(10):
                publisher.send(to_channels(range(128), text(number)))
                assert publisher.read_answer().status == 202
        assert server.metric("push_outbox_bytes") > 30 * MB
        assert in_use(server)["queues"] < 3 * MB


def test_history_gives_way_before_publishes_and_its_clients_are_told_of_the_gap():
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_HISTORY_SIZE=1000) as server:
        assert server.publish("kept", "first").status == 202
        first = get(server.port, "/messages?channel=kept").json["id"]
        for n in range(300):
            assert server.publish("kept", text(n, 50_000)).status == 202
        use = in_use(server)
        assert 4 * MB < use["history"] < 8 * MB
        assert relieved(server, "history") > 100
        assert relieved(server, "publishes") == relieved(server, "clients") == 0
        with EventStream(server.port, "kept", headers=[f"Last-Event-ID: {first}"]) as stream:
            assert stream.raw().startswith(b"event:heartbeat")
            gap = re.search(rb'^event:gap\ndata:{"channel":"kept","missed":(\d+|"unknown")}', stream.raw())
            assert gap


def half_a_publish(port, size):
    """A body of which the last byte is missing."""
    s = socket.create_connection(("127.0.0.1", port))
    head = f"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    s.sendall(head.encode() + b"x" * (size - 1))
    return s


def test_messages_that_clients_have_begun_give_way_to_publishes():
    begun = frame(TEXT, "x" * 1_000_000)[:-1]
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_CLIENT_MESSAGE_MAX_SIZE="1mb") as server, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(WebSocket(server.port, "begun")) for _ in range(40)]
        for client in clients:
            with contextlib.suppress(OSError):  # closed for what it has begun
                client.send(begun)
            answer = server.publish("a", 1)
            assert answer.status == 202 or not DIRECT
        end = time.monotonic() + SLACK_S
        while server.metric('push_disconnects_total{transport="ws",reason="memory"}') < 30:
            assert time.monotonic() < end, in_use(server)
            time.sleep(0.02)
        assert sum(in_use(server).values()) < 9 * MB
        assert server.publish("a", 1).status == 202
        for client in clients[:10] if DIRECT else ():  # the oldest; with lws, those that send just then
            while (got := client.read_frame())[0] != CLOSE:
                assert got[0] in (TEXT, PING)
            assert got[1][:2] == b"\x03\xf5"  # 1013


def test_publishes_are_refused_last_with_a_time_to_try_again_and_taken_again_afterwards():
    """What is under way to Redis cannot be freed."""
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url(), PUSH_MEMORY_MAX="8mb") as server, \
            contextlib.ExitStack() as stack:
        assert server.publish("a", 1).status == 202
        redis.freeze()
        publishers = []
        while not relieved(server, "publishes") and not relieved(server, "answers"):  # half read, or whole
            assert len(publishers) < 300
            publishers.append(stack.enter_context(Connection(server.port)))
            publishers[-1].send(to_channels([0], text(len(publishers))))
        answered = select.select([publisher.socket for publisher in publishers], [], [], SLACK_S)[0]
        answers = [publisher.read_answer() for publisher in publishers if publisher.socket in answered]
        refused = next(answer for answer in answers if "push.memory.max" in answer.error)
        assert refused.status == 503 and refused.headers["retry-after"]
        assert 6 * MB < in_use(server)["requests"] < 9 * MB
        redis.thaw()
        end = time.monotonic() + SLACK_S
        while server.publish("a", 1).status != 202:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.mark.skipif(not DIRECT, reason="lws keeps such answers in its own memory")
def test_answers_that_are_not_read_are_charged_and_give_way():
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_HISTORY_SIZE=100) as server, contextlib.ExitStack() as stack:
        for n in range(20):
            assert server.publish("kept", text(n, 50_000)).status == 202
        request = b"GET /messages?channel=kept&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(120):
            client = slow_socket(server.port, request * 20)
            stack.enter_context(client)
        end = time.monotonic() + SLACK_S
        while not relieved(server, "answers"):
            assert time.monotonic() < end, in_use(server)
            time.sleep(0.05)
        assert sum(in_use(server).values()) < 9 * MB
        assert get(server.port, "/messages?channel=kept&limit=5").status == 200


def test_workers_share_the_budget():
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url(), PUSH_WORKERS=2, PUSH_MEMORY_MAX="64mb") as server:
        server.wait_metric("push_workers", 2)
        server.wait_metric("push_memory_max_bytes", 64 * MB)


def test_by_default_half_of_what_there_is_may_be_used(server):
    total = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) * 1024
    assert 8 * MB <= server.metric("push_memory_max_bytes") <= total / 2


def test_all_that_waits_for_a_client_is_shown_and_gone_with_it(server):
    with subscribe_slowly(server.port, "shown"):
        server.wait_metric("push_subscriptions", 1)
        for n in range(12):
            assert server.publish("shown", text(n)).status == 202
        use = in_use(server)
        assert 100_000 < use["queues"] < MB and use["channels"] > 0
        assert use["sockets"] >= 65536 or not DIRECT
    server.wait_metric('push_connections{transport="sse"}', 0)
    use = in_use(server)
    assert use["queues"] < 10_000 and use["sockets"] == use["requests"] == use["channels"] == 0


def test_channels_of_idle_clients_leave_room_for_publishes():
    with Server(PUSH_MEMORY_MAX="8mb") as server, contextlib.ExitStack() as stack:
        refused = None
        for i in range(500):
            names = ",".join(f"c{i}-{k}-{'n' * 15}" for k in range(128))
            client = stack.enter_context(EventStream(server.port, names))
            if client.status != 200:
                refused = client.status
                break
        assert refused == 503
        assert server.publish("a", "x" * 1000).status == 202
        assert in_use(server)["channels"] < 7 * MB
        assert relieved(server, "publishes") == 0


def test_a_text_that_two_histories_keep_is_of_history_until_both_have_dropped_it():
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_HISTORY_RULES="a=1/5m b=1000/5m") as server, \
            Connection(server.port) as publisher:
        for n in range(250):
            publisher.send(post('{"channels":["a","b"],"message":"%s"}' % text(n, 50_000)))
            assert publisher.read_answer().status == 202
        assert in_use(server)["history"] > 4 * MB > MB > in_use(server)["queues"]
        assert relieved(server, "history") > 50


def read_all(clients):
    def drain(client):
        with contextlib.suppress(OSError):
            while client.read_frame():
                pass

    for client in clients:
        threading.Thread(target=drain, args=(client,), daemon=True).start()


def test_clients_that_never_acknowledge_give_way_before_publishes_do():
    with Server(PUSH_MEMORY_MAX="8mb", PUSH_HISTORY_SIZE=100) as server, contextlib.ExitStack() as stack:
        read_all([stack.enter_context(WebSocket(server.port, f"p{i}&acks=true")) for i in range(12)])
        for n in range(16 * 12):
            assert server.publish(f"p{n % 12}", text(n)).status == 202
        assert relieved(server, "clients") > 0 and relieved(server, "publishes") == 0


def test_values_take_a_quarter_of_a_small_budget():
    with Server(PUSH_MEMORY_MAX="8mb") as server, Connection(server.port) as publisher:
        for n in range(12_000):
            publisher.send(post('{"channel":"a","message":1}', headers=[f"Idempotency-Key: {n:0200}"]))
            assert publisher.read_answer().status == 202
        assert in_use(server)["values"] <= 2 * MB
        assert server.publish("a", 1).status == 202


def test_bodies_that_do_not_end_give_way_to_publishes_that_do():
    with Server(PUSH_MEMORY_MAX="8mb") as server, contextlib.ExitStack() as stack:
        for _ in range(140):
            stack.enter_context(half_a_publish(server.port, 60_000))
        end = time.monotonic() + SLACK_S
        while not relieved(server, "answers" if DIRECT else "publishes"):
            assert time.monotonic() < end, in_use(server)
            stack.enter_context(half_a_publish(server.port, 60_000))
        if DIRECT:
            assert [server.publish("a", "x" * 1000).status for _ in range(20)] == [202] * 20

