"""A push server that breaks its promises on purpose, and keeps count of how often.

It speaks just enough of Push's protocols (POST /messages, WebSocket, SSE by HTTP/1.1 and HTTP/2, TLS) and of Redis' (SUBSCRIBE, PUBLISH) for
pushload, in the standard library alone.  What goes wrong is set per test; what went wrong is in `FakeServer.injected`, and pushload has to find
exactly that.  It also has the habits of other servers that a client must put up with: chunked bodies, fragmented
frames, CRLF, one byte at a time.
"""

import asyncio
import base64
import collections
import functools
import hashlib
import json
import threading
import urllib.parse

import fake_h2

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload, fin=True):
    """One unmasked WebSocket frame."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        head += bytes([len(payload)])
    else:
        head += bytes([126]) + len(payload).to_bytes(2, "big")
    return head + payload


def bulk(*texts):
    """An array of bulk strings, as Redis writes it."""
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)


class Subscriber:
    def __init__(self, server, writer, channel, kind):
        self.server = server
        self.writer = writer
        self.channel = channel
        self.kind = kind  # ws, sse, h2, redis
        self.is_ws = kind == "ws"
        self.seen = 0  # messages of its channel
        self.held = None  # a message that comes late
        self.is_gone = False

    def write(self, data):
        if self.is_gone:
            return
        if self.server.chunked and self.kind == "sse":
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
            if self.server.joins:
                text = b'{"event":"ping","data":{}}\n%s\n' % text
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
        if self.kind == "redis":
            self.write(bulk(b"message", self.channel.encode(), text.encode()))
            return
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

    def __init__(self, fault=None, every=0, dribble=False, fragment=False, chunked=False, crlf=False,
                 count_format=b'{"subscribers":%d}', greets_after_s=None, joins=False, tls=None):
        self.fault, self.every, self.tls = fault, every, tls  # tls: an ssl.SSLContext
        self.greets_after_s, self.joins = greets_after_s, joins
        self.dribble, self.fragment, self.chunked, self.crlf = dribble, fragment, chunked, crlf
        self.count_format = count_format
        self.injected = collections.Counter()
        self.pongs = self.protocol_pongs = self.publishes = 0
        self.subscribers = []
        self.loop = asyncio.new_event_loop()
        self.port = None

    def __enter__(self):
        is_up = threading.Event()

        async def serve():
            self.server = await asyncio.start_server(self.on_connection, "127.0.0.1", 0, backlog=512, ssl=self.tls)
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
                first = await reader.readexactly(1)
                if first == b"*":
                    if not await self.obey_redis(reader, writer):
                        return
                    continue
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in
                           (line.partition(":") for line in head.split("\r\n")[1:])}
                if method == "PRI":
                    await fake_h2.serve(reader, writer, self.open_stream)
                if method == "POST":
                    body = await reader.readexactly(int(headers["content-length"]))
                    answer = functools.partial(self.answer_http, writer)
                    if not self.publish(json.loads(body), answer):
                        return
                else:
                    await self.subscribe(reader, writer, target, headers)
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def obey_redis(self, reader, writer):
        """One command, behind its asterisk."""
        words = []
        for _ in range(int(await reader.readline())):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2].decode())
        if words[0] == "PUBLISH":
            answer = functools.partial(self.answer_redis, writer)
            return self.publish({"channel": words[1], "message": words[2]}, answer)
        if self.fault == "no upgrade":
            self.injected["failed"] += 1
            writer.write(b"-NOPERM not you\r\n")
            await writer.drain()
            return False
        writer.write(bulk(b"subscribe", words[1].encode()).replace(b"*2", b"*3", 1) + b":1\r\n")
        self.subscribers.append(Subscriber(self, writer, words[1], "redis"))
        return True

    def publish(self, body, answer):
        """answer(status, count, is_last) says how it went.  Returns whether the connection goes on."""
        self.publishes += 1
        is_hit = self.every and self.publishes % self.every == 0
        if self.fault == "refuse" and is_hit:
            self.injected["refused"] += 1
            answer("503 Service Unavailable")
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
        answer("202 Accepted", count, is_last)
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

    def answer_redis(self, writer, status, count=None, _=False):
        writer.write(b"-ERR %s\r\n" % status.encode() if count is None else b":%d\r\n" % count)

    def answer_http(self, writer, status, count=None, is_last=False, body=b'{"error":"not now"}'):
        if count is not None:
            body = self.count_format % count
        head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status
        if is_last:
            head += "Connection: close\r\n"
        if self.chunked:
            half = len(body) // 2
            data = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
            writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + data + b"0\r\nA: b\r\n\r\n")
        else:
            writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def open_stream(self, path):
        """For fake_h2: how a stream begins, None if it is refused."""
        channel = urllib.parse.parse_qs(urllib.parse.urlparse(path).query)["channels"][0].rstrip("(")
        if self.fault == "no upgrade":
            self.injected["failed"] += 1
            return None

        async def begin(stream):
            await self.begin(Subscriber(self, stream, channel, "h2"))
        return begin

    async def begin(self, subscriber):
        if self.greets_after_s is not None:
            await asyncio.sleep(self.greets_after_s)  # it is answered, and no subscriber yet
            subscriber.event(b"connected", b"{}")
        self.subscribers.append(subscriber)
        subscriber.event(*((b"ping", b"{}") if subscriber.is_ws else (b"heartbeat", b"{}")))

    async def subscribe(self, reader, writer, target, headers):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(target).query)
        is_ws = "upgrade" in headers
        if self.fault == "no upgrade":
            self.injected["failed"] += 1
            self.answer_http(writer, "400 Bad Request", body=b'{"error":"no"}')
            await writer.drain()
            return
        if is_ws:
            key = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
                         (b"Transfer-Encoding: chunked\r\n" if self.chunked else b"") + b"\r\n")
        if self.fault == "no greeting":
            await writer.drain()
            return
        subscriber = Subscriber(self, writer, query["channels"][0], "ws" if is_ws else "sse")
        await self.begin(subscriber)
        if is_ws:
            subscriber.write(frame(9, b"x" * 125))
            await self.read_frames(reader)
        else:
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
