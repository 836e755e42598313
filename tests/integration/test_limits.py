"""Limits by address, user and connection: each refuses as promised, a dry run does not, and nobody else notices."""

import hashlib
import json
import socket
import ssl
import struct
import subprocess

import pytest

from h2client import H2, make_certificate
from http1 import Connection, get, post, publish, request
from ports import free_port
from server import Server
from sseclient import EventStream
from test_http2 import VHOST as H2_VHOST
from test_http2 import start
from tokens import Key, bearer, write_jwks
from wsclient import TEXT, WebSocket, frame

HERE, THERE = "127.0.0.1", "127.0.0.2"  # any address of 127.0.0.0/8 may be a client's
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client):
    return f"PROXY TCP4 {client} 192.0.2.1 4711 80\r\n".encode()


def v2(client, command=0x21):
    return V2 + struct.pack(">BBH4s4sHH", command, 0x11, 12, socket.inet_aton(client), b"\xc0\0\x02\x01", 4711, 80)


def refused(server, limit, dry=False):
    name = "push_limited_dry_run_total" if dry else "push_limited_total"
    return server.metric(f'{name}{{limit="{limit}"}}')


def is_429(answer, limit):
    return answer.status == 429 and int(answer.headers["retry-after"]) >= 1 and f"(push.limit.{limit})" in answer.error


@pytest.mark.parametrize("direct", ["on", "off"])
def test_an_address_has_so_many_connections_and_others_have_theirs(direct):
    with Server(PUSH_LIMIT_ADDRESS_CONNECTIONS=3, PUSH_DIRECT=direct) as server:
        with EventStream(server.port, "a") as events, WebSocket(server.port, "a") as ws, Connection(server.port) as third:
            third.send("GET /messages")  # of which the end does not come
            assert ws.status == 101 and events.status == 200
            assert is_429(get(server.port, "/sse/messages?channels=a"), "address.connections")
            assert is_429(publish(server.port, "a", 1), "address.connections")
            assert refused(server, "address.connections") == 2
            # somebody else
            assert publish(server.port, "a", "still", source=THERE).json == {"subscribers": 2}
            assert ws.message() == events.message() == ("a", "still")
        # all three may come back, one after the other, as soon as it is known that they have gone
        for _ in range(3):
            while get(server.port, "/sse/messages").status == 429:
                pass


def test_a_websocket_that_is_one_too_many_is_told_so(tmp_path):
    with Server(PUSH_LIMIT_ADDRESS_CONNECTIONS=1) as server, EventStream(server.port, "a"):
        with WebSocket(server.port, "a") as ws:
            assert ws.status == 101 and "(push.limit.address.connections)" in ws.event()["error"]
            assert ws.close_code() == 1008


def test_an_address_connects_so_often_in_a_second():
    with Server(PUSH_LIMIT_ADDRESS_CONNECTS=5) as server:
        answers = [publish(server.port, "a", n) for n in range(40)]
        assert [a.status for a in answers[:5]] == [202] * 5
        late = [a for a in answers if a.status != 202]
        assert late and all(is_429(a, "address.connects") for a in late)
        assert refused(server, "address.connects") == len(late)
        assert publish(server.port, "a", 1, source=THERE).status == 202


def test_a_crowd_of_one_address_is_turned_away_and_others_are_served():
    with Server(PUSH_LIMIT_ADDRESS_CONNECTIONS=2) as server, EventStream(server.port, "a", source=THERE) as other:
        # more than are let in to be told why: these send nothing, and hold nothing for long
        crowd = [Connection(server.port, source="127.0.0.3").send("GET ") for _ in range(300)]
        assert publish(server.port, "a", "in between", source=THERE).json == {"subscribers": 1}
        assert other.message() == ("a", "in between")
        for connection in crowd[100:]:
            assert is_429(connection.read_answer(), "address.connections")
        for connection in crowd:
            connection.close()
        assert refused(server, "address.connections") == 298


