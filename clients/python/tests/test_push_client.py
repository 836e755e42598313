"""The Python client, against a real server and a network that breaks."""

import asyncio
import importlib.util
import itertools
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import websockets

from flaky_network import Network
from http1 import get
from ports import free_port
from push_client import Gap, Message, Published, Push, PushError
from redis_servers import RedisServer, wait_until
from server import SOURCE, Server

PACKAGE = Path(__file__).resolve().parent.parent
LONG_LIVED = {"PUSH_RECONNECT_DITHER_MIN_DURATION": "1h", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1h"}
SHORT_LIVED = {"PUSH_RECONNECT_DITHER_MIN_DURATION": "21s", "PUSH_RECONNECT_DITHER_MAX_DURATION": "21500ms",
               "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "20s"}  # it asks after a second, and leaves time for the move
HISTORY = {"PUSH_HISTORY_SIZE": 1000, "PUSH_HISTORY_RULES": "plain:=0 last:=1", "PUSH_HEARTBEAT_INTERVAL_DURATION": "500ms",
           "PUSH_DRAIN_DURATION": "100ms"}
PATIENCE_S = 120

names = (f"room:{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def server():
    with Server(**HISTORY, **LONG_LIVED) as running:
        yield running


@pytest.fixture(scope="module")
def short_lived():
    with Server(**HISTORY, **SHORT_LIVED) as running:
        yield running


@pytest.fixture
def room():
    return next(names)


def run(test):
    """Runs a test that is a coroutine."""
    asyncio.run(asyncio.wait_for(test, 2 * PATIENCE_S))


def url(server):
    return f"http://127.0.0.1:{server.port}"


class Told:
    """What the handlers were told."""

    def __init__(self):
        self.gaps, self.resumed, self.unknown, self.errors, self.states, self.whys = [], [], [], [], [], []
        self.handlers = {"gap": self.gaps.append, "resumed": self.resumed.append,
                         "unknown": lambda: self.unknown.append(True),
                         "error": lambda error, channels: self.errors.append((error, channels)),
                         "state": lambda state, why: (self.states.append(state), self.whys.append(why))}


async def until(is_true):
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():
            await asyncio.sleep(0.005)


async def reaches(subscription, state):
    await until(lambda: subscription.state == state)


async def take(subscription, count):
    """The next messages, without their channels and ids."""
    async with asyncio.timeout(PATIENCE_S):
        return [(await anext(subscription)).message for _ in range(count)]


async def subscribers(push, channel, count, message="probe"):
    async with asyncio.timeout(PATIENCE_S):
        while (await push.publish(channel, message)).subscribers != count:
            await asyncio.sleep(0.01)


def test_a_loop_gets_each_message_with_its_channel_and_id_in_order(server, room):
    async def test():
        async with Push(url(server)) as push, push.subscribe(room, "plain:other") as subscription:
            await reaches(subscription, "open")
            for message in ["text", {"a": [1, None]}, 3]:
                assert (await push.publish(room, message)).subscribers == 1
            await push.publish("plain:other", "unkept")
            got = [await anext(subscription) for _ in range(4)]
            assert [(each.channel, each.message) for each in got] == [
                (room, "text"), (room, {"a": [1, None]}), (room, 3), ("plain:other", "unkept")]
            assert all(isinstance(each.id, str) for each in got[:3]) and got[3] == Message("plain:other", "unkept", None)
            assert subscription.id == got[2].id
    run(test())


def test_after_a_cut_it_comes_back_with_what_it_missed(server, room):
    async def test():
        told = Told()
        async with Network(server.port) as network, Push(network.url) as push:
            subscription = push.subscribe(room, **told.handlers)
            async with subscription:
                await reaches(subscription, "open")
                server.publish(room, 0)
                assert await take(subscription, 1) == [0]
                network.is_down = True
                network.cut()
                await reaches(subscription, "waiting")
                server.publish(room, 1)
                network.is_down = False
                await reaches(subscription, "open")
                server.publish(room, 2)
                assert await take(subscription, 2) == [1, 2]
        assert told.gaps == [] and told.resumed == [1]
        assert told.states[-1] == "closed"
    run(test())


def test_it_resumes_before_it_has_received_anything(server, room):
    async def test():
        async with Network(server.port) as network, Push(network.url).subscribe(room) as subscription:
            await reaches(subscription, "open")
            network.cut()
            server.publish(room, 0)
            assert await take(subscription, 1) == [0]
    run(test())


def test_nothing_is_lost_or_doubled_while_the_network_is_cut_all_the_time(server, room):
    async def test():
        told = Told()
        async with Network(server.port) as network, Push(network.url).subscribe(room, **told.handlers) as subscription:
            await reaches(subscription, "open")
            got = []

            async def read():
                async for message in subscription:
                    got.append(message.message)
            reading = asyncio.ensure_future(read())
            count, cuts = 0, 0
            while cuts < 3:
                for _ in range(20):
                    await asyncio.to_thread(server.publish, room, count)
                    count += 1
                await asyncio.sleep(0.05)  # so that history reaches back over the longest wait
                if subscription.state == "open":
                    network.cut()
                    cuts += 1
            await until(lambda: len(got) >= count)
            assert got == list(range(count))
            await subscription.close()
            await reading
        assert told.gaps == []
    run(test())


def test_it_says_in_its_place_how_many_messages_are_missing(server):
    async def test():
        room = f"last:{next(names)}"
        told = []
        async with Network(server.port) as network:
            push = Push(network.url)
            async with push.subscribe(room, gap=told.append) as subscription:
                await reaches(subscription, "open")
                network.is_down = True
                network.cut()
                await reaches(subscription, "waiting")
                for n in range(4):
                    server.publish(room, n)
                network.is_down = False
                async with asyncio.timeout(PATIENCE_S):
                    told.append(await anext(subscription))
        assert told[0] == Gap(room, 3) and told[1].message == 3
    run(test())


def test_after_a_restart_of_the_embedded_broker_messages_may_be_missing(room):
    async def test():
        told = Told()
        first = Server(**HISTORY, **LONG_LIVED)
        try:
            async with Push(url(first)) as push, push.subscribe(room, **told.handlers) as subscription:
                await reaches(subscription, "open")
                await push.publish(room, "before")
                assert await take(subscription, 1) == ["before"]
                await asyncio.to_thread(first.stop)
                await until(lambda: subscription.state in ("waiting", "connecting"))

                def same_port(server):
                    server.port = first.port
                with Server(**HISTORY, **LONG_LIVED, before=same_port):
                    await reaches(subscription, "open")
                    await push.publish(room, "after")
                    assert await take(subscription, 1) == ["after"]
                    await subscription.close()
            assert told.gaps == [Gap(room, None)]
        finally:
            first.process.kill()
            shutil.rmtree(first.folder, ignore_errors=True)
    run(test())


def test_with_history_in_redis_nothing_is_missing_after_a_restart(room):
    async def test(redis):
        told = Told()
        first = Server(**HISTORY, **LONG_LIVED, PUSH_REDIS_URL=redis.url())
        try:
            with Server(**HISTORY, **LONG_LIVED, PUSH_REDIS_URL=redis.url()) as other:
                async with Push(url(first)) as push, push.subscribe(room, **told.handlers) as subscription:
                    await reaches(subscription, "open")
                    await push.publish(room, 0)
                    assert await take(subscription, 1) == [0]
                    await asyncio.to_thread(first.stop)
                    await until(lambda: subscription.state in ("waiting", "connecting"))
                    other.publish(room, 1)

                    def same_port(server):
                        server.port = first.port
                    with Server(**HISTORY, **LONG_LIVED, PUSH_REDIS_URL=redis.url(), before=same_port):
                        assert await take(subscription, 1) == [1]
                        await until(lambda: subscription.state == "open")
                        await push.publish(room, 2)
                        assert await take(subscription, 1) == [2]
                        await subscription.close()
            assert told.gaps == []
        finally:
            first.process.kill()
            shutil.rmtree(first.folder, ignore_errors=True)
    with RedisServer() as redis:
        run(test(redis))


@pytest.mark.parametrize("acks", [False, True])
def test_it_moves_when_the_server_asks_and_loses_and_doubles_nothing_with_history_or_without(short_lived, acks):
    async def test():
        told = Told()
        busy = [next(names), f"plain:{next(names)}"]
        if not acks:
            busy.append(f"last:{next(names)}")  # of which an ack window that is full loses some
        channels = [*busy, f"plain:{next(names)}"]
        async with Push(url(short_lived)) as push, push.subscribe(*channels, acks=acks, **told.handlers) as subscription:
            await reaches(subscription, "open")
            got = {channel: [] for channel in channels}

            async def read():
                async for message in subscription:
                    got[message.channel].append(message.message)
            reading = asyncio.ensure_future(read())
            count = 0
            while told.states.count("moving") < 3:
                for channel in busy:
                    await asyncio.to_thread(short_lived.publish, channel, count)
                count += 1
            await until(lambda: all(len(got[each]) >= count for each in busy))
            assert list(got.values()) == len(busy) * [list(range(count))] + [[]]
            assert "waiting" not in told.states and told.gaps == [] and told.resumed == [] and told.errors == []
            await subscription.close()
            await reading
    run(test())


class Move:
    """
    async with Move(server, *channels) as move: the server has asked, and the new connection is subscribed beside the old
    one. before(network) is called before it is opened.
    """

    def __init__(self, server, *channels, before=lambda network: None):
        self.server, self.channels, self.before = server, channels, before
        self.told = Told()
        self.network = Network(server.port)

    async def __aenter__(self):
        await self.network.__aenter__()
        handlers = self.told.handlers
        self.subscription = Push(self.network.url).subscribe(*self.channels, **{**handlers, "state": self._enter})
        await self.subscription.opened()
        await until(lambda: self.told.states[-1] == "moving")
        await until(lambda: b'"pong"' in self.network.connections[0].brought)
        self.old, self.new = self.network.connections
        return self

    async def __aexit__(self, *_):
        await self.subscription.close()
        await self.network.__aexit__()

    def _enter(self, state, why):
        self.told.handlers["state"](state, why)
        if state == "moving" and self.told.states.count("moving") == 1:
            self.before(self.network)

    def publish(self, channel, *messages):
        for message in messages:
            self.server.publish(channel, message)

    async def brings(self, *messages):
        """These, and nothing else."""
        assert await take(self.subscription, len(messages)) == list(messages)
        self.publish(self.channels[0], "the last one")
        assert await take(self.subscription, 1) == ["the last one"]
        assert self.told.gaps == [] and "waiting" not in self.told.states


LATE_S = 0.5  # more than a quiet moment
TOO_LATE_S = 3.5  # more than any time for which copies could be remembered


def test_what_the_old_connection_brings_late_is_not_lost(short_lived, room):
    plain = f"plain:{room}"

    def before(network):
        network.connections[0].hold()
        short_lived.publish(plain, "on the old one only")

    async def test():
        async with Move(short_lived, plain, before=before) as move:
            move.publish(plain, "on both")
            await asyncio.sleep(LATE_S)
            move.old.release()
            await move.brings("on the old one only", "on both")
    run(test())


def test_what_the_old_connection_brings_to_a_loop_that_stands_still_is_not_lost(short_lived, room):
    plain = f"plain:{room}"

    def before(network):
        network.connections[0].hold()
        short_lived.publish(plain, "on the old one only")

    async def test():
        async with Move(short_lived, plain, before=before) as move:
            move.old.release()
            time.sleep(LATE_S)  # timers and sockets are due in the same turn
            await move.brings("on the old one only")
    run(test())


@pytest.mark.parametrize("is_cut", [False, True])
def test_copies_that_the_new_connection_brings_late_are_not_handed_over(short_lived, room, is_cut):
    plain = f"plain:{room}"

    async def test():
        async with Move(short_lived, plain, room) as move:
            move.new.hold()
            move.publish(plain, *range(5))
            move.publish(room, *range(5))
            assert await take(move.subscription, 10) == 2 * list(range(5))
            if is_cut:
                move.old.cut()
            await asyncio.sleep(TOO_LATE_S)
            move.publish(plain, 5)
            move.new.release()
            await move.brings(5)
    run(test())


def test_equal_messages_are_handed_over_as_often_as_they_were_published(short_lived, room):
    plain = f"plain:{room}"

    def before(network):
        network.connections[0].hold()
        short_lived.publish(plain, "tick")

    async def test():
        async with Move(short_lived, plain, before=before) as move:
            move.publish(plain, "tick")
            await asyncio.sleep(LATE_S)
            move.old.release()
            await reaches(move.subscription, "open")
            move.publish(plain, "tick", "tick")
            await move.brings(*4 * ["tick"])
    run(test())


def test_a_quiet_channel_without_history_misses_nothing_while_it_moves(short_lived, room):
    async def test():
        async with Move(short_lived, room, f"plain:{room}", f"last:{room}") as move:
            await reaches(move.subscription, "open")
            await move.brings()
            beat = move.subscription._link.beat_at
            await until(lambda: move.subscription._link.beat_at != beat)
            await move.brings()
    run(test())


def test_when_the_new_connection_is_lost_the_old_one_serves_on_until_there_is_another(short_lived, room):
    plain = f"plain:{room}"

    def before(network):
        network.connections[0].hold()

    async def test():
        async with Move(short_lived, plain, before=before) as move:
            move.new.cut()
            move.publish(plain, 0)
            await until(lambda: len(move.network.connections) == 3)
            move.publish(plain, 1)
            move.old.release()
            await move.brings(0, 1)
    run(test())


def test_it_moves_from_a_server_that_does_not_answer_a_ping(monkeypatch):
    monkeypatch.setattr("push_client._subscription.OPEN_S", 0.5)
    opened = []

    async def serve(socket, *_):
        opened.append(socket)
        await socket.send('{"event":"ping","data":{}}')
        if len(opened) == 1:
            await socket.send('{"event":"reconnect","data":{}}')
        await socket.wait_closed()

    async def test():
        async with websockets.serve(serve, "127.0.0.1", 0) as server:
            push = Push(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            async with push, push.subscribe("a") as subscription:
                await until(lambda: len(opened) == 2 and opened[0].closed)
                await reaches(subscription, "open")
                await opened[1].send('{"event":"message","data":{"channel":"a","message":1}}')
                assert await take(subscription, 1) == [1]
    run(test())


def test_a_silent_connection_is_given_up(server, room):
    async def test():
        told = Told()
        async with Network(server.port) as network, Push(network.url).subscribe(room, **told.handlers) as subscription:
            await reaches(subscription, "open")
            await until(lambda: subscription._beat_s < 2)  # it knows the interval
            network.hold()
            server.publish(room, 0)
            await until(lambda: any(why.silent for why in told.whys))
            network.release()
            assert await take(subscription, 1) == [0]
    run(test())


def test_waits_double_up_to_half_a_minute_and_half_of_each_is_random(monkeypatch):
    waits, drawn = [], []
    sleep = asyncio.sleep

    async def test():
        def state(_, why):
            if why.wait is not None:
                waits.append(why.wait)
        push = Push(f"http://127.0.0.1:{free_port()}")
        async with push.subscribe("a", state=state):
            await until_waits()

    async def until_waits():
        while len(waits) < 9:
            await sleep(0.005)

    async def no_sleep(_):
        await sleep(0)

    def uniform(low, high):
        drawn.append((low, high))
        return high
    monkeypatch.setattr("push_client._subscription.asyncio.sleep", no_sleep)
    monkeypatch.setattr("push_client._subscription.random.uniform", uniform)
    run(test())
    assert waits[:9] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert set(drawn) == {(0.5, 1.0)}


def test_a_refusal_is_raised_with_the_servers_words(server):
    async def test():
        async with Push(url(server)) as push:
            subscription = push.subscribe("a", "\x01")
            with pytest.raises(PushError, match="bad channel name") as refused:
                await anext(subscription)
            assert refused.value.code == 1008
            with pytest.raises(PushError, match="bad channel name"):
                await push.subscribe("\x01").opened()
            assert subscription.state == "refused"
            with pytest.raises(PushError):
                await anext(subscription)
    run(test())


def test_a_status_that_will_not_change_is_a_refusal_and_503_is_waited_for_as_long_as_the_server_asks():
    async def test():
        answers = ["503 Service Unavailable\r\nRetry-After: 1", "403 Forbidden"]
        told = Told()

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {answers.pop(0)}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        push = Push(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server, push:
            with pytest.raises(PushError) as refused:
                await anext(push.subscribe("a", **told.handlers))
            assert refused.value.status == 403
        assert [(why.status, why.wait) for why in told.whys if why.status] == [(503, 1), (403, None)]
    run(test())


def test_without_handlers_an_unreachable_server_is_logged(caplog):
    async def test():
        where = f"http://127.0.0.1:{free_port()}"
        async with Push(where).subscribe("a"):
            await until(lambda: caplog.messages)
        assert caplog.messages[0].startswith(f"no connection to {where} (")
    with caplog.at_level(logging.WARNING):
        run(test())


def test_what_is_published_once_it_has_opened_comes(server, room):
    async def test():
        async with Push(url(server)) as push:
            for n in range(20):
                async with push.subscribe(room) as subscription:
                    await subscription.opened()
                    assert (await push.publish(room, n)).subscribers == 1
                    assert await take(subscription, 1) == [n]
                with pytest.raises(PushError, match="closed"):
                    await subscription.opened()
    run(test())


def test_mistakes_are_errors_at_once():
    push = Push("http://localhost")
    with pytest.raises(ValueError, match="'localhost:8080' must begin with http:// or https://"):
        Push("localhost:8080")
    for name in ["a,b", "", 7]:
        with pytest.raises(ValueError, match="a channel must be a name without a comma"):
            push.subscribe("kept", name)
    with pytest.raises(ValueError, match="a subscription must have a channel"):
        push.subscribe()
    with pytest.raises(TypeError, match="gaps"):
        push.subscribe("a", gaps=print)


def test_channels_change_on_the_open_connection(server, room):
    async def test():
        told = Told()
        added, removed = next(names), next(names)
        async with Push(url(server)) as push, push.subscribe(room, removed, **told.handlers) as subscription:
            await reaches(subscription, "open")
            await subscription.add(added)
            await subscription.remove(removed)
            await subscribers(push, removed, 0, "unheard")
            await subscribers(push, added, 1, "heard")
            await push.publish(room, "still here")
            got = await take(subscription, 2)
            assert got[-1] == "still here" and "unheard" not in got[:-1]
            with pytest.raises(ValueError):
                await subscription.remove(room, added)
            await subscription.add("x" * 300)
            while not told.errors:
                await push.publish(room, "on")
                assert await take(subscription, 1) == ["on"]
            assert told.errors[0][1] == ["x" * 300]
            assert [state for state in told.states if state != "closed"] == ["connecting", "open"]
    run(test())


def test_leaving_the_block_leaves_no_subscriber_behind_and_ends_the_loop(server, room):
    async def test():
        async with Push(url(server)) as push:
            async with push.subscribe(room) as subscription:
                await reaches(subscription, "open")
                waiting = asyncio.ensure_future(anext(subscription, "the end"))
                await asyncio.sleep(0)
            assert await waiting == "the end"
            await subscribers(push, room, 0)
    run(test())


def test_a_wait_for_a_message_may_be_given_up_and_nothing_is_lost(server, room):
    async def test():
        async with Push(url(server)) as push, push.subscribe(room) as subscription:
            await reaches(subscription, "open")
            for n in range(5):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(subscription), 0.01)
                await push.publish(room, n)
                assert await take(subscription, 1) == [n]
    run(test())


def test_an_id_that_was_kept_is_where_the_next_one_starts(server, room):
    async def test():
        async with Push(url(server)) as push:
            async with push.subscribe(room) as subscription:
                await reaches(subscription, "open")
                await push.publish(room, 0)
                await push.publish(room, 1)
                assert await take(subscription, 1) == [0]
            async with push.subscribe(room, id=subscription.id) as again:
                assert await take(again, 1) == [1]
    run(test())


def test_a_client_with_a_name_goes_on_after_what_its_loop_has_done(server, room):
    async def test():
        told = Told()
        name = f"client-{next(names)[5:]}"
        async with Push(url(server)) as push:
            async with push.subscribe(room, client=name, **told.handlers) as subscription:
                await reaches(subscription, "open")
                for n in range(4):
                    await push.publish(room, n)
                assert await take(subscription, 2) == [0, 1]
                await until(lambda: told.unknown)
            with pytest.raises(KeyError):
                async with push.subscribe(room, client=name) as subscription:
                    assert await take(subscription, 1) == [2]
                    raise KeyError  # it is at 2: not done
            async with push.subscribe(room, client=name) as subscription:
                assert await take(subscription, 2) == [2, 3]
    run(test())


def test_after_a_cut_it_starts_after_what_its_loop_has_done_and_acknowledges_the_rest(server, room):
    async def test():
        told = Told()
        async with Network(server.port) as network, Push(network.url) as push:
            async with push.subscribe(room, acks=True, **told.handlers) as subscription:
                await reaches(subscription, "open")
                for n in range(4):
                    server.publish(room, n)
                done = await anext(subscription)
                assert await take(subscription, 1) == [1]  # which it is at
                network.cut()
                await reaches(subscription, "waiting")
                await reaches(subscription, "open")
                assert network.heads[-1].split()[1] == f"/ws/messages?channels={quote(room, safe='')}&last_event_id={done.id}&acks=true"
                server.publish(room, 4)
                assert await take(subscription, 3) == [2, 3, 4]
                waiting = asyncio.ensure_future(anext(subscription, None))
                await until(lambda: server.metric("push_unacknowledged_messages") == 0)
        assert await waiting is None
        assert told.gaps == [] and told.errors == []
    run(test())


def test_acks_are_few_for_many_messages_and_keep_the_server_sending(server, room):
    async def test():
        told = Told()
        async with Push(url(server)) as push, push.subscribe(room, acks=True, **told.handlers) as subscription:
            await reaches(subscription, "open")
            before = server.metric("push_acks_total")
            count = 600  # more than twice push.ack.window

            async def publish(lane):
                for n in range(lane, count, 8):
                    await push.publish(room, n)
            publishing = asyncio.gather(*map(publish, range(8)))
            assert sorted(await take(subscription, count)) == list(range(count))
            await publishing
            assert told.errors == [] and told.gaps == []
            assert 0 < server.metric("push_acks_total") - before < count
    run(test())


def test_what_the_server_sends_again_comes_to_the_loop_once(room):
    async def test(server):
        async with Push(url(server)) as push, push.subscribe(room, acks=True) as subscription:
            await reaches(subscription, "open")
            await push.publish(room, 0)
            assert await take(subscription, 1) == [0]
            await until(lambda: server.metric("push_redelivered_total") > 0)
            await push.publish(room, 1)
            assert await take(subscription, 1) == [1]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(subscription), 0.3)
            await until(lambda: server.metric("push_unacknowledged_messages") == 0)
    with Server(**HISTORY, **LONG_LIVED, PUSH_ACK_TIMEOUT="300ms", PUSH_ACK_RETRIES=100) as server:
        run(test(server))


def test_publish_says_how_many_it_reached_and_a_key_makes_it_once(server, room):
    async def test():
        async with Push(url(server)) as push, push.subscribe(room) as subscription:
            await reaches(subscription, "open")
            assert await push.publish(room, 1, ttl="30s", key=f"{room}-once") == Published(1)
            assert await push.publish(room, 1, ttl="30s", key=f"{room}-once") == Published(1)
            assert await push.publish(room, 2, wait=True) == Published(1, 1)
            assert await take(subscription, 2) == [1, 2]
            with pytest.raises(PushError, match="channel") as refused:
                await push.publish("", 1)
            assert refused.value.status == 400
            with pytest.raises(PushError, match="no connection to"):
                await Push(f"http://127.0.0.1:{free_port()}").publish(room, 1)
    run(test())


def test_history_is_read_on_from_where_it_was(server, room):
    async def test():
        push = Push(url(server))
        for n in range(5):
            await push.publish(room, n)
        first = await push.history(room, limit=3)
        assert [each.message for each in first.messages] == [0, 1, 2] and first.more and first.missed == 0
        rest = await push.history(room, since=first.id)
        assert [each.message for each in rest.messages] == [3, 4] and not rest.more
        assert rest.messages[-1] == Message(room, 4, rest.id)
        with pytest.raises(PushError) as none:
            await push.history("plain:none")
        assert none.value.status == 404
    run(test())


README_PROGRAMS = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.S)


def position_is_stored(server, folder):
    newest = get(server.port, "/messages?channel=news&limit=1000").json["id"]
    return (folder / "position").exists() and (folder / "position").read_text() == newest


def test_the_readme_of_the_package_shows_a_program_that_works(server, tmp_path):
    code, _, _ = README_PROGRAMS
    program = tmp_path / "program.py"
    program.write_text(code.replace("http://localhost:8080", url(server)))
    with subprocess.Popen([sys.executable, "-u", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(PACKAGE)}) as process:
        try:
            assert process.stdout.readline() == "news {'hello': 'world'}\n"
        finally:
            process.kill()


def test_the_last_program_in_the_readme_continues_after_a_restart(tmp_path):
    _, _, code = README_PROGRAMS
    program = tmp_path / "program.py"
    with Server(PUSH_HISTORY_SIZE=10) as server:
        program.write_text(code.replace("http://localhost:8080", url(server)))
        server.publish("news", "before its first start")
        for message, expected in (("first", ["subscribed", "first"]), ("second", ["subscribed", "while it was away", "second"])):
            with subprocess.Popen([sys.executable, "-u", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                                  env={**os.environ, "PYTHONPATH": str(PACKAGE)}) as process:
                try:
                    assert process.stdout.readline() == "subscribed\n"
                    server.publish("news", message)
                    assert [process.stdout.readline().strip() for _ in expected[1:]] == expected[1:]
                    wait_until(lambda: position_is_stored(server, tmp_path), "the program stores its position")
                finally:
                    process.kill()
            server.publish("news", "while it was away")


def test_pip_installs_it_with_its_types(tmp_path):
    if not importlib.util.find_spec("pip") or not importlib.util.find_spec("setuptools"):
        pytest.skip("no pip, or no setuptools: tests/run installs them")
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(PACKAGE, source)  # where the build leaves its files
    pip = subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation",
                          "--target", target, source], capture_output=True, text=True)
    assert pip.returncode == 0, pip.stdout + pip.stderr
    assert {path.name for path in (target / "push_client").glob("[!_]*")} == {"py.typed"}
    imported = subprocess.run([sys.executable, "-c", "import push_client; print(push_client.__file__)"], cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": str(target)}, capture_output=True, text=True)
    assert imported.stdout.strip() == str(target / "push_client/__init__.py"), imported.stderr


def test_its_version_is_the_projects():
    project = re.search(r"project\(push VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text())[1]
    assert re.search(r'^version = "(.*)"$', (PACKAGE / "pyproject.toml").read_text(), re.M)[1] == project


def test_its_types_are_complete():
    mypy = shutil.which("mypy")
    if mypy is None:
        pytest.skip("no mypy: tests/run installs it")
    checked = subprocess.run([mypy, "--strict", "--cache-dir", os.devnull, "push_client"], cwd=PACKAGE,
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
