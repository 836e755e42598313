"""Cases of the Autobahn test suite that need no echo, sent to Push itself: numbers and payload shapes are its own.

tests/autobahn runs the suite as it is against Push's reader and writer of frames, behind an echo server.  What
is left to show is that the socket code around them keeps their promises: each breach is answered by exactly the
close code that it deserves, after everything that came before it was answered, and the connection then ends
without losing a byte of that.  Where the suite sends text to be echoed, the ping of Push is sent, and its pong
comes back.  lws' own sockets have lws' own parser, so this is about direct sockets only.
"""

import os
import socket
import ssl
import struct

import pytest

from h2client import WebSocketStream, make_certificate
from http1 import Connection
from ports import free_port
from server import DIRECT, Server
from test_front_door import tls_vhost
from wsclient import CLOSE, PING, PONG, TEXT, WebSocket, frame

# over TLS and HTTP/2 all cases but those of what follows the upgrade
WIRES = os.environ.get("TEST_WIRES", "plain tls h2").split()
ONLY_PLAIN = pytest.mark.parametrize("server", ["plain"], indirect=True)

pytestmark = pytest.mark.skipif(not DIRECT, reason="lws' own sockets are parsed by lws")

CONTINUATION = 0
COMMAND = b'{"event":"ping"}'
PONG_TEXT = b'{"event":"pong","data":{}}'
ANSWERED = (TEXT, PONG_TEXT)
KAPPA = "κόσμε".encode()
JSON_START, JSON_END = b'{"event":"ping","x":"', b'"}'


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def closed(code):
    return CLOSE, struct.pack(">H", code)


def command(text):
    return JSON_START + text + JSON_END


def fragments(*pieces):
    """One text message, of which each piece is a frame."""
    last = len(pieces) - 1
    return b"".join(frame(CONTINUATION if n else TEXT, piece, fin=n == last) for n, piece in enumerate(pieces))


def case(number, sent, *expected):
    return pytest.param(sent, list(expected), id=number)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server, and how to open a WebSocket over each wire."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    context, port = ssl.create_default_context(cafile=certificate), free_port()
    with Server(conf_d={"30-tls": tls_vhost(port, certificate, key)}) as running:
        running.open = {
            "plain": lambda: WebSocket(running.port, "autobahn"),
            "tls": lambda: WebSocket(port, "autobahn", wrap=lambda s: context.wrap_socket(s, server_hostname="localhost")),
            "h2": lambda: WebSocketStream(port, "autobahn", certificate),
        }
        yield running


@pytest.fixture(params=WIRES)
def server(served, request):
    served.open_socket = served.open[request.param]
    return served


def open_socket(server):
    ws = server.open_socket()
    assert ws.read_frame()[0] == TEXT
    assert ws.read_frame()[0] == PING
    return ws


def frames_until_the_end(ws):
    """All frames up to the Close, behind which nothing may come but the end."""
    got = []
    while (one := ws.next()) is not None:
        got.append(one)
        if one[0] == CLOSE:
            break
    assert ws.is_closed() and ws.buffer == b""
    return got


