import pytest

from http1 import get, publish
from wsclient import BINARY, CLOSE, PING, PING_TEXT, PONG, TEXT, WebSocket, frame


def test_the_first_frames_are_a_ping_in_json_and_one_of_the_protocol(server):
    with WebSocket(server.port, "a") as ws:
        assert ws.status == 101
        assert ws.read_frame() == (TEXT, PING_TEXT.encode())
        assert ws.read_frame() == (PING, b"push")


def test_a_message_is_byte_for_byte_that_of_the_contract(server):
    with WebSocket(server.port, "qwerty") as ws:
        publish(server.port, "qwerty", "hello")
        assert ws.next() == (TEXT, b'{"event":"message","data":{"channel":"qwerty","message":"hello"}}')


def test_a_ping_of_the_client_is_ponged(server):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, '{"event":"ping"}'))
        assert ws.next() == (TEXT, b'{"event":"pong","data":{}}')
        ws.send(frame(PING, "payload"))
        assert ws.next() == (PONG, b"payload")


def test_without_channels_the_upgrade_succeeds_and_the_error_is_the_origins(server):
    with WebSocket(server.port) as ws:
        assert ws.status == 101
        assert ws.next() == (TEXT, b'{"error":"\'channels\' query parameter required"}')
        assert ws.close_code() == 1008


@pytest.mark.parametrize("text", ["nope", "", "{", "[]", "7", '{"event":"ping"} x', '{"event":NaN}'])
def test_what_is_not_json_is_answered_and_closed_with_1007(server, text):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, text))
        assert "error" in ws.event()
        assert ws.close_code() == 1007


def test_invalid_utf8_is_closed_with_1007(server):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, b'{"event":"\xff"}'))
        opcode, payload = ws.next()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xef")


def test_a_binary_message_is_closed_with_1003(server):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(BINARY, b"\x00\x01"))
        assert ws.close_code() == 1003


def test_a_message_over_the_limit_is_closed_with_1009_and_one_at_the_limit_is_not(server):
    padded = '{"event":"ping","x":"' + "y" * (4096 - 23) + '"}'
    assert len(padded) == 4096
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, padded))
        assert ws.event()["event"] == "pong"
        ws.send(frame(TEXT, padded + " "))
        assert ws.close_code() == 1009


def test_a_fragmented_message_is_put_together_with_control_frames_between(server):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, '{"eve', fin=False) + frame(0, 'nt":"pi', fin=False) + frame(PING, "x")
                + frame(0, 'ng"}'))
        got = [ws.next(), ws.next()]
        assert (PONG, b"x") in got and (TEXT, b'{"event":"pong","data":{}}') in got


@pytest.mark.parametrize("text", ['{"event":"shout","data":{}}', "{}", '{"event":null}', '{"x":1}'])
def test_unknown_events_are_ignored(server, text):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, text) + frame(TEXT, '{"event":"ping"}'))
        assert ws.event()["event"] == "pong"


def test_a_close_of_the_client_is_answered(server):
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(CLOSE, b"\x03\xe8"))
        assert ws.next() == (CLOSE, b"\x03\xe8")
        assert ws.is_closed()
    server.wait_metric('push_connections{transport="ws"}', 0)


def test_no_compression_is_negotiated(server):
    with WebSocket(server.port, "a", headers=["Sec-WebSocket-Extensions: permessage-deflate"]) as ws:
        assert ws.status == 101
        assert "sec-websocket-extensions" not in ws.headers


def test_an_unknown_subprotocol_does_not_fail_the_upgrade(server):
    with WebSocket(server.port, "sub", headers=["Sec-WebSocket-Protocol: chat, superchat"]) as ws:
        assert ws.status == 101
        assert "sec-websocket-protocol" not in ws.headers
        publish(server.port, "sub", 1)
        assert ws.message() == ("sub", 1)


def test_pushs_own_subprotocol_is_accepted(server):
    with WebSocket(server.port, "sub", headers=["Sec-WebSocket-Protocol: push-ws"]) as ws:
        assert (ws.status, ws.headers["sec-websocket-protocol"]) == (101, "push-ws")


@pytest.mark.parametrize("path", ["/", "/messages", "/sse/messages?channels=a", "/ws/messages/x?channels=a", "/other"])
def test_an_upgrade_elsewhere_is_refused(server, path):
    with WebSocket(server.port, path=path) as ws:
        assert 400 <= ws.status < 500


def test_another_version_of_the_protocol_is_refused(server):
    answer = get(server.port, "/ws/messages?channels=a",
                 headers=["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                          "Sec-WebSocket-Version: 8"])
    assert 400 <= answer.status < 500


@pytest.mark.parametrize("junk", [
    frame(3, "x"), frame(0, "x"), frame(PING, "x" * 126), frame(CLOSE, b"\x03"),
    b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n",
], ids=["unknown opcode", "lone continuation", "long ping", "short close", "ones", "http"])
def test_junk_frames_end_the_connection_and_nothing_else(server, junk):
    with WebSocket(server.port, "a") as ws, WebSocket(server.port, "junk") as good:
        ws.send(junk)
        got = ws.next()
        assert got is None or got[0] == CLOSE
        publish(server.port, "junk", 1)
        assert good.message() == ("junk", 1)