def test_a_dry_run_refuses_nothing():
    with Server(PUSH_LIMIT_ADDRESS_CONNECTIONS=1, PUSH_LIMIT_ADDRESS_CONNECTS=1, PUSH_LIMIT_PUBLISH_MESSAGES=1,
                PUSH_LIMIT_CLIENT_MESSAGES=1, PUSH_LIMIT_CLIENT_SUBSCRIBES=1, PUSH_LIMIT_DRY_RUN="on",
                PUSH_CHANNELS_TOTAL_MAX=1, PUSH_LOG_LEVEL="debug") as server:
        with EventStream(server.port, "a"), WebSocket(server.port, "a") as ws:
            for n in range(3):
                ws.send(frame(TEXT, json.dumps({"event": "subscribe", "data": {"channels": [f"c{n}"]}})))
                assert ws.event()["event"] == "subscribed"
                assert publish(server.port, "a", n).json == {"subscribers": 2}
                assert ws.message() == ("a", n)
        for limit in ("address.connections", "address.connects", "publish.messages", "client.messages",
                      "client.subscribes"):
            assert refused(server, limit, dry=True) > 0, limit
            assert refused(server, limit) == 0, limit
            server.process.wait_for(f"debug: would be refused: push.limit.{limit}")
        assert refused(server, "channels.total", dry=True) == 3 and server.metric("push_channels") == 0
        assert server.metric("push_channels_refused_total") == 0


def test_publishes_are_limited_wherever_they_come_from():
    with Server(PUSH_LIMIT_PUBLISH_MESSAGES=4, PUSH_WS_PUBLISH="on") as server, \
            EventStream(server.port, "a", source=THERE) as events:
        answer = request(server.port, post(json.dumps([{"channel": "a", "message": n} for n in range(6)])))
        assert [item.get("status") for item in answer.json] == [None] * 4 + [429] * 2
        assert is_429(publish(server.port, "a", "too many"), "publish.messages")
        lines = request(server.port, post('{"channel":"a","message":"too many"}\n', content_type="application/x-ndjson",
                                          headers=["Connection: close"]))
        assert lines.status == 202
        with WebSocket(server.port, "b") as ws:
            ws.send(frame(TEXT, '{"event":"publish","data":{"channel":"a","message":"too many"}}'))
            assert "(push.limit.publish.messages)" in ws.event()["data"]["error"]
        assert [events.message() for _ in range(4)] == [("a", n) for n in range(4)]
        # another address has its own
        assert publish(server.port, "a", "other", source=THERE).json == {"subscribers": 1}
        assert events.message() == ("a", "other")
        assert refused(server, "publish.messages") >= 4


# --- the limits of publish keys ---

LINE = b'{"channel":"a","message":1}\n'
KEY_429 = {"error": "too many messages published with one key (rate= in push.publish.keys)", "status": 429}


def write_keys(path, **limits):
    """A file of push.publish.keys; each key is its name."""
    new = path.with_suffix(".new")
    new.write_text("".join(f"{name} {hashlib.sha256(name.encode()).hexdigest()} ** {limit}\n"
                           for name, limit in limits.items()))
    new.replace(path)


def key_post(name, body=LINE, **options):
    return post(body, headers=[f"Push-Key: {name}", *options.pop("more", [])], **options)


def h2_publish(server, name):
    with server.connect() as connection:
        stream = connection.request("POST", "/messages", [("content-type", "application/json"), ("content-length", str(len(LINE))),
                                                          ("authorization", f"Bearer {name}")], end=False)
        stream.send(LINE, end=True)
        return stream.status


