"""Who may do what, where tokens and publish keys are configured."""

import hashlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from http1 import Connection, get, post, request
from server import Server
from sseclient import EventStream
from test_http2 import start
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import CLOSE, TEXT, WebSocket, frame

KEY = Key()
PUBLISH_KEY = "push_0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    write_jwks(folder / "keys.json", KEY)
    digest = hashlib.sha256(PUBLISH_KEY.encode()).hexdigest()
    (folder / "publish.keys").write_text(f"orders {digest} orders:**\n")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_PUBLISH_KEYS=str(folder / "publish.keys"),
                PUSH_AUTH_ANONYMOUS="public:**", PUSH_WS_PUBLISH="on", PUSH_HISTORY_SIZE="10",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="2s") as running:
        yield running


def publish(server, channel, headers=None, message=1):
    return request(server.port, post(json.dumps({"channel": channel, "message": message}), headers=headers))


def end_of(ws):
    """The error that a WebSocket is told, and the code that it is closed with."""
    opcode, payload = ws.next()
    assert opcode == TEXT
    return json.loads(payload)["error"], ws.close_code()


def say(ws, event, **data):
    ws.send(frame(TEXT, json.dumps({"event": event, "data": data})))


# --- publish ---

def test_a_token_publishes_where_it_may(server):
    assert publish(server, "news", bearer(KEY.token(publish=["news"]))).status == 202


def test_a_channel_that_is_not_granted_is_refused_by_its_name(server):
    answer = publish(server, "other", bearer(KEY.token(publish=["news"])))
    assert (answer.status, answer.error) == (403, "no right to publish to 'other'")


def test_without_a_token_the_answer_says_that_one_is_missing(server):
    answer = publish(server, "news")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token, why", [
    ("junk", "the token is not a signed JWT in compact form"),
    (KEY.token(publish=["**"], exp=-60), "the token has expired"),
    (Key().token(publish=["**"]), "the token's signature is wrong"),
    (Key(kid="other").token(publish=["**"]), "the token's key is not known"),
], ids=["junk", "expired", "forged", "unknown key"])
def test_a_token_that_is_not_good_is_refused_with_the_reason(server, token, why):
    answer = publish(server, "news", bearer(token))
    assert (answer.status, answer.error) == (401, why)
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{why}"'


def test_a_publish_key_publishes_where_it_may(server):
    for headers in bearer(PUBLISH_KEY), [f"Push-Key: {PUBLISH_KEY}"]:
        assert publish(server, "orders:1", headers).status == 202
        assert publish(server, "news", headers).status == 403
    assert publish(server, "orders:1", ["Push-Key: push_other"]).status == 401


def test_each_message_of_a_request_is_refused_in_its_place(server):
    body = json.dumps([{"channel": "a", "message": 1}, {"channel": "b", "message": 1}])
    answer = request(server.port, post(body, headers=bearer(KEY.token(publish=["a"]))))
    assert answer.json == [{"subscribers": 0}, {"error": "no right to publish to 'b'", "status": 403}]


def test_each_line_of_a_stream_is_refused_in_its_place(server):
    body = '{"channel":"a","message":1}\n{"channel":"b","message":1}\n'
    with Connection(server.port) as connection:
        connection.send(post(body, headers=bearer(KEY.token(publish=["a"])), content_type="application/x-ndjson"))
        assert connection.read_stream_head()[0] == 202
        answers = connection.read_until(b"403}\n").decode()
    assert [json.loads(line) for line in answers.splitlines()] == [
        {"subscribers": 0}, {"error": "no right to publish to 'b'", "status": 403}]


def test_the_same_idempotency_key_of_two_users_is_two_keys(server):
    with WebSocket(server.port, "idem", headers=bearer(KEY.token(subscribe=['idem']))) as ws:
        ws.read_frame()
        for user in "ann", "bob", "ann":
            headers = bearer(KEY.token(publish=["idem"], sub=user)) + ["Idempotency-Key: same"]
            assert publish(server, "idem", headers).status == 202
        assert publish(server, "idem", bearer(KEY.token(publish=["idem"])), message="last").status == 202
        assert [ws.message()[1] for _ in range(3)] == [1, 1, "last"]


# --- event streams ---

