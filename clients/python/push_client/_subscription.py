"""
One subscription over many connections.

A task holds the connection and puts what comes into a queue, in order; the loop of the program takes it from there and
calls the handlers. The queue is bounded: for a slow loop the task stops reading, and so, in the end, does the server.

Each connection starts after the newest id, so that the server replays what was missed or reports the gap. When the
server asks to reconnect, the new connection opens before the old one is closed, and what both bring is given to the
program once: by its id, or, in channels without history, by its content.

No clock decides when the old connection may be closed, or when the new one can bring no more copies: a late segment or a
stalled loop would make that wrong. Pings do. The server queues a pong behind the messages that its node has given to the
connection before the ping (plugins/core/subscriber.c), so that a pong is read after them. Nodes get a message from Redis
at slightly different times, however, and one that stood still may read a ping before older messages: so each side is
pinged twice, with QUIET_S in between.

    old    ...a b c           ping  pong  .. quiet ..  ping  pong | closed
    new            ping b c   ping  pong  .. quiet ..  ping  pong | b and c are copies, and nothing that follows is one

While that goes on, the program gets the old connection's messages, and the new one's are held. If there is no quiet moment
in MOVE_S, or the old connection ends, the new one takes over all the same; copies are known until it has
answered two pings since then. A limit remains for a server that does not answer at all.

With acks, an id counts once the loop has asked for the next message. Only ids that came on the connection at hand can be
acknowledged there; the others were sent by an earlier one, and come again.

A token is the first message: which argument of connect() takes headers depends on the version of websockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import random
import urllib.parse
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ._token import Tokens
from ._types import Gap, Message, PushError, State, Why, channel_names

OPEN_S = 10.0
SILENT_S = 5.0  # and two heartbeats
STABLE_S = 5.0
QUIET_S = 0.15
MOVE_S = 1.5  # then it moves without a quiet moment, once both have answered
ACK_S = 0.01
HEARTBEAT_S = 30.0  # until it is known
BACKOFF_S, BACKOFF_MAX_S = 0.5, 30.0
QUEUE_MAX = 1000  # messages that the loop has not asked for
SEEN_MAX = 2000  # ids, more than an ack window and the queue together
UNAUTHENTICATED, FORBIDDEN = 4401, 4403
REFUSED_CODES = (1003, 1007, 1008, 1009, UNAUTHENTICATED, FORBIDDEN)
RETRIED_STATUSES = (408, 429)
LIMITED = "(push.limit."  # in the error before 1008: a limit, under which there may be room again

SETTLED: dict[str, Any] = {"event": "settled", "data": {}}  # among the frames that are held: what follows is no copy

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
    def is_for_token(self) -> bool:
        return self.why.code == UNAUTHENTICATED or self.why.status == 401

    @property
    def is_refusal(self) -> bool:
        status = self.why.status or 0
        if LIMITED in (self.why.error or ""):
            return False
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
        self.pongs: deque[Callable[[], object]] = deque()  # what is to be done when a ping is answered, in their order
        self.held: deque[dict[str, Any]] = deque()  # frames that came before it was served
        # a successor: whether its predecessor was still subscribed when it was itself
        self.moved = False
        # until it is settled: what its predecessor brought without an id, and it may bring as well
        self.copies: dict[str, list[str]] | None = None
        # and gaps that are none if the next message of the channel has come by its predecessor
        self.gaps: dict[str, Gap] | None = None
        self.settling: asyncio.Task[None] | None = None
        self.receiving: asyncio.Task[Any] | None = None
        self.renewing: asyncio.Task[None] | None = None

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
        if frame.get("event") == "pong" and self.pongs:
            self.pongs.popleft()()
        return frame

    async def send(self, event: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):  # which is noticed by receive()
            await self.socket.send(json.dumps({"event": event, "data": data}))

    async def ping(self, then: Callable[[], object]) -> None:
        """Calls the function when the answer is read: after what was published before, and before what follows."""
        self.pongs.append(then)
        await self.send("ping", {})

    def settle(self) -> None:
        self.copies = None

    async def close(self) -> None:
        for task in (self.settling, self.renewing):
            if task is not None:
                task.cancel()
        if self.receiving is not None:
            self.receiving.cancel()
            await asyncio.wait([self.receiving])
        await self.socket.close()


class Subscription:
    """Messages of channels: `async with push.subscribe("a") as subscription: async for message in subscription: ...`"""

    def __init__(self, url: str, channels: Iterable[str], *, id: str | None, acks: bool, client: str | None,
                 handlers: Handlers, tokens: Tokens | None = None) -> None:
        self._url = url
        self._tokens = tokens or Tokens(None)
        self._is_denied = False  # the last token was refused
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
        self._unhandled: set[str] = set()  # ids that the loop has not come past
        self._acking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._kept: set[str] = set()  # channels with ids
        self._copies: dict[str, list[str]] | None = None  # while it moves
        self._is_quiet = False  # nothing has come since the last round, while it moves
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
            self._id = message.id
            self._unhandled.discard(message.id)
            self._ack_soon()

    def _ack_soon(self) -> None:
        if self._acking is None or self._acking.done():
            self._acking = asyncio.ensure_future(self._ack_later())

    async def _ack_later(self) -> None:
        await asyncio.sleep(ACK_S)
        if self._link is not None:
            await self._ack(self._link)

    async def _ack(self, link: Link) -> None:
        """What its predecessor brought as well may have been handled before it came on this one."""
        handled = None
        while link.ids and next(iter(link.ids)) not in self._unhandled:
            handled = link.ids.popitem(last=False)[0]
        if handled is not None:
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
                    self._link = await self._open()
                    self._enter("open")
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
        if self._closing is not None:
            await self._closing

    async def _lost(self, lost: Lost, tries: int) -> int:
        """Waits, and returns the number of tries; raises PushError where another one is of no use."""
        why, link = lost.why, self._link
        if link is not None:
            await self._tell_gaps(link)
        if link is not None and _now() - link.opened_at > STABLE_S:
            tries = 0
        await self._drop()
        if lost.is_for_token and not self._is_denied and self._tokens.forget():
            self._is_denied = True
        elif lost.is_refusal:
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

    async def _open(self) -> Link:
        """A connection that has begun, up to its first ping. Raises Lost."""
        channels = list(self._channels)
        token = await self._token()
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
            if token:
                await link.send("auth", {"token": token})
            while True:
                frame = await link.receive(OPEN_S)
                if frame is None:
                    raise Lost(Why(silent=True, error="no answer"))
                link.held.append(frame)
                if frame.get("event") == "ping":
                    self._is_denied = False
                    return link
        except BaseException as error:
            if isinstance(error, Lost) and error.is_for_token:
                self._tokens.forget()
            await link.close()
            raise

    async def _token(self) -> str | None:
        """Raises Lost."""
        try:
            async with asyncio.timeout(OPEN_S):
                return await self._tokens.get()
        except Exception as error:
            raise Lost(Why(error=f"no token: {error}")) from error

    async def _renew(self, link: Link, seconds: float) -> None:
        """Early enough to be tried again on a new connection, and not when all others do."""
        await asyncio.sleep(seconds * random.uniform(0.25, 0.5))
        self._tokens.forget()
        try:
            token = await self._token()
        except Lost as lost:
            log.warning("%s", lost.why.error)
        else:
            await link.send("auth", {"token": token})

    async def _serve(self) -> None:
        """Reads until the connection ends, and moves when the server asks. Raises Lost."""
        while self._link is not None:
            held = self._link.held
            frame = held.popleft() if held else await self._link.receive(SILENT_S + 2 * self._beat_s)
            if frame is None:
                raise Lost(Why(silent=True))
            if frame.get("event") == "reconnect":
                await self._move(self._link)
            else:
                await self._take(self._link, frame)

    async def _move(self, old: Link) -> None:
        """Opens a new connection while the old one serves on, and then closes that. Raises Lost."""
        self._enter("moving")
        try:
            link, is_settled = await self._open_beside(old)
            link.copies = self._copies
        finally:
            self._copies = None
        await self._ack(old)
        self._link = link
        if self._closing is not None:
            await self._closing
        # which may take until close_timeout, if more has come than was read
        self._closing = asyncio.ensure_future(old.close())
        await self._tell_gaps(old)
        if is_settled:
            link.held.append(SETTLED)
        else:
            link.settling = asyncio.ensure_future(self._settle_copies(link))
        self._enter("open")
        await self._follow()

    async def _open_beside(self, old: Link) -> tuple[Link, bool]:
        """A connection that may take over, and whether nothing is on its way on either. Raises Lost."""
        wait = 0.0
        while True:
            self._copies = {}
            opening = asyncio.ensure_future(self._open_later(wait))
            is_serving = True
            try:
                is_serving = await self._read_beside(old, opening)
                link = await opening
                return link, is_serving and await self._overlap(old, link)
            except BaseException as error:
                opening.cancel()
                with contextlib.suppress(Lost, asyncio.CancelledError):
                    await (await opening).close()
                if not isinstance(error, Lost) or not is_serving:
                    raise
            wait = random.uniform(0.5, 1.0)

    async def _overlap(self, old: Link, link: Link) -> bool:
        """Serves the old connection and holds the new one until that may take over; see _rounds(). Raises Lost for the new."""
        holding = asyncio.ensure_future(self._hold(link))
        rounds = asyncio.ensure_future(self._rounds(old, link, holding))
        try:
            is_serving = await self._read_beside(old, rounds)
            if holding.done():
                holding.result()
            return is_serving and rounds.result()
        finally:
            for task in (rounds, holding):
                task.cancel()
            await asyncio.gather(rounds, holding, return_exceptions=True)

    async def _hold(self, link: Link) -> None:
        """Until there is no room for more. Raises Lost."""
        while len(link.held) < QUEUE_MAX:
            frame = await link.receive(SILENT_S + 2 * self._beat_s)
            if frame is None:
                raise Lost(Why(silent=True))
            if frame.get("event") != "pong":
                self._is_quiet = False
                link.held.append(frame)

    async def _rounds(self, old: Link, link: Link, holding: asyncio.Task[None]) -> bool:
        """
        Until nothing is on its way on the old connection any more. True if nothing is on the new one either: both have
        answered a ping since a quiet moment, and nothing came in between.
        """
        self._is_quiet = False
        by = _now() + MOVE_S
        while True:
            if not await self._answers(old, lambda: holding.done() and holding.exception() is not None):
                break
            link.moved = True
            link.gaps = link.gaps or {}
            if not await self._answers(link, holding.done):
                break
            if self._is_quiet or _now() > by:
                return self._is_quiet
            self._is_quiet = True
            await asyncio.sleep(QUIET_S)
        return False

    async def _answers(self, link: Link, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Whether it answers a ping, unless something is over before."""
        answer = asyncio.Event()
        await link.ping(answer.set)
        tries = int(OPEN_S / QUIET_S)
        # turns of the loop that were long enough, and not a time: after a halt all is due at once; a slow loop reads nothing
        while tries > 0 and not answer.is_set() and not is_over():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(answer.wait(), QUIET_S)
            tries -= not self._queue.full()
        return answer.is_set()

    async def _settle_copies(self, link: Link) -> None:
        """What the old connection has brought comes on the new one before the second answer, if at all."""
        if await self._answers(link):
            await asyncio.sleep(QUIET_S)
            await link.ping(link.settle)

    async def _open_later(self, seconds: float) -> Link:
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
                if frame.get("event") != "pong":
                    self._is_quiet = False
                await self._take(old, frame)
        return True

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
        elif event == "gap":
            await self._take_gap(link, data)
        elif event == "resumed" and not link.moved:
            await self._call(self._handlers.resumed, data.get("replayed", 0))
        elif event == "error":
            await self._take_error(link, data)
        elif event == "unsubscribed" and "reason" in data:
            await self._take_error(link, {"channel": data.get("channel"), "error": data["reason"]})
        elif event == "expiring" and self._tokens.can_change and isinstance(data.get("expires_in"), int):
            link.renewing = asyncio.ensure_future(self._renew(link, data["expires_in"]))
        elif frame is SETTLED:
            link.settle()
        if link.copies is None and link.gaps is not None:
            await self._tell_gaps(link)
        if event in ("ping", "subscribed") and isinstance(data.get("id"), str):
            await self._take_position(data["id"])

    async def _take_gap(self, link: Link, data: dict[str, Any]) -> None:
        channel, missed = data.get("channel"), data.get("missed")
        gap = Gap(channel, missed if isinstance(missed, int) else None)
        if channel is None or link.gaps is None:
            await self._call(self._handlers.gap, gap)
        else:
            link.gaps[channel] = gap

    async def _tell_gaps(self, link: Link) -> None:
        """But for those of channels without history: what is not kept was not missed while both connections were open."""
        gaps, link.gaps = link.gaps or {}, None
        for channel, gap in gaps.items():
            if gap.missed is not None or channel in self._kept:
                await self._call(self._handlers.gap, gap)

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
        gap = link.gaps.pop(channel, None) if link.gaps else None
        if not self._is_new(link, channel, id, data):
            return
        if gap is not None and id is not None:
            await self._call(self._handlers.gap, gap)
        message = Message(channel, data.get("message"), id)

        def come_to_message() -> Message:
            if id is not None:
                self._loop_id = id
            return message

        if channel in self._channels:
            await self._queue.put(come_to_message)
        elif id is not None:
            self._unhandled.discard(id)
        if id is not None and not self._acks:
            self._id = id

    def _is_new(self, link: Link, channel: str, id: str | None, data: dict[str, Any]) -> bool:
        if id is None:
            return self._is_no_copy(link, channel, data)
        self._kept.add(channel)
        if self._acks:
            link.ids[id] = None
        if (channel, id) in self._seen:
            self._ack_soon()  # if it was handled, its ack was lost
            return False
        self._seen[channel, id] = None
        if self._acks:
            self._unhandled.add(id)
        # the new connection brings no copy of an older one any more, once it brings one that is new
        while self._copies is None and len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return True

    def _is_no_copy(self, link: Link, channel: str, data: dict[str, Any]) -> bool:
        if not link.copies and self._copies is None:
            return True
        text, before = json.dumps(data), (link.copies or {}).get(channel, [])
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
