"""How a token comes, and its time: on the way in, and on a connection that is open already."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from collector import Collector
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


def get_head(path, headers):
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="] if path.startswith("/ws/") else []
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *upgrade, *headers]) + "\r\n\r\n"


def opened(server, path, **options):
    ws = WebSocket(server.port, path=path, **options)
    ws.read_frame()
    return ws


# --- a login ---

def test_a_websocket_that_showed_nothing_becomes_a_users_and_stays_that_users(server):
    with opened(server, "/ws/messages?channels=public:a,public:b") as ws:
        say(ws, "auth", token=KEY.token(subscribe=["public:a", "user:{sub}"], channels=["public:a", "mine"], sub="ann"))
        event = ws.event()
        assert event["event"] == "authenticated" and event["data"]["expires_in"] > 500, event
        assert ws.event() == {"event": "unsubscribed",
                              "data": {"channel": "public:b", "reason": "no right to subscribe to 'public:b'"}}
        event = ws.event()
        assert (event["event"], event["data"]["channel"]) == ("subscribed", "mine")
        say(ws, "subscribe", channels=["user:ann"])
        assert ws.event()["event"] == "subscribed"
        say(ws, "unsubscribe", channels=["mine"])
        assert ws.event()["event"] == "unsubscribed"
        say(ws, "auth", token=KEY.token(subscribe=["user:{sub}"], channels=["public:a", "mine", "more"], sub="ann"))
        assert ws.event()["event"] == "authenticated"
        event = ws.event()
        assert (event["event"], event["data"]["channel"]) == ("subscribed", "more"), "what it has left stays left"
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
    too_many = [f"brought-{i}" for i in range(128)]
    token = KEY.token(subscribe=["b", "c"], channels=too_many, sub="stream")
    assert client.change(auth={"token": token}).status == 200
    assert client.event()[0] == "authenticated"
    assert client.event() == ("unsubscribed", {"channel": "a", "reason": "no right to subscribe to 'a'"})
    for channel in too_many[:-1]:
        event = client.event()
        assert (event[0], event[1]["channel"]) == ("subscribed", channel)
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


def test_a_refusal_names_the_channel_and_the_right_and_is_logged_once(server):
    headers, origin = bearer(KEY.token(subscribe=["a"], sub="refused")), "no right to"
    for number, (send, text) in enumerate([
            (lambda c: request(server.port, post(json.dumps({"channel": c, "message": 1}), headers=headers)), "publish to"),
            (lambda c: get(server.port, f"/messages?channel={c}", headers=headers), "read the history of"),
            (lambda c: get(server.port, f"/sse/messages?channels=a,{c}", headers=headers), "subscribe to")]):
        channel = f"refused-{number}"
        answer, why = send(channel), f"{origin} {text} '{channel}'"
        assert (answer.status, answer.error) == (403, why)
        assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", error_description="{why}"'
        server.process.wait_for(f"push: debug: a client is refused: {why}$")
        assert server.process.output().count(why) == 1
    with opened(server, "/ws/messages?channels=a", headers=headers) as ws:
        say(ws, "subscribe", channels=["refused-ws"])
        assert ws.event()["data"]["error"] == "no right to subscribe to 'refused-ws'"
        say(ws, "publish", channel="refused-ws", message=1)
        assert ws.event()["data"]["error"] == "no right to publish to 'refused-ws'"
    with WebSocket(server.port, "refused-open", headers=headers) as ws:
        assert end_of(ws) == ("no right to subscribe to 'refused-open'", 4403)
    for why in "subscribe to 'refused-ws'", "publish to 'refused-ws'", "subscribe to 'refused-open'":
        server.process.wait_for(f"push: debug: a client is refused: no right to {why}$")


# --- secrets ---

def test_no_secret_is_in_a_log_a_metric_a_trace_or_an_error(keys, tmp_path):
    publish_key, wrong_key = "push_key_0123456789abcdef", "push_key_that_nobody_has"
    digest = hashlib.sha256(publish_key.encode()).hexdigest()
    (tmp_path / "publish.keys").write_text(f"shop {digest} a\n")
    rights = {"subscribe": ["a", "b"], "publish": ["a"], "history": ["a"]}
    shown, errors = [publish_key, wrong_key], []

    def token(**claims):
        shown.append(KEY.token(**{**rights, **claims}, jti=f"jti-{len(shown)}"))
        return shown[-1]

    def each(make):
        """What is good, what is over, and what is none."""
        return make(), make(exp=-60), shown.append("junk.of-a.client" + str(len(shown))) or shown[-1]

    def ask(method, path, *headers):
        body = json.dumps({"channel": "a", "message": 1}) if method == "POST" else None
        with Connection(server.port) as connection:
            connection.send(post(body, path=path, headers=headers) if body else get_head(path, headers))
            status, _, headers = connection.read_stream_head()
            errors.append(repr((status, headers, connection.read_exactly(int(headers.get("content-length", 0))))))

    with Collector() as collector, Server(
            PUSH_AUTH_KEYS=str(keys), PUSH_PUBLISH_KEYS=str(tmp_path / "publish.keys"), PUSH_LOG_LEVEL="debug",
            PUSH_AUTH_QUERY="on", PUSH_AUTH_COOKIE="session", PUSH_CORS_ALLOWED_ORIGINS="https://app.test",
            PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", PUSH_HISTORY_SIZE="10", PUSH_WS_PUBLISH="on") as server:
        for key in publish_key, wrong_key:
            ask("POST", "/messages", f"Push-Key: {key}")
            ask("POST", "/messages", f"Authorization: Bearer {key}")
        paths = "/sse/messages?channels=a", "/ws/messages?channels=a", "/messages?channel=a"
        for path in paths:
            for secret in each(token):
                ask("GET", path, f"Authorization: Bearer {secret}")
                ask("GET", path, f"Cookie: session={secret}")
                ask("GET", f"{path}&token={secret}")
                ask("GET", f"{path}&ticket={secret}")
                ask("GET", f"{path}&token={secret}", f"Authorization: Bearer {secret}")
        for secret in each(token):
            with WebSocket(server.port, "a", headers=[f"Sec-WebSocket-Protocol: push.v1, push.token.{secret}"]) as ws:
                errors.append(repr((ws.headers, ws.read_frame())))
            with WebSocket(server.port, "a") as ws:
                say(ws, "auth", token=secret)
                errors.append(repr(ws.read_frame()))
        client = controlled(server.port, token())
        shown.append(client.token)
        for secret in each(token):
            answer = client.change(auth={"token": secret})
            errors.append(repr((answer.headers, answer.body)))
        shown.append(ticket(server, token()).json["ticket"])
        for path in paths:
            ask("GET", f"{path}&ticket={shown[-1]}")
            ask("GET", f"{path}&ticket={shown[-1]}", f"Authorization: Bearer {shown[-1]}")
        client.stream.close()
        order(server, "/tokens/revoke", jti="jti-2")
        collector.wait(2, where=lambda span: span.name == "publish a")
        metrics = get(server.management, "/actuator/prometheus").body.decode()
        server.stop()
        places = {"log": server.process.output(), "metrics": metrics, "errors": "\n".join(errors),
                  "traces": repr([(path, body) for path, _, body in collector.requests])}
    assert len(shown) > 20 and "a client is refused: the token has expired" in places["log"]
    for name, text in places.items():
        for secret in shown:
            for part in [secret] + secret.split(".")[1:]:
                assert part not in text, (name, part)


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


def test_a_page_of_another_origin_may_get_tickets(server):
    head = ["OPTIONS /auth/tickets HTTP/1.1", "Host: test", "Origin: https://app.test", "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: authorization"]
    answer = request(server.port, "\r\n".join(head) + "\r\n\r\n")
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")
    assert "Authorization" in answer.headers["access-control-allow-headers"]


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