def test_an_event_stream_needs_the_right_for_each_channel(server):
    token = KEY.token(subscribe=["news"])
    with EventStream(server.port, "news", headers=bearer(token)) as stream:
        assert stream.status == 200
    answer = get(server.port, "/sse/messages?channels=news,other", headers=bearer(token))
    assert (answer.status, answer.error) == (403, "no right to subscribe to 'other'")
    assert get(server.port, "/sse/messages?channels=news").status == 401


def test_everybody_may_have_what_is_anonymous(server):
    with EventStream(server.port, "public:a") as stream:
        assert stream.status == 200


def test_a_token_brings_its_channels(server):
    token = KEY.token(channels=["mine"], publish=["mine"])
    with EventStream(server.port, headers=bearer(token)) as stream:
        assert stream.status == 200
        stream.next()
        assert publish(server, "mine", bearer(token)).json == {"subscribers": 1}
        assert b'{"channel":"mine","message":1}' in stream.next()


def test_the_user_is_in_patterns(server):
    token = KEY.token(subscribe=["user:{sub}:*"], sub="ann")
    with EventStream(server.port, "user:ann:inbox", headers=bearer(token)) as stream:
        assert stream.status == 200
    assert get(server.port, "/sse/messages?channels=user:bob:inbox", headers=bearer(token)).status == 403


def test_history_needs_a_right_of_its_own(server):
    path = "/messages?channel=news"
    assert get(server.port, path, headers=bearer(KEY.token(history=['news']))).status == 200
    answer = get(server.port, path, headers=bearer(KEY.token(subscribe=['news'])))
    assert (answer.status, answer.error) == (403, "no right to read the history of 'news'")


def ticket(server, token):
    return request(server.port, post("", headers=bearer(token), path="/auth/tickets"))


def test_a_ticket_opens_event_streams_and_nothing_else(server):
    answer = ticket(server, KEY.token(subscribe=["news"], publish=["news"]))
    assert answer.status == 200 and answer.json["expires_in"] > 0
    query = f"ticket={answer.json['ticket']}"
    for _ in range(2):
        with EventStream(server.port, path=f"/sse/messages?channels=news&{query}") as stream:
            assert stream.status == 200
    assert get(server.port, f"/sse/messages?channels=other&{query}").status == 403
    assert request(server.port, post('{"channel":"news","message":1}', path=f"/messages?{query}")).status == 401
    assert get(server.port, "/sse/messages?channels=news&ticket=" + "x" * 32).status == 401


def test_a_ticket_makes_no_other_ticket(server):
    """Whoever has seen its URL could keep the token's rights by it."""
    shown = ticket(server, KEY.token(subscribe=["news"])).json["ticket"]
    for headers, path in ([], f"/auth/tickets?ticket={shown}"), (bearer(shown), "/auth/tickets"):
        assert request(server.port, post("", headers=headers, path=path)).status == 401


def test_a_websocket_that_a_ticket_opened_does_not_publish(server):
    shown = ticket(server, KEY.token(subscribe=["news"], publish=["news"])).json["ticket"]
    with WebSocket(server.port, path=f"/ws/messages?channels=news&ticket={shown}") as ws:
        ws.read_frame()
        say(ws, "publish", channel="news", message=1)
        assert ws.event()["data"] == {"error": "no right to publish to 'news'"}


def test_a_ticket_needs_a_token(server):
    assert request(server.port, post("", path="/auth/tickets")).status == 401


def test_a_token_in_the_query_is_not_read_unless_allowed(server):
    assert get(server.port, f"/sse/messages?channels=news&token={KEY.token(subscribe=['news'])}").status == 401


# --- WebSockets ---

def test_a_websocket_shows_its_token_as_a_header(server):
    with WebSocket(server.port, "news", headers=bearer(KEY.token(subscribe=['news']))) as ws:
        assert ws.status == 101
        assert json.loads(ws.read_frame()[1])["event"] == "ping"


@pytest.mark.parametrize("claims, error, code", [
    ({"subscribe": ["other"]}, "no right to subscribe to 'news'", 4403),
    ({"subscribe": ["news"], "exp": -60}, "the token has expired", 4401),
])
def test_a_websocket_is_told_why_it_is_refused(server, claims, error, code):
    with WebSocket(server.port, "news", headers=bearer(KEY.token(**claims))) as ws:
        assert ws.status == 101
        assert end_of(ws) == (error, code)


