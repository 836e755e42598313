"""How a token comes, and its time: on the way in, and on a connection that is open already."""

import json
import re
from pathlib import Path

import pytest

from http1 import Connection, get, post, request
from server import DIRECT, SANITIZED, Server
from sseclient import EventStream
from test_auth import controlled, end_of, order, say, ticket
from tokens import Key, bearer, write_jwks
from wsclient import TEXT, WebSocket, frame

KEY = Key()
LARGEST = 4096  # bytes of a token (docs/security.md)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_jwks(path, KEY)
    return path


@pytest.fixture(scope="module")
def server(keys):
    with Server(PUSH_AUTH_KEYS=str(keys), PUSH_AUTH_ANONYMOUS="public:** publish=public:**", PUSH_WS_PUBLISH="on",
                PUSH_HISTORY_SIZE="10", PUSH_LIMIT_USER_CONNECTIONS="2", PUSH_LIMIT_ADDRESS_CONNECTIONS="20",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="2s", PUSH_LOG_LEVEL="debug") as running:
        yield running


def of_size(size, **claims):
    """A token of so many bytes, of a key whose signatures are all as long."""
    for more in range(4):  # three bytes of a part are four letters: the header takes what is left over
        headers = {"x": "y" * more}
        pad = (size - len(KEY.token(**claims, pad="", headers=headers))) * 3 // 4
        for length in range(pad - 4, pad + 4):
            token = KEY.token(**claims, pad="x" * length, headers=headers)
            if len(token) == size:
                return token
    raise AssertionError(f"no token of {size} bytes")


def opened(server, path, **options):
    ws = WebSocket(server.port, path=path, **options)
    ws.read_frame()
    return ws


# --- a login ---

def test_a_websocket_that_showed_nothing_becomes_a_users_and_stays_that_users(server):
    with opened(server, "/ws/messages?channels=public:a,public:b") as ws:
        say(ws, "auth", token=KEY.token(subscribe=["public:a", "user:{sub}"], sub="ann"))
        event = ws.event()
        assert event["event"] == "authenticated" and event["data"]["expires_in"] > 500, event
        assert ws.event() == {"event": "unsubscribed",
                              "data": {"channel": "public:b", "reason": "no right to subscribe to 'public:b'"}}
        say(ws, "subscribe", channels=["user:ann"])
        assert ws.event()["event"] == "subscribed"
        for other in KEY.token(subscribe=["**"], sub="bob"), KEY.token(subscribe=["**"]):
            say(ws, "auth", token=other)
            assert ws.event() == {"event": "error", "data": {"error": "the token is another user's"}}
        assert order(server, "/connections/disconnect", user="ann").status == 202
        assert end_of(ws) == ("disconnected by the operator", 4403)


def test_a_login_counts_for_its_user(server):
    token = KEY.token(subscribe=["public:**"], sub="many")
    sockets = [opened(server, "/ws/messages?channels=public:a") for _ in range(3)]
    for ws in sockets[:2]:
        say(ws, "auth", token=token)
        assert ws.event()["event"] == "authenticated"
    say(sockets[2], "auth", token=token)
    assert sockets[2].event()["data"]["error"].startswith("too many connections"), "push.limit.user.connections"
    sockets[0].close()
    server.wait_metric("ws_connections_count", 2)
    say(sockets[2], "auth", token=token)
    assert sockets[2].event()["event"] == "authenticated"
    for ws in sockets[1:]:
        ws.close()
    server.wait_metric("ws_connections_count", 0)


def test_positions_that_are_kept_by_a_name_do_not_change_hands(server):
    with opened(server, "/ws/messages?channels=public:a&acks=true&client=tab") as ws:
        say(ws, "auth", token=KEY.token(subscribe=["**"], sub="eve"))
        while (event := ws.event())["event"] != "error":
            assert event["event"] != "authenticated"
        assert event["data"] == {"error": "a connection with a client name cannot become a user's: "
                                          "connect again with the token"}


def test_what_a_client_publishes_after_a_login_is_in_its_users_name_space(server):
    with opened(server, "/ws/messages?channels=public:idem") as ws:
        def publish(number):
            ws.send(frame(TEXT, json.dumps({"event": "publish", "data": {
                "channel": "public:idem", "message": number, "idempotency_key": "same"}})))
        publish(1)
        assert {ws.event()["event"], ws.event()["event"]} == {"message", "published"}
        say(ws, "auth", token=KEY.token(subscribe=["public:**"], publish=["public:**"], sub="idem"))
        assert ws.event()["event"] == "authenticated"
        publish(2)
        assert {ws.event()["event"], ws.event()["event"]} == {"message", "published"}


def test_an_event_stream_that_showed_nothing_becomes_a_users(server):
    client = controlled(server.port, KEY.token(subscribe=["a", "b"]))  # of nobody's name
    token = KEY.token(subscribe=["b", "c"], sub="stream")
    assert client.change(auth={"token": token}).status == 200
    assert client.event()[0] == "authenticated"
    assert client.event() == ("unsubscribed", {"channel": "a", "reason": "no right to subscribe to 'a'"})
    assert client.change(auth={"token": KEY.token(subscribe=["b"], sub="other")}).status == 403
    client.stream.close()


# --- refusals ---