def test_a_publish_key_has_its_own_rate_on_every_wire_and_a_new_one_without_a_new_connection(tmp_path):
    keys = tmp_path / "publish.keys"
    write_keys(keys, shop="rate=6/h", bank="", mill="bytes=100/h")
    lines_type = {"content_type": "application/x-ndjson"}
    with start(tmp_path, PUSH_PUBLISH_KEYS=str(keys), PUSH_LOG_LEVEL="debug") as server, Connection(server.port) as lines:
        def once(name="shop", **options):
            return request(server.port, key_post(name, **options))

        lines.send(key_post("shop", b"", length=False, more=["Transfer-Encoding: chunked"], **lines_type))

        def send_line():
            lines.send(b"%x\r\n%s\r\n" % (len(LINE), LINE))
            if lines.chunks is None:
                assert lines.read_stream_head()[0] == 202
            return json.loads(lines.read_until(b"\n"))

        assert send_line() == once().json == {"subscribers": 0}
        assert once(path="/messages?wait=written").json == {"subscribers": 0, "written": 0}
        assert h2_publish(server, "shop") == 202
        array = once(body=b"[" + b",".join([LINE] * 4) + b"]")
        assert [item.get("status") for item in array.json] == [None, None, 429, 429]
        refusal = once()
        assert refusal.status == 429 and refusal.error == KEY_429["error"]
        assert 1 < int(refusal.headers["retry-after"]) <= 600
        assert once(path="/messages?wait=written").status == 429 and h2_publish(server, "shop") == 429
        assert send_line() == KEY_429
        with Connection(server.port) as whole:
            whole.send(key_post("shop", **lines_type))
            assert whole.read_stream_head()[0] == 202 and json.loads(whole.read_until(b"\n")) == KEY_429
        assert refused(server, "key.messages") == 7
        # another key has none, and a third one that of its bytes
        assert [once("bank").status for _ in range(20)] == [202] * 20
        answers = [once("mill") for _ in range(20)]
        assert answers[0].status == 202 and answers[-1].status == 429 and "(bytes= in push.publish.keys)" in answers[-1].error
        assert not [line for line in server.process.lines if "shop" in line or "mill" in line]
        # the open stream goes by the new limit, and so do others
        write_keys(keys, shop="rate=1000/s", bank="rate=1/h", mill="")
        server.process.wait_for("push.publish.keys: read again, 3 keys")
        assert [send_line() for _ in range(20)] == [{"subscribers": 0}] * 20
        assert [once("bank").status for _ in range(2)] == [202, 429]
        assert once("mill").status == 202
        # and a key that is removed publishes nothing more
        write_keys(keys, bank="", mill="")
        server.process.wait_for("push.publish.keys: read again, 2 keys")
        assert send_line() == {"error": "the key was removed or revoked", "status": 401} and once().status == 401


def test_a_dry_run_refuses_nothing_to_a_publish_key(tmp_path):
    write_keys(tmp_path / "keys", shop="rate=1/h bytes=1/h")
    with Server(PUSH_PUBLISH_KEYS=str(tmp_path / "keys"), PUSH_LIMIT_DRY_RUN="on") as server:
        assert [request(server.port, key_post("shop")).status for _ in range(3)] == [202] * 3
        for limit in "key.messages", "key.bytes":
            assert (refused(server, limit, dry=True), refused(server, limit)) == (2, 0)


def test_an_idempotent_publish_that_was_refused_may_be_sent_again():
    with Server(PUSH_LIMIT_PUBLISH_MESSAGES=1) as server:
        data = post('{"channel":"a","message":1}', headers=["Idempotency-Key: k"])
        assert publish(server.port, "a", 0).status == 202
        first = request(server.port, data)
        assert is_429(first, "publish.messages")
        while request(server.port, data).status != 202:
            pass


def test_bytes_are_limited_too():
    with Server(PUSH_LIMIT_PUBLISH_BYTES="2kb") as server:
        assert publish(server.port, "a", "x" * 4000).status == 202  # more than a second's worth, when nothing was used
        assert is_429(publish(server.port, "a", 1), "publish.bytes")


def test_a_client_that_sends_too_much_is_closed():
    with Server(PUSH_LIMIT_CLIENT_MESSAGES=3) as server, WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, '{"event":"ping"}') * 4)
        assert [ws.event()["event"] for _ in range(3)] == ["pong"] * 3
        assert "(push.limit.client.messages)" in ws.event()["error"]
        assert ws.close_code() == 1008


def test_a_client_that_subscribes_too_fast_is_told_so_and_stays():
    with Server(PUSH_LIMIT_CLIENT_SUBSCRIBES=2) as server, WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, '{"event":"subscribe","data":{"channels":["b","c","d"]}}'))
        events = [ws.event() for _ in range(3)]
        assert [e["event"] for e in events] == ["subscribed", "subscribed", "error"]
        assert events[2]["data"]["channel"] == "d" and "(push.limit.client.subscribes)" in events[2]["data"]["error"]
        assert server.publish("c", "here").json == {"subscribers": 1}
        assert ws.message() == ("c", "here")


def test_a_stream_of_lines_that_brings_none_is_ended():
    with Server(PUSH_LIMIT_NDJSON_IDLE="1ms") as server, Connection(server.port) as lines:
        lines.send(post("", content_type="application/x-ndjson", length=False, headers=["Transfer-Encoding: chunked"]))
        answer = None
        while not answer:  # a byte now and then, and never a line
            lines.send(b"1\r\n \r\n")
            lines.socket.settimeout(0.05)
            try:
                answer = lines.read_answer()
            except (TimeoutError, socket.timeout):
                pass
        assert answer.status == 408 and "(push.limit.ndjson.idle)" in answer.error
        assert lines.is_closed()