def test_the_first_message_may_bring_the_token(server):
    with WebSocket(server.port, "news") as ws:
        say(ws, "subscribe", channels=["news"])
        assert ws.event() == {"event": "error", "data": {"error": "send 'auth' with a token first"}}
        say(ws, "auth", token=KEY.token(subscribe=["news"]))
        assert json.loads(ws.read_frame()[1])["event"] == "ping"
        assert publish(server, "news", bearer(KEY.token(publish=["news"]))).json["subscribers"] >= 1
        assert ws.message() == ("news", 1)


@pytest.mark.parametrize("more", [{}, {"more": "x" * 1000}], ids=["short", "long"])
def test_a_page_shows_its_token_as_a_subprotocol_and_is_answered_with_the_other(server, more):
    token = KEY.token(subscribe=["news"], **more)
    for offer in f"push.v1, push.token.{token}", f"push.token.{token},push.v1":
        with WebSocket(server.port, "news", headers=[f"Sec-WebSocket-Protocol: {offer}"]) as ws:
            assert (ws.status, ws.headers.get("sec-websocket-protocol")) == (101, "push.v1")
            assert json.loads(ws.read_frame()[1])["event"] == "ping"
    with WebSocket(server.port, "other", headers=[f"Sec-WebSocket-Protocol: push.v1, push.token.{token}"]) as ws:
        assert end_of(ws) == ("no right to subscribe to 'other'", 4403)


def test_a_websocket_without_a_token_is_closed_after_the_grace_period(server):
    with WebSocket(server.port, "news") as ws:
        assert end_of(ws) == ("no token came in time", 4401)


def test_live_subscriptions_and_publishes_need_rights(server):
    token = KEY.token(subscribe=["a", "b"], publish=["b"])
    with WebSocket(server.port, "a", headers=bearer(token)) as ws:
        ws.read_frame()
        say(ws, "subscribe", channels=["b", "c"])
        got = [ws.event(), ws.event()]
        assert [event["event"] for event in got] == ["subscribed", "error"]
        assert got[1]["data"] == {"channel": "c", "error": "no right to subscribe to 'c'"}
        say(ws, "publish", channel="a", message=1)
        assert ws.event()["data"] == {"error": "no right to publish to 'a'"}


def test_another_token_is_taken_on_the_open_socket_and_channels_that_are_not_granted_are_left(server):
    with WebSocket(server.port, "a,b", headers=bearer(KEY.token(subscribe=['a', 'b'], sub='ann'))) as ws:
        ws.read_frame()
        say(ws, "auth", token=KEY.token(subscribe=["b"], sub="bob"))
        assert ws.event()["data"] == {"error": "the token is another user's"}
        say(ws, "auth", token=KEY.token(subscribe=["b"], sub="ann"))
        assert ws.event()["event"] == "authenticated"
        assert ws.event() == {"event": "unsubscribed", "data": {"channel": "a", "reason": "no right to subscribe to 'a'"}}
        say(ws, "auth", token="junk")
        assert ws.event()["data"] == {"error": "the token is not a signed JWT in compact form"}


def test_a_client_is_warned_before_its_token_ends_and_closed_then(folder):
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_AUTH_LEEWAY="0") as server:
        token = KEY.token(subscribe=["news"], exp=3)
        began = time.monotonic()
        with WebSocket(server.port, "news", headers=bearer(token)) as ws, \
                EventStream(server.port, "news", headers=bearer(token)) as stream:
            event = ws.event()
            assert event["event"] == "expiring" and 1 <= event["data"]["expires_in"] <= 3
            assert end_of(ws) == ("the token has expired", 4401)
            assert time.monotonic() - began >= 1.9
            text = stream.raw().decode()
            assert text.startswith("event:heartbeat"), text
            events = []
            while (raw := stream.next()) is not None:
                events.append(raw.decode())
            assert [e.split("\n")[0] for e in events] == ["event:expiring", "event:error"]
            assert events[-1] == 'event:error\ndata:{"error":"the token has expired"}\n\n'


def controlled(port, token):
    """The token in the stream's own request alone."""
    client = Controlled(port, "a,b", headers=bearer(token))
    client.options = {}
    return client