def test_a_refused_control_request_has_its_challenge(server):
    client = controlled(server.port, KEY.token(subscribe=["a", "b"], sub="challenged"))
    for token, status, code, error in [
            ("junk", 401, "invalid_token", "the token is not a signed JWT in compact form"),
            (KEY.token(sub="challenged", exp=-60), 401, "invalid_token", "the token has expired"),
            (KEY.token(sub="bob", subscribe=["b"]), 403, "insufficient_scope", "the token is another user's")]:
        answer = client.change(auth={"token": token})
        assert (answer.status, answer.error) == (status, error)
        assert answer.headers["www-authenticate"] == f'Bearer error="{code}", error_description="{error}"'
    client.stream.close()


# --- the largest token ---

def test_the_largest_token_comes_on_each_way(server):
    token = of_size(LARGEST, subscribe=["a", "b"], sub="large")
    if DIRECT:  # lws' sockets take no head that is so long (docs/reference/limits.md)
        answer = get(server.port, "/sse/messages?channels=c", headers=bearer(token))
        assert answer.error == "no right to subscribe to 'c'"
    with WebSocket(server.port, "a") as ws:
        say(ws, "auth", token=token)
        assert json.loads(ws.read_frame()[1])["event"] == "ping"
        say(ws, "auth", token=token)
        assert ws.event()["event"] == "authenticated"
        say(ws, "auth", token=of_size(LARGEST + 1, subscribe=["a"], sub="large"))
        assert ws.event()["event"] == "error"
    client = controlled(server.port, KEY.token(subscribe=["a", "b"], sub="large"))
    assert client.change(auth={"token": token}).status == 200
    assert client.change(auth={"token": of_size(LARGEST + 1, subscribe=["a"], sub="large")}).status == 400
    client.stream.close()


def test_only_auth_may_be_as_long_as_a_token(server):
    long = "x" * LARGEST
    with opened(server, "/ws/messages?channels=public:a") as ws:
        ws.send(frame(TEXT, json.dumps({"event": "subscribe", "data": {"channels": [long]}})))
        assert ws.close_code() == 1009
    with WebSocket(server.port, "a") as ws:
        ws.send(frame(TEXT, json.dumps({"event": "auth", "data": {"token": 4 * long}})))
        assert ws.close_code() == 1009
    client = controlled(server.port, KEY.token(subscribe=["a", "b"]))
    for body in {"subscribe": [long]}, {"auth": {"token": 4 * long}}:
        answer = client.change(**body)
        assert (answer.status, answer.error) == (413, "the body is over push.client.message.max.size")
    client.stream.close()


# --- tickets ---

def test_a_ticket_lives_on_with_the_token_that_renews_its_connection(server):
    path = "/sse/messages?channels=a,b&control=true&ticket="
    secret = ticket(server, KEY.token(subscribe=["a", "b"], sub="fay")).json["ticket"]
    with EventStream(server.port, path=path + secret) as stream:
        text = stream.raw().decode()
        assert text.startswith(":control "), text
        control = text.split("\n")[0].split(" ")[1]
        answer = request(server.port, post(json.dumps({"auth": {"token": KEY.token(subscribe=["b"], sub="fay")}}),
                                           path=f"/sse/messages/{control}"))
        assert answer.status == 200 and answer.json["authenticated"]["expires_in"] > 500
    again = "/sse/messages?channels={}&ticket=" + secret
    assert get(server.port, again.format("a")).error == "no right to subscribe to 'a'"
    with EventStream(server.port, path=again.format("b")) as stream:
        assert stream.status == 200


# --- those that never show anything ---

def test_sockets_that_never_send_a_token_count_and_are_closed_in_time(server):
    server.wait_metric("ws_connections_count", 0)
    sockets = [WebSocket(server.port, "silent") for _ in range(20)]
    with WebSocket(server.port, "silent") as ws:
        if ws.status == 101:
            error, code = end_of(ws)
            assert (error.startswith("too many connections"), code) == (True, 1008)
        else:  # lws' sockets are refused before their handshake
            assert (ws.status, ws.headers["retry-after"]) == (429, "1")
    for ws in sockets:
        say(ws, "ping")
        assert ws.event()["event"] == "pong"
    for ws in sockets:
        assert end_of(ws) == ("no token came in time", 4401)
        ws.close()
    server.wait_metric("ws_connections_count", 0)
    with opened(server, "/ws/messages?channels=public:a"):
        pass


# --- on lws' sockets ---

@pytest.mark.skipif(DIRECT or SANITIZED, reason="lws makes the handshake; the sanitizers keep what is freed")
def test_a_handshake_that_breaks_keeps_no_token(server):
    token = "x" * 3000

    def handshakes(count):
        for _ in range(count):
            with Connection(server.port) as connection:
                connection.send("\r\n".join([
                    "GET /ws/messages?channels=a HTTP/1.1", "Host: test", "Upgrade: websocket", 'Connection: "x", Upgrade',
                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Protocol: push.v1, push.token.{token}"]) + "\r\n\r\n")
                assert connection.is_closed()

    def kilobytes():
        status = Path(f"/proc/{server.worker()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    handshakes(300)
    before = kilobytes()
    handshakes(3000)
    assert kilobytes() - before < 3000, "half of what the tokens would take"
