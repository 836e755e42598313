"""
One subscription over many connections.

A task holds the connection and puts what comes into a queue, in order; the loop of the program takes it from there and
calls the handlers. The queue is bounded: for a slow loop the task stops reading, and so, in the end, does the server.

Each connection starts after the newest id, so that the server replays what was missed or reports the gap. When the
server asks to reconnect, the new connection opens before the old one is closed, and what both bring is given to the
program once: by its id, or, in channels without history, by its content.

With acks, an id counts once the loop has asked for the next message. Only ids that came on the connection at hand can be
acknowledged there; the others were sent by an earlier one, and come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import random
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ._types import Gap, Message, PushError, State, Why, channel_names

OPEN_S = 10.0
SILENT_S = 5.0  # and two heartbeats
STABLE_S = 5.0
QUIET_S = 0.15
MOVE_S = 1.5
SETTLE_S = 3.0
ACK_S = 0.01
HEARTBEAT_S = 30.0  # until it is known
BACKOFF_S, BACKOFF_MAX_S = 0.5, 30.0
QUEUE_MAX = 1000  # messages that the loop has not asked for
SEEN_MAX = 2000  # ids, more than an ack window and the queue together
REFUSED_CODES = (1003, 1007, 1008, 1009)
RETRIED_STATUSES = (408, 429)

log = logging.getLogger("push_client")
connect: Any = getattr(websockets, "connect")  # which old versions do not declare


@dataclass
class Handlers:
    """Functions that a program may give."""

    gap: Callable[[Gap], object] | None = None
    resumed: Callable[[int], object] | None = None
    unknown: Callable[[], object] | None = None
    error: Callable[[str, list[str]], object] | None = None
    state: Callable[[State, Why], object] | None = None


class Lost(Exception):
    """A connection could not be made, or is no more."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why

    @property
    def is_refusal(self) -> bool:
        status = self.why.status or 0
        return self.why.code in REFUSED_CODES or (400 <= status < 500 and status not in RETRIED_STATUSES)


class Link:
    """One connection."""

    def __init__(self, socket: Any, channels: Iterable[str]) -> None:
        self.socket = socket
        self.channels = set(channels)
        self.opened_at = _now()
        self.beat_at: float | None = None
        self.ids: OrderedDict[str, None] = OrderedDict()  # that came on it and are not acknowledged yet
        self.error: str | None = None
        # a successor, for a while: what its predecessor brought without an id, and it may bring again
        self.settles_at = 0.0
        self.copies: dict[str, list[str]] = {}
        # and gaps that are none if the next message of the channel has come by its predecessor
        self.gaps: dict[str, Gap] = {}
        self.receiving: asyncio.Task[Any] | None = None

    async def receive(self, seconds: float, beside: asyncio.Task[Any] | None = None) -> dict[str, Any] | None:
        """The next event, or None if there is none for so long, or until the task beside it is done. Raises Lost."""
        if self.receiving is None:
            self.receiving = asyncio.ensure_future(self.socket.recv())
        await asyncio.wait({self.receiving} | ({beside} if beside else set()), timeout=seconds,
                           return_when=asyncio.FIRST_COMPLETED)
        if not self.receiving.done():
            return None
        receiving, self.receiving = self.receiving, None
        try:
            frame = json.loads(receiving.result())
        except ConnectionClosed as closed:
            raise Lost(Why(code=closed.rcvd.code if closed.rcvd else None, error=self.error)) from closed
        except ValueError:
            return {}
        if not isinstance(frame, dict):
            return {}
        if isinstance(frame.get("error"), str):
            self.error = frame["error"]
        return frame

    async def send(self, event: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):  # which is noticed by receive()
            await self.socket.send(json.dumps({"event": event, "data": data}))

    async def close(self) -> None:
        if self.receiving is not None:
            self.receiving.cancel()
            await asyncio.wait([self.receiving])
        await self.socket.close()