def test_an_event_stream_takes_another_token_by_its_control_request(server):
    client = controlled(server.port, KEY.token(subscribe=["a", "b"], sub="ann", exp=-10))
    assert client.event()[0] == "expiring"
    answer = client.change(auth={"token": KEY.token(subscribe=["b", "c"], sub="ann", exp=300)})
    assert answer.status == 200 and 290 <= answer.json["authenticated"]["expires_in"] <= 330
    event, data = client.event()
    assert event == "authenticated" and data["expires_in"] >= 290
    assert client.event() == ("unsubscribed", {"channel": "a", "reason": "no right to subscribe to 'a'"})
    assert client.change(subscribe=["a", "c"]).json == {
        "subscribed": ["c"], "unsubscribed": [], "errors": [{"channel": "a", "error": "no right to subscribe to 'a'"}]}
    client.stream.close()


def test_a_control_request_with_a_token_that_is_not_good_changes_nothing(server):
    client = controlled(server.port, KEY.token(subscribe=["a", "b"], sub="ann"))
    for auth, status, error in [
            ({"token": "junk"}, 401, "the token is not a signed JWT in compact form"),
            ({"token": KEY.token(sub="ann", subscribe=["c"], exp=-60)}, 401, "the token has expired"),
            ({"token": Key().token(sub="ann", subscribe=["c"])}, 401, "the token's signature is wrong"),
            ({"token": KEY.token(sub="bob", subscribe=["c"])}, 403, "the token is another user's"),
            ({"token": KEY.token(subscribe=["c"])}, 403, "the token is another user's"),
            ({"token": 1}, 400, "'auth' must be an object with a string 'token'"),
            ({}, 400, "'auth' must be an object with a string 'token'"),
            ("junk", 400, "'auth' must be an object with a string 'token'")]:
        answer = client.change(auth=auth)
        assert (answer.status, answer.error) == (status, error)
    answer = client.change(auth={"token": KEY.token(sub="ann", subscribe=["c"])}, subscribe=["c"])
    assert (answer.status, answer.error) == (400, "'auth' must be sent by itself")
    answer = client.change(path="/sse/messages/" + "0" * 16 + "." + "0" * 32,
                           auth={"token": KEY.token(sub="ann", subscribe=["c"])})
    assert (answer.status, answer.error) == (404, "no event stream has this token")
    assert client.change(subscribe=["c"]).json["errors"]
    assert client.change(unsubscribe=["a"]).json["unsubscribed"] == ["a"]
    assert client.event() == ("unsubscribed", {"channel": "a"})
    client.stream.close()


# --- taking back ---

def order(server, path, **what):
    return request(server.management, post(json.dumps(what), path=path))


def test_a_revoked_user_is_disconnected_and_not_let_in_again(server):
    token = KEY.token(subscribe=["news"], sub="eve", iat=-10)
    headers = bearer(token)
    with WebSocket(server.port, "news", headers=headers) as ws, \
            WebSocket(server.port, "news", headers=bearer(KEY.token(subscribe=['news'], sub='ann'))) as other:
        ws.read_frame()
        other.read_frame()
        assert order(server, "/tokens/revoke", user="eve").status == 202
        assert end_of(ws) == ("the token was revoked", 4401)
        assert get(server.port, "/sse/messages?channels=news", headers=headers).error == "the token was revoked"
        publish(server, "news", bearer(KEY.token(publish=["news"])))
        assert other.message() == ("news", 1)


def test_connections_of_a_channel_are_ended(server):
    headers = bearer(KEY.token(subscribe=['gone', 'kept']))
    with WebSocket(server.port, "gone", headers=headers) as ws, WebSocket(server.port, "kept", headers=headers) as kept:
        ws.read_frame()
        kept.read_frame()
        assert order(server, "/connections/disconnect", channel="gone").status == 202
        assert end_of(ws) == ("disconnected by the operator", 4403)
        publish(server, "kept", bearer(KEY.token(publish=["kept"])))
        assert kept.message() == ("kept", 1)


def test_an_order_that_is_none_is_refused(server):
    assert order(server, "/tokens/revoke").status == 400
    assert order(server, "/tokens/revoke", channel="a").error == "only tokens of a 'user', a 'jti' or a 'key' can be revoked"
    assert order(server, "/tokens/revoke", user="a", jti="b").status == 400