def test_a_stream_of_lines_without_a_byte_is_ended_by_the_same_limit():
    with Server(PUSH_LIMIT_NDJSON_IDLE="300ms") as server, Connection(server.port) as lines:
        lines.send(post("", content_type="application/x-ndjson", length=False, headers=["Transfer-Encoding: chunked"]))
        answer = lines.read_answer()
        assert answer.status == 408 and "(push.limit.ndjson.idle)" in answer.error
        assert lines.is_closed() and refused(server, "ndjson.idle") == 1


@pytest.fixture
def users(tmp_path):
    """Starts a server with tokens; of a user's name, the headers that show one."""
    key = Key()
    write_jwks(tmp_path / "keys.json", key)

    def shown(user):
        return bearer(key.token(subscribe=["a"], sub=user))

    return shown, lambda **options: Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json"), **options)


def test_a_user_has_so_many_subscribers_from_wherever_and_however(users):
    shown, serve = users
    with serve(PUSH_LIMIT_USER_CONNECTIONS=1) as server, EventStream(server.port, "a", headers=shown("ann")) as first:
        assert first.status == 200
        assert is_429(get(server.port, "/sse/messages?channels=a", headers=shown("ann"), source=THERE), "user.connections")
        with WebSocket(server.port, "a", headers=shown("ann")) as ws, WebSocket(server.port, "a") as late:
            late.send(frame(TEXT, json.dumps({"event": "auth", "data": {"token": shown("ann")[0].split()[-1]}})))
            for one in ws, late:
                assert "(push.limit.user.connections)" in one.event()["error"] and one.close_code() == 1008
        assert refused(server, "user.connections") == 3
        with EventStream(server.port, "a", headers=shown("bob")) as other:
            assert other.status == 200


def test_a_user_gets_so_many_subscribers_in_a_second(users):
    shown, serve = users
    with serve(PUSH_LIMIT_USER_CONNECTS=1) as server:
        refusal = None
        while not refusal:  # two within one second come soon
            with EventStream(server.port, "a", headers=shown("ann")) as one:
                refusal = one if one.status == 429 else None
        assert refusal.headers["retry-after"] == "1" and refused(server, "user.connects") == 1
        with EventStream(server.port, "a", headers=shown("bob")) as other:
            assert other.status == 200


def test_subscribers_leave_descriptors_to_publishers():
    with Server(PUSH_LIMIT_RESERVED_DESCRIPTORS=100, limit_files=256) as server:
        streams = []
        while not streams or streams[-1].status == 200:
            streams.append(EventStream(server.port, "a"))
        assert streams[-1].status == 503 and streams[-1].headers["retry-after"]
        with WebSocket(server.port, "a") as ws:
            assert "(push.limit.reserved.descriptors)" in ws.event()["error"]
            assert ws.close_code() == 1013
        assert publish(server.port, "a", "still").json == {"subscribers": len(streams) - 1}
        assert refused(server, "reserved.descriptors") == 2
        for stream in streams:
            stream.close()