GOOD = [
    case("1.1.1", frame(TEXT, COMMAND), ANSWERED),
    case("1.1.4", frame(TEXT, command(b"*" * 103)), ANSWERED),  # 126 bytes
    case("1.1.5", frame(TEXT, command(b"*" * 104)), ANSWERED),
    case("2.1", frame(PING), (PONG, b"")),
    case("2.3", frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
         (PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
    case("2.4", frame(PING, b"\xfe" * 125), (PONG, b"\xfe" * 125)),
    case("2.7", frame(PONG)),
    case("2.8", frame(PONG, "unsolicited pong payload")),
    case("2.9", frame(PONG, "unsolicited") + frame(PING, "ping payload"), (PONG, b"ping payload")),
    case("5.3", fragments(COMMAND[:5], COMMAND[5:]), ANSWERED),
    case("5.6", frame(TEXT, COMMAND[:5], fin=False) + frame(PING, "p") + frame(CONTINUATION, COMMAND[5:]),
         (PONG, b"p"), ANSWERED),
    case("6.1.2", fragments(b"", COMMAND, b""), ANSWERED),
    case("6.2.3", fragments(*(bytes([byte]) for byte in command(KAPPA))), ANSWERED),
    case("6.2.4", fragments(*(bytes([byte]) for byte in command("\uffff\U0010ffff".encode()))), ANSWERED),
]


@pytest.mark.parametrize("sent,expected", GOOD)
@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
def test_what_is_allowed_is_answered_and_a_close_after_it_is_clean(server, sent, expected, cut):
    with open_socket(server) as ws:
        for piece in [sent] if cut == "whole" else [bytes([byte]) for byte in sent]:
            ws.send(piece)
        # PONGs may overtake texts
        got = [ws.next() for _ in expected]
        assert sorted(got) == sorted(expected)
        ws.send(close_frame(1000))
        assert frames_until_the_end(ws) == [closed(1000)]


BAD = [
    case("2.5", frame(PING, b"\xfe" * 126), closed(1002)),
    case("3.1", frame(TEXT, COMMAND, rsv=0x10), closed(1002)),
    case("3.2", frame(TEXT, COMMAND) + frame(TEXT, COMMAND, rsv=0x20) + frame(PING), ANSWERED, closed(1002)),
    case("3.5", frame(2, COMMAND, rsv=0x50), closed(1002)),
    case("3.6", frame(PING, COMMAND, rsv=0x60), closed(1002)),
    case("3.7", frame(CLOSE, b"\x03\xe8", rsv=0x70), closed(1002)),
    *(case(f"4.1.{opcode - 2}", frame(TEXT, COMMAND) + frame(opcode, "x") + frame(PING), ANSWERED, closed(1002))
      for opcode in range(3, 8)),
    *(case(f"4.2.{opcode - 10}", frame(TEXT, COMMAND) + frame(opcode, "x") + frame(PING), ANSWERED, closed(1002))
      for opcode in range(11, 16)),
    case("5.1", frame(PING, "fragment1", fin=False) + frame(CONTINUATION, "fragment2"), closed(1002)),
    case("5.2", frame(PONG, "fragment1", fin=False) + frame(CONTINUATION, "fragment2"), closed(1002)),
    case("5.9", frame(CONTINUATION, "non-continuation") + frame(TEXT, COMMAND), closed(1002)),
    case("5.12", frame(CONTINUATION, "non-continuation", fin=False) + frame(TEXT, COMMAND), closed(1002)),
    case("5.18", frame(TEXT, "fragment1", fin=False) + frame(TEXT, "fragment2"), closed(1002)),
    case("6.3.1", frame(TEXT, command(KAPPA + b"\xed\xa0\x80edited")), closed(1007)),
    case("6.4.1", fragments(KAPPA, b"\xf4\x90\x80\x80", b"edited"), closed(1007)),
    case("7.3.2", frame(CLOSE, "a"), closed(1002)),
    case("7.3.6", frame(CLOSE, b"\x03\xe8" + b"*" * 124), closed(1002)),
    case("7.5.1", close_frame(1000, KAPPA + b"\xed\xa0\x80edited"), closed(1007)),
    *(case(f"7.9 {code}", close_frame(code), closed(1002))
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)),
]


@pytest.mark.parametrize("sent,expected", BAD)
@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
def test_a_breach_is_answered_by_its_code_after_all_that_came_before_it(server, sent, expected, cut):
    with open_socket(server) as ws:
        for piece in [sent] if cut == "whole" else [bytes([byte]) for byte in sent]:
            try:
                ws.send(piece)
            except ConnectionError:
                break
        got = []
        while (one := ws.next()) is not None and one[0] != CLOSE:
            if b'"error"' not in one[1]:
                got.append(one)
        assert [*got, one and (one[0], one[1][:2])] == expected
        ws.send(frame(CLOSE, one[1][:2]))
        assert ws.is_closed() and ws.buffer == b""


def upgrade():
    return (b"GET /ws/messages?channels=autobahn HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n")


class Eager(WebSocket):
    """A client that sends frames with its upgrade, without awaiting the answer: `held` bytes come after it."""

    def __init__(self, port, frames, held):
        Connection.__init__(self, port)
        self.answer = True
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = upgrade() + frames
        self.send(data[:len(data) - held])
        assert self.read_head()[0] == 101
        if held:
            self.send(data[-held:])


@ONLY_PLAIN
@pytest.mark.parametrize("sent,expected", [*GOOD, *BAD])
def test_frames_behind_the_upgrade_are_read_as_any_other(server, sent, expected):
    """Whole, and with up to 20 bytes that come after the answer to the upgrade."""
    for held in range(min(len(sent), 20)):
        with Eager(server.port, sent, held) as ws:
            got = []
            while len(got) < len(expected):
                opcode, payload = ws.next()
                if b'"error"' not in payload:
                    got.append((opcode, payload[:2] if opcode == CLOSE else payload))
            assert sorted(got) == sorted(expected)
            if closed(1002) not in got and closed(1007) not in got:
                ws.send(close_frame(1000))
                assert frames_until_the_end(ws) == [closed(1000)]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                                  3000, 3999, 4000, 4999])