def test_the_answer_to_an_order_ends_where_its_text_ends(server):
    for body in ('{"user":"a","until":1}', '{"user":"a","before":"x"}', "\x01", "[]", '{"user":1}', "{", '"') * 8:
        answer = request(server.management, post(body, path="/tokens/revoke"))
        assert answer.status == 400 and list(answer.json) == ["error"], answer.body


# --- keys ---

def test_keys_that_are_rotated_are_read_without_a_restart(tmp_path):
    old, new = Key(kid="old"), Key(kid="new")
    write_jwks(tmp_path / "keys.json", old)
    with Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json")) as server:
        assert publish(server, "a", bearer(old.token(publish=["a"]))).status == 202
        shown = ticket(server, old.token(subscribe=["a"])).json["ticket"]
        with EventStream(server.port, path=f"/sse/messages?channels=a&ticket={shown}") as stream:
            assert stream.status == 200
        write_jwks(tmp_path / "keys.json", new)
        server.process.wait_for(r"push.auth.keys=.*: read again, 1 key: ES256")
        # nor are tickets of its tokens good, which a client could use for ever
        assert get(server.port, f"/sse/messages?channels=a&ticket={shown}").status == 401
        shown = ticket(server, new.token(subscribe=["a"])).json["ticket"]
        with EventStream(server.port, path=f"/sse/messages?channels=a&ticket={shown}") as stream:
            assert stream.status == 200
        assert publish(server, "a", bearer(new.token(publish=["a"]))).status == 202
        assert publish(server, "a", bearer(old.token(publish=["a"]))).status == 401
        (tmp_path / "keys.json").write_text("{")
        server.process.wait_for(r"push.auth.keys=.*the keys that were read before stay in use")
        assert publish(server, "a", bearer(new.token(publish=["a"]))).status == 202


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA", "RS256", "PS256"])
def test_tokens_of_each_algorithm_are_taken(tmp_path, algorithm):
    key = Key(algorithm)
    write_jwks(tmp_path / "keys.json", key)
    with Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json")) as server:
        assert publish(server, "a", bearer(key.token(publish=["a"]))).status == 202


def test_nothing_that_was_shown_is_in_the_log(folder):
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_PUBLISH_KEYS=str(folder / "publish.keys"),
                PUSH_LOG_LEVEL="debug") as server:
        shown = [KEY.token(publish=["a"]), KEY.token(exp=-60), "junk-of-a-client", PUBLISH_KEY]
        for secret in shown:
            publish(server, "a", bearer(secret))
            get(server.port, f"/sse/messages?channels=a&ticket={secret}")
        server.process.wait_for("a client is refused: the token has expired")
        output = server.process.output()
        for secret in shown:
            assert secret not in output and secret[-20:] not in output


def test_forged_tokens_wait_for_each_other_and_known_ones_for_nobody(folder):
    """Some of those who wait go away meanwhile."""
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json")) as server:
        known, new, forger = KEY.token(publish=["a"]), KEY.token(publish=["a"], jti="new"), Key()
        assert publish(server, "a", bearer(known)).status == 202
        forged = [forger.token(publish=["a"], jti=str(i)) for i in range(300)]
        clients = [Connection(server.port).send(post('{"channel":"a","message":1}', headers=bearer(token))) for token in forged]
        for client in clients[::3]:
            client.close()
        assert publish(server, "a", bearer(known)).status == 202
        # given up, with time and room for another attempt, if the machine is that slow
        answer = publish(server, "a", bearer(new))
        while answer.status == 503:
            assert answer.error == "too many tokens are being checked, try again"
            answer = publish(server, "a", bearer(new))
        assert answer.status == 202
        for i, client in enumerate(clients):
            if i % 3:
                assert client.read_answer().status in (401, 503)
                client.close()
        with WebSocket(server.port, "a", headers=bearer(forger.token(subscribe=["a"]))) as ws:
            assert end_of(ws)[1] in (4401, 1013)


# --- answers of an application that come late ---

