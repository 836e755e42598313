"""What is offered in Upgrade and Sec-WebSocket-Protocol: only a WebSocket is ever taken, and nothing else gets lost."""

import json
import shutil
import ssl
import struct
import subprocess

import pytest

from h2client import DATA, END_HEADERS, END_STREAM, HEADERS, literal, make_certificate
from h2client import SETTINGS as SETTINGS_FRAME
from http1 import Connection, get, post
from ports import free_port
from server import Server
from sseclient import HEARTBEAT, EventStream
from test_tls import VHOST
from wsclient import TEXT, WebSocket

KEY = ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13"]
SETTINGS = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OFFERS = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", SETTINGS],
    "h2c in capitals": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: H2C", SETTINGS],
    "h2c without settings": ["Connection: Upgrade", "Upgrade: h2c"],
    "h2c that Connection does not name": ["Upgrade: h2c", SETTINGS],
    "TLS": ["Connection: Upgrade", "Upgrade: TLS/1.0"],
    "several": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: TLS/1.0, h2c", SETTINGS],
    "in two lines": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Upgrade: TLS/1.0", SETTINGS],
    "nothing": ["Connection: Upgrade", "Upgrade: "],
    "a version of websocket": ["Connection: Upgrade", "Upgrade: websocket/13, xwebsocket, websocket2"],
}
every_offer = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)


@pytest.fixture(scope="module", params=["plain", "tls"])
def wire(request, tmp_path_factory):
    """A server, its main port, and how to connect to that."""
    if request.param == "plain":
        with Server() as running:
            running.wire = {"port": running.port}
            yield running
        return
    certificate, key = make_certificate(tmp_path_factory.mktemp("upgrades"))
    context = ssl.create_default_context(cafile=certificate)
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key)}) as running:
        running.wire = {"port": port, "wrap": lambda plain: context.wrap_socket(plain, server_hostname="localhost")}
        yield running


@every_offer
def test_a_publish_is_answered_by_http_1_1(wire, offer):
    body = json.dumps({"channel": "nobody", "message": "hello"})
    with Connection(**wire.wire) as connection:
        for _ in range(2):  # and the connection goes on as before
            answer = connection.send(post(body, offer)).read_answer()
            assert (answer.status, answer.json) == (202, {"subscribers": 0})
            assert "upgrade" not in answer.headers


@every_offer
def test_an_event_stream_is_one(wire, offer):
    with EventStream(channels="offers", headers=offer, **wire.wire) as events:
        assert events.status == 200
        assert events.raw() == HEARTBEAT
        wire.publish("offers", "hello")
        assert events.message() == ("offers", "hello")


@every_offer
def test_files_and_errors_are_answered(wire, offer):
    assert get(**wire.wire, path="/nowhere", headers=offer).status == 404
    if "wrap" not in wire.wire:
        assert get(path="/push.js", headers=offer, **wire.wire).status == 200
    assert get(path="/ws/messages?channels=a", headers=offer, **wire.wire).status == 426


@every_offer
def test_operators_are_answered(wire, offer):
    assert get(wire.management, "/actuator/health", headers=offer).json["status"] == "UP"
    answer = get(wire.management, "/actuator/prometheus", headers=offer)
    assert answer.status == 200 and "ws_connections_count" in answer.text


@pytest.mark.parametrize("offer", [
    ["Upgrade: h2c, websocket"], ["Upgrade: h2c,websocket"], ["Upgrade: TLS/1.0 , WebSocket , h2c"],
    ["Upgrade: websocket, h2c"]])
def test_of_several_the_websocket_counts(wire, offer):
    headers = ["Connection: Upgrade, HTTP2-Settings", SETTINGS, *KEY, *offer]
    with Connection(**wire.wire) as connection:
        connection.send("\r\n".join(["GET /ws/messages?channels=chosen HTTP/1.1", "Host: test", *headers]) + "\r\n\r\n")
        status, _, answer = connection.read_head()
    assert status == 101 and answer["upgrade"].lower() == "websocket"


@pytest.mark.parametrize("line, status", [
    ("POST /ws/messages?channels=a HTTP/1.1", 405), ("GET /ws/messages?channels=a HTTP/1.0", 426)])