def test_a_close_is_answered_by_its_own_code(server, code):
    """7.7: with a reason, too, which need not come back."""
    for reason in (b"", "Hällo".encode(), b"*" * 123):
        with open_socket(server) as ws:
            ws.send(close_frame(code, reason))
            assert frames_until_the_end(ws) == [closed(code)]


@pytest.mark.parametrize("after", [
    pytest.param(close_frame(1000), id="7.1.2"),
    pytest.param(frame(PING, "late"), id="7.1.3"),
    pytest.param(frame(TEXT, COMMAND), id="7.1.4"),
    pytest.param(frame(CONTINUATION, "fragment2"), id="7.1.5"),
    pytest.param(frame(TEXT, b"*" * 262144) + close_frame(1000), id="7.1.6"),
])
def test_what_follows_a_close_is_not_read(server, after):
    begun = frame(TEXT, "fragment1", fin=False) if after[0] == 0x80 else b""
    with open_socket(server) as ws:
        if isinstance(ws, WebSocketStream) and len(after) > 65_535:
            pytest.skip("more than a stream's window")
        try:
            ws.send(begun + close_frame(1000) + after)
        except OSError:  # over TLS it is another one
            pass
        assert frames_until_the_end(ws) == [closed(1000)]


@pytest.mark.parametrize("first", [
    pytest.param(frame(TEXT, KAPPA + b"\xf4\x90\x80\x80edited")[:6 + len(KAPPA) + 2], id="6.4.3"),
    pytest.param(frame(TEXT, KAPPA, fin=False) + frame(CONTINUATION, b"\xf4\x90", fin=False), id="6.4.2"),
])
def test_bad_text_is_not_awaited_to_its_end(server, first):
    with open_socket(server) as ws:
        ws.send(first)
        opcode, payload = ws.next()
        if opcode == TEXT:
            assert b'"error"' in payload
            opcode, payload = ws.next()
        assert (opcode, payload[:2]) == closed(1007)


def test_a_thousand_messages_come_and_go_in_turn(server):
    """9.7.1 and 5.19: round trips, with control frames between the fragments."""
    with open_socket(server) as ws:
        for n in range(1000):
            start, rest = COMMAND[:n % 16], COMMAND[n % 16:]
            ws.send(frame(TEXT, start, fin=False) + frame(PING, str(n)) + frame(CONTINUATION, rest))
            assert sorted([ws.next(), ws.next()]) == [ANSWERED, (PONG, str(n).encode())]