class Application:
    """An application that is asked, and answers when the test lets it."""

    def __init__(self):
        self.asked, self.may_answer = threading.Semaphore(0), threading.Semaphore(0)
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                application.asked.release()
                application.may_answer.acquire(timeout=60)
                self.send_response(200)
                answer = b'{"push":{"publish":["**"],"subscribe":["**"],"history":["**"]}}'
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    application = Application()
    with start(tmp_path_factory.mktemp("late"), PUSH_AUTH_HOOK_URL=application.url, PUSH_AUTH_HOOK_TIMEOUT="30s",
               PUSH_AUTH_HOOK_ON="connect,publish,subscribe") as running:
        running.application = application
        yield running
    application.server.shutdown()


BODY = json.dumps({"channel": "a", "message": "x" * 3000}).encode()
# a ticket is asked about at its head; a publish when its body is there
HEAD = b"POST /auth/tickets?n=%d HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("wire", ["direct", "lws"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_body_that_comes_while_the_application_is_asked_is_read(late, wire, parts):
    plain = socket.create_connection(("127.0.0.1", late.port if wire == "direct" else late.tls_port), timeout=60)
    with plain if wire == "direct" else late.context.wrap_socket(plain, server_hostname="localhost") as client:
        for number in range(2):  # the connection goes on
            head = HEAD % (10 * parts + number, len(BODY))
            client.sendall(head + (BODY if parts == 1 else b""))
            assert late.application.asked.acquire(timeout=60)
            if parts > 1:
                client.sendall(BODY[:1000])
                client.sendall(BODY[1000:2000])
            late.application.may_answer.release()
            if parts > 1:
                client.sendall(BODY[2000:])
            answer = b""
            while b'"ticket"' not in answer:
                piece = client.recv(65536)
                assert piece, answer
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200"), answer


@pytest.mark.parametrize("is_first", [True, False])
def test_a_body_of_http_2_may_end_before_and_after_the_application_answers(late, is_first):
    with late.connect() as connection:
        stream = connection.request("POST", f"/auth/tickets?h2={is_first}", [
            ("content-type", "application/json"), ("content-length", str(len(BODY)))], end=False)
        stream.send(BODY[:1000])
        assert late.application.asked.acquire(timeout=60)
        if not is_first:
            late.application.may_answer.release()
        stream.send(BODY[1000:], end=True)
        if is_first:
            late.application.may_answer.release()
        assert stream.status == 200
        assert "ticket" in json.loads(stream.whole())


@pytest.mark.parametrize("wire", ["direct", "lws"])
@pytest.mark.parametrize("kind", ["stream", "socket"])
def test_a_stream_and_a_socket_open_when_the_application_has_answered(late, wire, kind):
    upgrade = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" if kind == "socket" else "")
    path = f"/{'ws' if kind == 'socket' else 'sse'}/messages?channels=late-{wire}-{kind}"
    plain = socket.create_connection(("127.0.0.1", late.port if wire == "direct" else late.tls_port), timeout=60)
    with plain if wire == "direct" else late.context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())
        assert late.application.asked.acquire(timeout=60)
        late.application.may_answer.release()
        got = b""
        while not (b'"ping"' in got or b"event:heartbeat" in got):
            piece = client.recv(65536)
            assert piece, got
            got += piece
        assert got.startswith(b"HTTP/1.1 101" if kind == "socket" else b"HTTP/1.1 200"), got


@pytest.mark.parametrize("wire", ["direct", "lws"])
@pytest.mark.parametrize("kind", ["body", "stream", "socket"])
def test_clients_that_go_while_the_application_is_asked_leave_nothing_behind(late, wire, kind):
    upgrade = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
    head = {"body": (HEAD % (100, len(BODY))).decode(),
            "stream": f"GET /sse/messages?channels=gone-{wire} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "socket": f"GET /ws/messages?channels=gone-{wire} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"}[kind]
    plain = socket.create_connection(("127.0.0.1", late.port if wire == "direct" else late.tls_port), timeout=60)
    with plain if wire == "direct" else late.context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(head.replace("n=100", f"n=gone-{wire}").encode())
        assert late.application.asked.acquire(timeout=60)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # it ends with a reset
    late.application.may_answer.release()
    late.wait_metric("ws_connections_count", 0, 60)
    late.wait_metric("sse_connections_count", 0, 60)
    assert late.process.process.poll() is None
