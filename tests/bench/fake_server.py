"""A push server that breaks its promises on purpose, and keeps count of how often.

It speaks just enough of Push's protocols (POST /messages, WebSocket, SSE) for pushload, in the standard library
alone.  What goes wrong is set per test; what went wrong is in `FakeServer.injected`, and pushload has to find
exactly that.  It also has the habits of other servers that a client must put up with: chunked bodies, fragmented
frames, CRLF, one byte at a time.
"""

import asyncio
import base64
import collections
import hashlib
import json
import threading
import urllib.parse

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload, fin=True):
    """One unmasked WebSocket frame."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        head += bytes([len(payload)])
    else:
        head += bytes([126]) + len(payload).to_bytes(2, "big")
    return head + payload


class Subscriber:
    def __init__(self, server, writer, channel, is_ws):
        self.server = server
        self.writer = writer
        self.channel = channel
        self.is_ws = is_ws
        self.seen = 0  # messages of its channel
        self.held = None  # a message that comes late
        self.is_gone = False

    def write(self, data):
        if self.is_gone:
            return
        if self.server.chunked and not self.is_ws:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if not self.server.dribble:
            self.writer.write(data)
            return
        # Each write goes out as a segment of its own: Nagle is off and the buffer empty.
        for byte in data:
            self.writer.write(bytes([byte]))

    def event(self, name, data):
        if self.is_ws:
            text = b'{"event":"%s","data":%s}' % (name, data)
            if self.server.fragment and len(text) > 60:
                self.write(frame(1, text[:20], False) + frame(9, b"between") + frame(0, text[20:50], False))
                self.write(frame(0, text[50:]))
            else:
                self.write(frame(1, text))
        elif self.server.crlf:
            self.write(b": a comment\r\nid: 1\r\nevent: %s\r\ndata: %s\r\n\r\n" % (name, data))
        else:
            self.write(b"event:%s\ndata:%s\n\n" % (name, data))

    def message(self, text):
        self.event(b"message", json.dumps({"channel": self.channel, "message": text},
                                          separators=(",", ":")).encode())

    def close(self, code=None):
        if self.is_ws and code:
            self.write(frame(8, code.to_bytes(2, "big")))
        self.is_gone = True
        self.server.subscribers.remove(self)
        self.writer.close()

    def deliver(self, text):
        """A message of its channel, or what becomes of it."""
        server, self.seen = self.server, self.seen + 1
        fault = server.fault if server.every and self.seen % server.every == 0 else None
        if fault == "close" and self.channel != "ch0":
            fault = None  # some stay, or the run would be cut short
        if fault == "lose":
            server.injected["lost"] += 1
        elif fault == "swap":
            server.injected["late"] += 1
            self.held = text
            return
        elif fault == "duplicate":
            server.injected["duplicates"] += 1
            self.message(text)
            self.message(text)
        elif fault == "damage":
            server.injected["damaged"] += 1
            self.message(text[:60] + text[61:])
        elif fault == "misroute":
            server.injected["misrouted"] += 1
            self.message(text.replace(".000000.", ".000001.") if ".000000." in text
                         else text.replace(".000001.", ".000000."))
        elif fault == "close":
            server.injected["closed"] += 1
            self.close(1011)
        elif fault == "announce":
            server.injected["announced"] += 1
            self.event(b"reconnect", b"{}")
            self.close(1001)
        else:
            self.message(text)
        if self.held and not self.is_gone:
            self.message(self.held)
            self.held = None


class FakeServer:
    """Use as a context manager; .port is where it listens."""

    def __init__(self, fault=None, every=0, dribble=False, fragment=False, chunked=False, crlf=False):
        self.fault, self.every = fault, every
        self.dribble, self.fragment, self.chunked, self.crlf = dribble, fragment, chunked, crlf
        self.injected = collections.Counter()
        self.pongs = self.protocol_pongs = self.publishes = 0
        self.subscribers = []
        self.loop = asyncio.new_event_loop()
        self.port = None

    def __enter__(self):
        is_up = threading.Event()

        async def serve():
            self.server = await asyncio.start_server(self.on_connection, "127.0.0.1", 0, backlog=512)
            self.port = self.server.sockets[0].getsockname()[1]
            is_up.set()

        def run():
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(serve())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        is_up.wait()
        return self

    def __exit__(self, *_):
        async def finish():
            self.server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            if tasks:
                # What the client has sent before it left is read to the end.
                _, stuck = await asyncio.wait(tasks, timeout=5)
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    async def on_connection(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in
                           (line.partition(":") for line in head.split("\r\n")[1:])}
                if method == "POST":
                    body = await reader.readexactly(int(headers["content-length"]))
                    if not await self.publish(writer, json.loads(body)):
                        return
                else:
                    await self.subscribe(reader, writer, target, headers)
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def publish(self, writer, body):
        self.publishes += 1
        is_hit = self.every and self.publishes % self.every == 0
        if self.fault == "refuse" and is_hit:
            self.injected["refused"] += 1
            self.answer(writer, "503 Service Unavailable", b'{"error":"not now"}')
            return True
        if self.fault == "hang up" and is_hit:
            self.injected["unanswered"] += 1
            return False
        listeners = [s for s in self.subscribers if s.channel == body["channel"]]
        count = len(listeners)
        if self.fault == "miscount" and is_hit:
            self.injected["wrong_counts"] += 1
            count += 1
        if self.fault == "reorder":
            self.reorder(listeners, body["message"])
        else:
            for subscriber in listeners:
                subscriber.deliver(body["message"])
        is_last = self.fault == "close after" and is_hit
        self.injected["reconnects"] += bool(is_last)
        self.answer(writer, "202 Accepted", b'{"subscribers":%d}' % count, is_last)
        return not is_last

    def reorder(self, listeners, message):
        """Two publishers' messages, to the first subscriber in one order, to all others in the other one."""
        self.waiting = getattr(self, "waiting", []) + [message]
        if len(self.waiting) < 2:
            return
        self.injected["other_order"] = len(listeners) - 1
        for index, subscriber in enumerate(listeners):
            for text in self.waiting if index == 0 else reversed(self.waiting):
                subscriber.message(text)
        self.waiting = []

    def answer(self, writer, status, body, is_last=False):
        head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status
        if is_last:
            head += "Connection: close\r\n"
        if self.chunked:
            half = len(body) // 2
            data = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
            writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + data + b"0\r\nA: b\r\n\r\n")
        else:
            writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def subscribe(self, reader, writer, target, headers):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(target).query)
        is_ws = "upgrade" in headers
        if self.fault == "no upgrade":
            self.injected["failed"] += 1
            self.answer(writer, "400 Bad Request", b'{"error":"no"}')
            await writer.drain()
            return
        if is_ws:
            key = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
                         (b"Transfer-Encoding: chunked\r\n" if self.chunked else b"") + b"\r\n")
        subscriber = Subscriber(self, writer, query["channels"][0], is_ws)
        self.subscribers.append(subscriber)
        if is_ws:
            subscriber.event(b"ping", b"{}")
            subscriber.write(frame(9, b"x" * 125))
            await self.read_frames(reader)
        else:
            subscriber.event(b"heartbeat", b"{}")
            await reader.read()

    async def read_frames(self, reader):
        while True:
            first, second = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(second & 0x7F)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
            if first == 0x8A and text == b"x" * 125:
                self.protocol_pongs += 1
            elif first == 0x81 and json.loads(text) == {"event": "pong"}:
                self.pongs += 1