def test_what_cannot_become_a_websocket_is_answered_as_what_it_is(wire, line, status):
    lines = [line, "Host: test", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0", *KEY]
    with Connection(**wire.wire) as connection:
        assert connection.send("\r\n".join(lines) + "\r\n\r\n").read_head()[0] in (status, 426)


def test_a_publish_that_offers_websocket_is_published(wire):
    with WebSocket(channels="published", **wire.wire) as ws:
        assert ws.read_frame()
        with Connection(**wire.wire) as connection:
            connection.send(post('{"channel":"published","message":1}', ["Connection: Upgrade", "Upgrade: websocket"]))
            assert connection.read_answer().json == {"subscribers": 1}
        assert ws.message() == ("published", 1)


def test_http_2_begins_without_tls_in_no_way(wire):
    """By prior knowledge neither: what a proxy does not look into is not served."""
    ports = [wire.management] + ([] if "wrap" in wire.wire else [wire.port])
    for port in ports:
        with Connection(port) as connection:
            connection.send(PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            assert connection.is_closed()
            assert b"\x04" not in connection.buffer[:9], "no SETTINGS frame"


def h2_publish(channel):
    """The preface, SETTINGS, and a publish as stream 3, for a server that has gone over to HTTP/2."""
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    body = json.dumps({"channel": channel, "message": "smuggled"}).encode()
    head = {":method": "POST", ":scheme": "http", ":authority": "test", ":path": "/messages",
            "content-type": "application/json", "content-length": str(len(body))}
    block = b"".join(literal(name, value) for name, value in head.items())
    return PREFACE + frame(SETTINGS_FRAME, 0, 0) + frame(HEADERS, END_HEADERS, 3, block) + frame(
        DATA, END_STREAM, 3, body)


@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("request_line", ["GET /nowhere", "GET /sse/messages?channels=a", "HEAD /messages"])
def test_nothing_is_smuggled_behind_an_offer(wire, earlier, request_line):
    """Whatever becomes of the offer, also of one in a later request: no publish comes out of what follows."""
    with WebSocket(channels="smuggled", **wire.wire) as ws:
        assert ws.read_frame()
        with Connection(**wire.wire) as connection:
            for _ in range(earlier):
                connection.send(post('{"channel":"nobody","message":1}', OFFERS["h2c"]))
                assert connection.read_head()[0] in (101, 202)
                connection.read_exactly(len('{"subscribers":0}'))
            connection.send("\r\n".join([f"{request_line} HTTP/1.1", "Host: test", *OFFERS["h2c"]]) + "\r\n\r\n")
            assert connection.read_head()[0] != 101
            connection.send(h2_publish("smuggled"))
            if "sse" not in request_line:
                assert connection.is_closed()
        wire.publish("smuggled", "after")
        assert ws.message() == ("smuggled", "after")


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_publishes_and_subscribes_when_it_offers_http_2(wire):
    if "wrap" in wire.wire:
        pytest.skip("there curl uses ALPN")
    url = f"http://127.0.0.1:{wire.port}"
    for _ in range(2):
        run = subprocess.run(["curl", "-s", "--http2", "--max-time", "20", "-w", " %{http_version}", f"{url}/messages",
                              "-H", "Content-Type: application/json", "-d", '{"channel":"curl","message":1}'],
                             capture_output=True, text=True)
        assert run.stdout == '{"subscribers":0} 1.1', run
    run = subprocess.Popen(["curl", "-sN", "--http2", "--max-time", "20", f"{url}/sse/messages?channels=curl"],
                           stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline() == "event:heartbeat\n"
    finally:
        run.kill()
        run.wait()


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Offers {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        URI base = URI.create(arguments[0]);
        var lines = client.send(HttpRequest.newBuilder(base.resolve("/sse/messages?channels=java")).build(),
            HttpResponse.BodyHandlers.ofInputStream());
        var reader = new java.io.BufferedReader(new java.io.InputStreamReader(lines.body()));
        System.out.println(lines.version() + " " + reader.readLine());
        for (int i = 0; i < 2; i++) {
            var answer = client.send(HttpRequest.newBuilder(base.resolve("/messages"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\\"channel\\":\\"java\\",\\"message\\":\\"hello\\"}")).build(),
                HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
        }
        for (String line; (line = reader.readLine()) != null; )
            if (line.startsWith("data:{\\"channel")) {
                System.out.println(line);
                System.exit(0);
            }
    }
}
"""


@pytest.mark.skipif(not shutil.which("javac"), reason="no Java compiler")
def test_javas_own_client_publishes_and_subscribes(wire, tmp_path):
    """It offers h2c with every request to http:, and so does what is built on it."""
    if "wrap" in wire.wire:
        pytest.skip("there it uses ALPN")
    source = tmp_path / "Offers.java"
    source.write_text(JAVA)
    run = subprocess.run(["java", str(source), f"http://127.0.0.1:{wire.port}"], capture_output=True, text=True,
                         timeout=120)
    assert run.stdout.splitlines() == [
        "HTTP_1_1 event:heartbeat", 'HTTP_1_1 202 {"subscribers":1}', 'HTTP_1_1 202 {"subscribers":1}',
        'data:{"channel":"java","message":"hello"}'], run.stderr


SUBPROTOCOLS = {
    "that stands in the query": ["chat"],
    "that is a part of the path": ["messages"],
    "a part of another header": ["test"],
    "several": ["chat, superchat"],
    "in two lines": ["chat", "superchat"],
    "of other plugins": ["push-sse"],
    "a long name": ["x" * 90],
    "a long list": [", ".join(f"subprotocol-{i}" for i in range(60))],
    "a malformed list": [",,chat;;="],
}


@pytest.mark.parametrize("offered", SUBPROTOCOLS.values(), ids=SUBPROTOCOLS)
def test_an_unknown_subprotocol_changes_nothing(wire, offered):
    """RFC 6455, 4.2.2: the answer names none."""
    lines = [f"Sec-WebSocket-Protocol: {text}" for text in offered]
    for _ in range(2):
        with WebSocket(channels="chat", headers=["X-More: chat", *lines], **wire.wire) as ws:
            assert ws.status == 101 and "sec-websocket-protocol" not in ws.headers
            assert ws.read_frame()[0] == TEXT
            wire.publish("chat", "hello")
            assert ws.message() == ("chat", "hello")


@pytest.mark.parametrize("offered", [["push-ws"], ["chat, push-ws"], ["chat", "push-ws"], ["push-sse, push-ws"]])
def test_pushs_own_subprotocol_is_chosen_from_several(wire, offered):
    lines = [f"Sec-WebSocket-Protocol: {text}" for text in offered]
    with WebSocket(channels="push-ws", headers=lines, **wire.wire) as ws:
        assert (ws.status, ws.headers["sec-websocket-protocol"]) == (101, "push-ws")
        wire.publish("push-ws", "hello")
        assert ws.message() == ("push-ws", "hello")