class Subscription:
    """Messages of channels: `async with push.subscribe("a") as subscription: async for message in subscription: ...`"""

    def __init__(self, url: str, channels: Iterable[str], *, id: str | None, acks: bool, client: str | None,
                 handlers: Handlers) -> None:
        self._url = url
        self._channels = dict.fromkeys(channel_names(channels))
        if not self._channels:
            raise ValueError("a subscription must have a channel")
        self._id = id  # where the next connection starts
        self._loop_id = id
        self._acks = acks or client is not None
        self._client = client
        self._handlers = handlers
        self._state: State = "idle"
        self._queue: asyncio.Queue[Callable[[], Message | None]] = asyncio.Queue(QUEUE_MAX)
        self._end: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._at: Message | None = None  # that the loop works on
        self._handled: str | None = None
        self._acking: asyncio.Task[None] | None = None
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._plain: set[str] = set()  # channels without ids
        self._copies: dict[str, list[str]] | None = None  # while it moves
        self._beat_s = HEARTBEAT_S
        self._on_closed: list[Callable[[Subscription], object]] = []
        self._changed = asyncio.Event()

    # What the program calls

    @property
    def state(self) -> State:
        return self._state

    @property
    def id(self) -> str | None:
        """How far the loop has come: keep it, and give it as `id` to start after it."""
        return self._loop_id

    async def __aenter__(self) -> Subscription:
        self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        if error is None:
            self._settle()
        await self.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message:
        """The next message. Raises PushError if the server refuses the subscription."""
        self._start()
        self._settle()
        while self._state != "closed":
            if self._end is not None and self._queue.empty():
                raise self._end
            self._at = (await self._queue.get())()
            if self._at is not None:
                return self._at
        raise StopAsyncIteration

    async def opened(self) -> None:
        """Waits until it is connected: what is published from then on comes. Raises PushError if the server refuses."""
        self._start()
        while self._state not in ("open", "moving"):
            if self._end is not None:
                raise self._end
            if self._state == "closed":
                raise PushError("the subscription is closed")
            self._changed.clear()
            await self._changed.wait()

    async def add(self, *channels: str) -> None:
        """Subscribes to more channels."""
        self._channels |= dict.fromkeys(channel_names(channels))
        await self._follow()

    async def remove(self, *channels: str) -> None:
        """Leaves channels; one at least must stay."""
        if not self._channels.keys() - set(channels):
            raise ValueError("a subscription must have a channel: close it instead")
        for name in channels:
            self._channels.pop(name, None)
        await self._follow()

    async def close(self) -> None:
        """Ends the connection, and the loop."""
        if self._state == "closed":
            return
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._acking is not None:
            self._acking.cancel()
        self._enter("closed")
        self._wake()
        for handler in self._on_closed:
            handler(self)

    def on_closed(self, handler: Callable[[Subscription], object]) -> None:
        self._on_closed.append(handler)

    # What the loop has done

    def _settle(self) -> None:
        message, self._at = self._at, None
        if self._acks and message is not None and message.id is not None:
            self._id = self._handled = message.id
            self._ack_soon()

    def _ack_soon(self) -> None:
        if self._acking is None or self._acking.done():
            self._acking = asyncio.ensure_future(self._ack_later())

    async def _ack_later(self) -> None:
        await asyncio.sleep(ACK_S)
        if self._link is not None:
            await self._ack(self._link)

    async def _ack(self, link: Link) -> None:
        handled = self._handled
        if handled is None or handled not in link.ids:
            return
        while link.ids.popitem(last=False)[0] != handled:
            pass
        await link.send("ack", {"id": handled})

    # The connections

    def _start(self) -> None:
        if self._task is None and self._state != "closed":
            self._task = asyncio.ensure_future(self._run())

    def _enter(self, state: State, why: Why = Why()) -> None:
        if self._state != state:
            self._state = state
            self._changed.set()
            if self._handlers.state is not None:
                self._handlers.state(state, why)

    def _wake(self) -> None:
        self._changed.set()
        with contextlib.suppress(asyncio.QueueFull):  # then nobody waits
            self._queue.put_nowait(lambda: None)

    async def _run(self) -> None:
        tries = 0
        try:
            while True:
                try:
                    self._enter("connecting")
                    self._link, ping = await self._open()
                    self._enter("open")
                    await self._take(self._link, ping)
                    await self._follow()
                    await self._serve()
                except Lost as lost:
                    tries = await self._lost(lost, tries)
        except Exception as error:
            # a refusal; a fault in here, or in the handler of the state, must not be silence either
            self._end = error
            self._wake()
        finally:
            await self._drop()

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await self._ack(link)
            await link.close()

    async def _lost(self, lost: Lost, tries: int) -> int:
        """Waits, and returns the number of tries; raises PushError where another one is of no use."""
        why, link = lost.why, self._link
        if link is not None:
            await self._tell_gaps(link)
        if link is not None and _now() - link.opened_at > STABLE_S:
            tries = 0
        await self._drop()
        if lost.is_refusal:
            self._enter("refused", why)
            raise PushError(why.error or f"{self._url} refused the subscription", status=why.status, code=why.code) from lost
        wait = min(BACKOFF_MAX_S, BACKOFF_S * 2**tries) * random.uniform(0.5, 1.0)
        why = replace(why, wait=max(wait, why.wait or 0.0))
        if link is None and self._handlers.state is None:
            log.warning("no connection to %s (%s), next try in %.1f s", self._url, why.error or why.code or why.status, why.wait)
        self._enter("waiting", why)
        await asyncio.sleep(why.wait or 0.0)
        return tries + 1

    def _request(self) -> str:
        query = "channels=" + ",".join(_quote(name) for name in self._channels)
        if self._id:
            query += "&last_event_id=" + _quote(self._id)
        if self._client is not None:
            query += "&client=" + _quote(self._client)
        elif self._acks:
            query += "&acks=true"
        return "ws" + self._url.removeprefix("http") + "/ws/messages?" + query

    async def _open(self) -> tuple[Link, dict[str, Any]]:
        """A connection, and its first ping. Raises Lost."""
        channels = list(self._channels)
        try:
            async with asyncio.timeout(OPEN_S):
                socket = await connect(self._request(), compression=None, ping_interval=None, close_timeout=1,
                                       max_size=None, open_timeout=None)
        except InvalidHandshake as error:
            raise Lost(_why_of(error)) from error
        except TimeoutError as error:
            raise Lost(Why(silent=True, error="no answer")) from error
        except (OSError, EOFError, ConnectionClosed) as error:
            raise Lost(Why(error=str(error) or None)) from error
        link = Link(socket, channels)
        try:
            while True:
                frame = await link.receive(OPEN_S)
                if frame is None:
                    raise Lost(Why(silent=True, error="no answer"))
                if frame.get("event") == "ping":
                    return link, frame
        except BaseException:
            await link.close()
            raise

    async def _serve(self) -> None:
        """Reads until the connection ends, and moves when the server asks. Raises Lost."""
        while self._link is not None:
            frame = await self._link.receive(SILENT_S + 2 * self._beat_s)
            if frame is None:
                raise Lost(Why(silent=True))
            if frame.get("event") == "reconnect":
                await self._move(self._link)
            else:
                await self._take(self._link, frame)

    async def _move(self, old: Link) -> None:
        """Opens a new connection while the old one serves on, and then closes that. Raises Lost."""
        self._enter("moving")
        copies: dict[str, list[str]] = {}
        self._copies = copies
        try:
            link, ping = await self._open_beside(old)
        finally:
            self._copies = None
        link.copies, link.settles_at = copies, _now() + SETTLE_S
        await self._ack(old)
        self._link = link
        await old.close()
        self._enter("open")
        await self._take(link, ping)
        await self._follow()

    async def _open_beside(self, old: Link) -> tuple[Link, dict[str, Any]]:
        opening = asyncio.ensure_future(self._open())
        try:
            while True:
                is_serving = await self._read_beside(old, opening)
                try:
                    opened = await opening
                except Lost:
                    if not is_serving:
                        raise
                    opening = asyncio.ensure_future(self._open_later(random.uniform(0.5, 1.0)))
                    continue
                # what is on its way on the old one
                until = _now() + MOVE_S
                while is_serving and _now() < until:
                    is_serving = await self._read_one(old, QUIET_S)
                return opened
        except BaseException:
            opening.cancel()
            with contextlib.suppress(Lost, asyncio.CancelledError):
                await (await opening)[0].close()
            raise

    async def _open_later(self, seconds: float) -> tuple[Link, dict[str, Any]]:
        await asyncio.sleep(seconds)
        return await self._open()

    async def _read_beside(self, old: Link, opening: asyncio.Task[Any]) -> bool:
        """Serves the old connection until the task is done; false if that has ended."""
        while not opening.done():
            try:
                frame = await old.receive(SILENT_S + 2 * self._beat_s, opening)
            except Lost:
                return False
            if frame is not None:
                await self._take(old, frame)
        return True

    async def _read_one(self, old: Link, seconds: float) -> bool:
        """False if nothing came for so long, or the connection has ended."""
        try:
            frame = await old.receive(seconds)
        except Lost:
            return False
        if frame is not None:
            await self._take(old, frame)
        return frame is not None

    async def _follow(self) -> None:
        """The connection follows the channels."""
        link = self._link
        if link is None:
            return
        for event, names in (("subscribe", self._channels.keys() - link.channels),
                             ("unsubscribe", link.channels - self._channels.keys())):
            for name in names:
                await link.send(event, {"channels": [name]})  # a frame must not be long
        link.channels = set(self._channels)

    # What comes

    async def _take(self, link: Link, frame: dict[str, Any]) -> None:
        event, data = frame.get("event"), frame.get("data")
        if not isinstance(data, dict):
            return
        if event == "message":
            await self._take_message(link, data)
        elif event == "ping":
            now = _now()
            if link.beat_at is not None:
                self._beat_s = now - link.beat_at
            link.beat_at = now
            if data.get("new") is True:
                await self._call(self._handlers.unknown)
            await self._tell_gaps(link)
        elif event == "gap":
            await self._take_gap(link, data)
        elif event == "resumed" and not link.settles_at:
            await self._call(self._handlers.resumed, data.get("replayed", 0))
        elif event == "error":
            await self._take_error(link, data)
        if event in ("ping", "subscribed") and isinstance(data.get("id"), str):
            await self._take_position(data["id"])

    async def _take_gap(self, link: Link, data: dict[str, Any]) -> None:
        channel, missed = data.get("channel"), data.get("missed")
        gap = Gap(channel, missed if isinstance(missed, int) else None)
        if channel is None or _now() > link.settles_at:
            await self._call(self._handlers.gap, gap)
        elif channel not in self._plain:
            link.gaps[channel] = gap
        # what is not kept was not missed either, while both connections were open

    async def _tell_gaps(self, link: Link) -> None:
        for gap in link.gaps.values():
            await self._call(self._handlers.gap, gap)
        link.gaps.clear()

    async def _take_position(self, id: str) -> None:
        if not self._acks or self._id is None:
            self._id = id

        def come_so_far() -> None:
            self._loop_id = id

        await self._queue.put(come_so_far)

    async def _take_error(self, link: Link, data: dict[str, Any]) -> None:
        error = str(data.get("error"))
        channels = data.get("channels") or [data[name] for name in ("channel",) if name in data]
        for name in channels:
            self._channels.pop(name, None)
            link.channels.discard(name)
        if self._handlers.error is None:
            log.warning("%s: %s", error, ", ".join(map(str, channels)))
        await self._call(self._handlers.error, error, channels)

    async def _take_message(self, link: Link, data: dict[str, Any]) -> None:
        channel, id = data.get("channel"), data.get("id")
        if not isinstance(channel, str):
            return
        gap = link.gaps.pop(channel, None)
        if not self._is_new(link, channel, id, data):
            return
        if gap is not None:
            await self._call(self._handlers.gap, gap)
        message = Message(channel, data.get("message"), id)

        def come_to_message() -> Message:
            if id is not None:
                self._loop_id = id
            return message

        if channel in self._channels:
            await self._queue.put(come_to_message)
        if id is not None and not self._acks:
            self._id = id

    def _is_new(self, link: Link, channel: str, id: str | None, data: dict[str, Any]) -> bool:
        if id is None:
            self._plain.add(channel)
            return self._is_no_copy(link, channel, data)
        if self._acks:
            link.ids[id] = None
        if (channel, id) in self._seen:
            self._ack_soon()  # if it was handled, its ack was lost
            return False
        self._seen[channel, id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return True

    def _is_no_copy(self, link: Link, channel: str, data: dict[str, Any]) -> bool:
        if _now() > link.settles_at:
            link.copies = {}
        if not link.copies and self._copies is None:
            return True
        text, before = json.dumps(data), link.copies.get(channel, [])
        if text in before:
            del before[:before.index(text) + 1]
            return False
        before.clear()
        if self._copies is not None:
            self._copies.setdefault(channel, []).append(text)
        return True

    async def _call(self, handler: Callable[..., object] | None, *data: object) -> None:
        """By the loop, in order with the messages."""
        if handler is None:
            return
        call = functools.partial(handler, *data)

        def come_to_event() -> None:
            call()

        await self._queue.put(come_to_event)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _why_of(error: InvalidHandshake) -> Why:
    """The status and Retry-After of a response that is no upgrade, in whichever way this version of websockets shows them."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    headers = getattr(error, "headers", None) or getattr(response, "headers", None) or {}
    wait = headers.get("Retry-After")
    return Why(status=status, error=str(error), wait=float(wait) if wait and wait.isdigit() else None)