# --- who a client is ---


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """One connection for each address; 127.0.0.1 is a proxy."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("limits"))
    port = free_port()
    with Server(conf_d={"30-tls": H2_VHOST % (port, certificate, key, "push-broker-vhost")},
                PUSH_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8", PUSH_LIMIT_ADDRESS_CONNECTIONS=1) as running:
        running.h2 = lambda: H2(port, certificate)
        running.tls = {"port": port, "wrap": lambda plain: ssl.create_default_context(cafile=certificate).wrap_socket(
            plain, server_hostname="localhost")}
        yield running


def names(kind, client):
    return {"x": [f"X-Forwarded-For: 6.6.6.6, {client}"], "forwarded": [f"Forwarded: for=6.6.6.6, for={client};proto=http"],
            "lines": ["X-Forwarded-For: 6.6.6.6", f"X-Forwarded-For: {client}, 10.0.0.7"]}[kind]


@pytest.mark.parametrize("wire", ["plain", "tls"])
@pytest.mark.parametrize("kind", ["x", "forwarded", "lines"])
def test_trusted_proxies_name_their_clients(proxied, kind, wire):
    wire = proxied.tls if wire == "tls" else {"port": proxied.port}
    client, other = f"198.51.100.{1 + ord(kind[0])}", f"203.0.113.{1 + ord(kind[0])}"
    with EventStream(channels="a", headers=names(kind, client), **wire) as first:
        assert first.status == 200
        assert is_429(get(path="/sse/messages?channels=a", headers=names(kind, client), **wire), "address.connections")
        with WebSocket(channels="a", headers=names(kind, client), **wire) as ws:
            assert "(push.limit.address.connections)" in ws.event()["error"] and ws.close_code() == 1008
        with EventStream(channels="a", headers=names(kind, other), **wire) as second:
            assert second.status == 200
        # what a proxy keeps open for many is nobody's
        with Connection(**wire) as pool:
            for _ in range(3):
                assert pool.send(post('{"channel":"b","message":1}', headers=names(kind, client))).read_answer().status == 202


def test_streams_of_http2_by_a_proxy_are_their_clients(proxied):
    with proxied.h2() as connection:
        first = connection.get("/sse/messages?channels=a", headers=[("x-forwarded-for", "198.51.100.77")])
        assert first.status == 200
        second = connection.get("/sse/messages?channels=a", headers=[("x-forwarded-for", "198.51.100.77")])
        assert second.status == 429
        assert connection.get("/sse/messages?channels=a", headers=[("x-forwarded-for", "198.51.100.78")]).status == 200


def test_nobody_else_is_believed(proxied):
    with EventStream(proxied.port, "a", headers=["X-Forwarded-For: 198.51.100.200"], source=THERE) as first:
        assert first.status == 200
        assert get(proxied.port, "/sse/messages?channels=a", headers=["X-Forwarded-For: 198.51.100.201"],
                   source=THERE).status == 429
    answer = get(proxied.port, "/sse/messages", first=v1("198.51.100.202"), source="127.0.0.4")
    assert answer.status == 501 and answer.error == "unknown method"
    assert get(proxied.port, "/sse/messages", first=v2("198.51.100.202"), source="127.0.0.5").status == 400


@pytest.mark.parametrize("header", [v1, v2])
def test_a_proxy_header_names_the_client_of_its_connection(proxied, header):
    client = "198.51.100.91" if header is v1 else "198.51.100.92"
    with EventStream(proxied.port, "a", first=header(client)) as first:
        assert first.status == 200
        assert is_429(get(proxied.port, "/sse/messages?channels=a", first=header(client)), "address.connections")
        # its client is not trusted to name another one
        assert get(proxied.port, "/sse/messages?channels=a", first=header(client),
                   headers=["X-Forwarded-For: 203.0.113.99"]).status == 429
        with EventStream(proxied.port, "a", first=header("203.0.113.98")) as second:
            assert second.status == 200
        # without the header it is the proxy itself
        assert publish(proxied.port, "a", "x").json["subscribers"] >= 1


def test_a_proxy_header_may_come_in_pieces_and_may_name_nobody(proxied):
    for header in (v1("198.51.100.93"), v2("198.51.100.94"), b"PROXY UNKNOWN\r\n", v2("0.0.0.0", command=0x20)):
        with Connection(proxied.port) as connection:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(header)):
                connection.send(header[i:i + 1])
            assert connection.send(post('{"channel":"none","message":1}')).read_answer().json == {"subscribers": 0}
            assert connection.send(post('{"channel":"none","message":1}')).read_answer().status == 202
    # files and other paths are lws', which does not know of the header
    assert get(proxied.port, "/", first=v1("198.51.100.95")).status == 200
    with Connection(proxied.port, first=b"PROXY TCP4 nobody\r\n") as bad:
        assert bad.is_closed()


@pytest.mark.parametrize("option", ["--haproxy-protocol", "--haproxy-clientip=198.51.100.96"])
def test_curl_sends_a_proxy_header(proxied, option):
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *option.split("=")]
    run = subprocess.run([*command, f"http://127.0.0.1:{proxied.port}/messages", "-H", "Content-Type: application/json",
                          "-d", '{"channel":"none","message":1}'], capture_output=True, text=True, check=False)
    if "unknown" in run.stderr:
        pytest.skip("this curl has no " + option)
    assert run.stdout == "202"
