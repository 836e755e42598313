"""What Push asks others: an identity provider for its keys, and the application who may do what."""

import contextlib
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from h2client import make_certificate
from http1 import Connection, get, post, request
from redis_nodes import node
from redis_servers import RedisServer, wait_until
from server import Server
from sseclient import EventStream
from test_http2 import start
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import PING, PONG, TEXT, WebSocket, frame


class Web:
    """A server whose answer, (status, headers, body), is a function of the request's body; `asked`: bodies so far."""

    def __init__(self, answer, certificate=None, port=0):
        self.answer, self.asked, web = answer, [], self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                web.asked.append((dict(self.headers), json.loads(body) if body else None))
                status, headers, text = web.answer(web.asked[-1][1])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}/x"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def key_set(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


def publish(server, headers=None, channel="a"):
    return request(server.port, post(json.dumps({"channel": channel, "message": 1}), headers=headers))


def published_soon(server, headers, status=202, seconds=60):
    """Until the answer is that one: keys come beside the loop."""
    end = time.monotonic() + seconds
    while (answer := publish(server, headers)).status != status:
        assert answer.status == 503 and time.monotonic() < end, (answer.status, answer.body)
        time.sleep(0.05)
    return answer


# --- keys ---

@pytest.mark.parametrize("tls", [False, True])
def test_keys_are_fetched_at_the_start_and_for_a_key_that_is_not_known(tmp_path, tls):
    old, new, never = Key(kid="old"), Key(kid="new"), Key(kid="never")
    keys = [old]
    certificate = make_certificate(tmp_path) if tls else None
    with Web(lambda _: (200, {}, key_set(*keys)), certificate) as web, \
            Server(PUSH_AUTH_JWKS_URL=web.url, **({"PUSH_AUTH_TLS_CA": certificate[0]} if tls else {})) as server:
        published_soon(server, bearer(old.token(publish=["a"])))
        keys[:] = [new]
        assert publish(server, bearer(new.token(publish=["a"]))).status == 202
        answer = publish(server, bearer(old.token(publish=["a"])))
        assert (answer.status, answer.error) == (401, "the token's key is not known")
        fetched = len(web.asked)
        for _ in range(5):  # not each of them is worth a fetch
            assert publish(server, bearer(never.token(publish=["a"], sub=str(_)))).status == 401
        assert len(web.asked) == fetched


def test_a_certificate_that_is_not_trusted_brings_no_keys(tmp_path):
    key = Key()
    with Web(lambda _: (200, {}, key_set(key)), make_certificate(tmp_path)) as web, \
            Server(PUSH_AUTH_JWKS_URL=web.url) as server:
        server.process.wait_for("keys of https://localhost:.*until they come, tokens get 503")
        answer = publish(server, bearer(key.token(publish=["a"])))
        assert (answer.status, answer.error) == (503, "the keys cannot be reached now, try again")
        assert not web.asked


def test_before_the_first_keys_tokens_get_503_and_an_outage_keeps_the_last(tmp_path):
    key, other = Key(), Key(kid="k2")
    state = {"status": 500}
    with Web(lambda _: (state["status"], {}, key_set(key))) as web, Server(PUSH_AUTH_JWKS_URL=web.url) as server:
        headers = bearer(key.token(publish=["a"]))
        assert publish(server, headers).status == 503
        assert get(server.port, "/sse/messages?channels=a").status == 401  # who shows nothing need not wait for keys
        with WebSocket(server.port, "a", headers=headers) as ws:
            opcode, text = ws.next()
            assert opcode == TEXT and json.loads(text)["error"] == "the keys cannot be reached now, try again"
            assert ws.close_code() == 1013
        state["status"] = 200
        published_soon(server, headers)
        state["status"] = 500
        for sub in "ann", "bob":  # it may be a newer key: that is not known, and so no final refusal
            assert publish(server, bearer(other.token(publish=["a"], sub=sub))).status == 503
        assert publish(server, headers).status == 202
        assert publish(server, bearer(Key().token(publish=["a"]))).status == 401


# --- the application ---

def application(answers, **more):
    """Answers by the first channel that is asked about."""
    def answer(question):
        found = answers[question["channels"][0]]
        return found(question) if callable(found) else found
    return Web(answer, **more)


def of_stream(server, channel, headers=()):
    with EventStream(server.port, channel, headers=headers) as stream:
        body = b"{}" if stream.status == 200 else stream.read_exactly(int(stream.headers["content-length"]))
        return stream.status, json.loads(body).get("error")


def test_the_application_lets_in_refuses_and_grants():
    answers = {
        "yes": (200, {}, ""),
        "no": (403, {}, '{"error":"not for you"}'),
        "who": (401, {}, '{"error":"log in first"}'),
        "rights": (200, {}, json.dumps({"sub": "ann", "push": {"subscribe": ["rights", "user:{sub}"]}})),
        "less": (200, {}, json.dumps({"push": {"subscribe": ["other"]}})),
        "broken": (500, {}, ""), "junk": (200, {}, "junk"), "moved": (302, {"Location": "/"}, ""),
    }
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url) as server:
        cookie = ["Cookie: session=s1", "Origin: https://app.test"]
        assert of_stream(server, "yes", cookie) == (200, None)
        headers, question = web.asked[-1]
        assert headers["Cookie"] == "session=s1"
        assert question["event"] == "connect" and question["channels"] == ["yes"] and question["method"] == "GET"
        assert question["path"] == "/sse/messages" and question["headers"]["origin"] == "https://app.test"
        assert question["address"] == "127.0.0.1"
        assert of_stream(server, "no") == (403, "not for you")
        assert of_stream(server, "who") == (401, "log in first")
        assert of_stream(server, "rights,user:ann") == (200, None)
        assert of_stream(server, "rights,user:bob") == (403, "no right to subscribe to 'user:bob'")
        assert of_stream(server, "less") == (403, "no right to subscribe to 'less'")
        for channel in "broken", "junk", "moved":
            assert of_stream(server, channel)[0] == 503
        with WebSocket(server.port, "yes") as ws:
            assert json.loads(ws.read_frame()[1])["event"] == "ping"
        for channel, error, code in ("no", "not for you", 4403), ("who", "log in first", 4401):
            with WebSocket(server.port, channel) as ws:
                assert json.loads(ws.next()[1])["error"] == error
                assert ws.close_code() == code
        with WebSocket(server.port, "broken") as ws:
            assert ws.next()[0] == TEXT and ws.close_code() == 1013
        assert publish(server, channel="yes").status == 401  # it is not asked about publishing


def test_the_application_is_asked_about_what_it_wants_to_be_asked_about():
    rights = 200, {}, '{"push":{"publish":["a"],"history":["a"]}}'
    with application({"a": rights, "b": rights}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url, PUSH_AUTH_HOOK_ON="connect,subscribe,publish",
                   PUSH_HISTORY_SIZE="5") as server:
        assert publish(server).status == 202
        answer = publish(server, channel="b")
        assert (answer.status, answer.error) == (403, "no right to publish to 'b'")
        assert get(server.port, "/messages?channel=a").status == 200
        assert [question["event"] for _, question in web.asked] == ["publish", "publish", "subscribe"]


def test_an_application_that_is_away_is_503_and_never_403():
    web = application({})
    web.__exit__()
    with Server(PUSH_AUTH_HOOK_URL=web.url) as server:
        status, _ = of_stream(server, "a")
        assert status == 503
        with WebSocket(server.port, "a") as ws:
            assert ws.next()[0] == TEXT and ws.close_code() == 1013


def test_metrics_say_what_the_application_answers_and_a_refusal_why():
    answers = {"yes": (200, {"Cache-Control": "max-age=600"}, ""), "no": (403, {}, '{"error":"n\u00f6"}'),
               "who": (401, {}, '{"error":"log in"}'), "broken": (500, {}, "")}
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url) as server:
        for channel in "yes", "yes", "no", "who", "broken":
            of_stream(server, channel)
        for result, count in ("allowed", 2), ("refused", 2), ("failed", 1), ("turned_away", 0):
            assert server.metric(f'push_hook_questions_total{{result="{result}"}}') == count
        assert server.metric("push_hook_cached_total") == server.metric("push_hook_cached_answers") == 1
        assert server.metric("push_hook_call_seconds_count") == 4
        assert server.metric('push_auth_refused_total{reason="hook"}') == 2
        assert server.metric('push_auth_refused_total{reason="unavailable"}') == 1
        assert server.metric('push_auth_refused_total{reason="missing"}') == 0
        challenge = get(server.port, "/sse/messages?channels=who").headers["www-authenticate"]
        assert challenge == 'Bearer error="invalid_token", error_description="log in"'


def test_metrics_say_when_keys_were_fetched():
    began = time.time() - 1
    with Web(lambda _: (200, {}, key_set(Key()))) as web, \
            Server(PUSH_AUTH_JWKS_URL=web.url) as server:
        server.wait_metric('push_jwks_fetches_total{result="ok"}', 1, 60)
        assert began <= server.metric("push_jwks_last_success_timestamp_seconds") <= time.time()
        assert server.metric('push_jwks_fetches_total{result="failed"}') == 0
    with Web(lambda _: (500, {}, "")) as web, Server(PUSH_AUTH_JWKS_URL=web.url) as server:
        wait_until(lambda: server.metric('push_jwks_fetches_total{result="failed"}') >= 1, "it has failed")
        assert server.metric("push_jwks_last_success_timestamp_seconds") == 0


def test_nobody_waits_for_an_application_that_is_slow_to_answer_about_another():
    released = threading.Event()

    def slow(_):
        released.wait(60)
        return 200, {}, ""

    with application({"slow": slow, "fast": (200, {}, "")}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url, PUSH_AUTH_HOOK_TIMEOUT="30s") as server:
        with Connection(server.port) as waiting:
            waiting.send("GET /sse/messages?channels=slow HTTP/1.1\r\nHost: test\r\n\r\n")
            end = time.monotonic() + 60
            while not web.asked:
                assert time.monotonic() < end
                time.sleep(0.01)
            assert of_stream(server, "fast") == (200, None)
            assert not waiting.buffer
            released.set()
            assert waiting.read_stream_head()[0] == 200


def test_streams_of_one_connection_wait_for_the_application(tmp_path):
    asked = threading.Event()

    def answer(_):
        asked.wait(60)
        return 200, {}, ""

    with Web(answer) as web, start(tmp_path, PUSH_AUTH_HOOK_URL=web.url) as server, server.connect() as h2:
        events = [h2.get("/sse/messages?channels=a") for _ in range(3)]
        sockets = [h2.websocket("/ws/messages?channels=a").send(frame(PING, b"early")) for _ in range(3)]
        wait_until(lambda: web.asked, "the application is asked")
        assert h2.is_silent()
        asked.set()
        assert all(stream.status == 200 for stream in events + sockets)
        for stream in sockets:
            got = stream.frame()
            while got != (PONG, b"early"):
                assert got[0] in (TEXT, PING)
                got = stream.frame()


def test_an_application_that_does_not_answer_in_time_is_503():
    released = threading.Event()
    with application({"slow": lambda _: (released.wait(60), (200, {}, ""))[1]}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url, PUSH_AUTH_HOOK_TIMEOUT="300ms") as server:
        began = time.monotonic()
        assert of_stream(server, "slow")[0] == 503
        assert time.monotonic() - began >= 0.29
        released.set()


def test_answers_are_kept_as_their_cache_control_says():
    kept = {"Cache-Control": "max-age=600"}
    with application({"kept": (200, kept, ""), "asked": (200, {}, ""), "no": (403, kept, "")}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url) as server:
        for channel, count in ("kept", 1), ("asked", 3), ("no", 1):
            before = len(web.asked)
            for _ in range(3):
                of_stream(server, channel, ["Cookie: session=1"])
            assert len(web.asked) - before == count, channel
        assert of_stream(server, "kept", ["Cookie: session=2"]) == (200, None)
        assert web.asked[-1][0]["Cookie"] == "session=2"  # another client is asked about


def test_an_answer_that_was_kept_does_not_outlive_a_revocation_of_its_user():
    kept = {"Cache-Control": "max-age=600"}
    with application({"news": (200, kept, '{"sub":"eve"}')}) as web, Server(PUSH_AUTH_HOOK_URL=web.url) as server:
        with EventStream(server.port, "news") as stream:
            assert stream.status == 200
            assert of_stream(server, "news") == (200, None) and len(web.asked) == 1
            order = request(server.management, post('{"user":"eve"}', path="/tokens/revoke"))
            assert order.status == 202
            while b"the token was revoked" not in stream.next():
                pass
        # whatever the application says in that very second counts as said before
        end = time.monotonic() + 60
        while (answer := of_stream(server, "news")) != (200, None):
            assert answer == (401, "the token was revoked") and time.monotonic() < end
            time.sleep(0.1)
        asked = len(web.asked)
        assert asked >= 2
        assert of_stream(server, "news") == (200, None) and len(web.asked) == asked


# --- channels that a client subscribes to while it is open ---

ALL = {"PUSH_AUTH_HOOK_ON": "connect,subscribe", "PUSH_AUTH_HOOK_TIMEOUT": "30s"}
AWAY = "the application that decides on this cannot be reached, try again"


def say(ws, event, **data):
    ws.send(frame(TEXT, json.dumps({"event": event, "data": data})))


def until_asked(web, count):
    end = time.monotonic() + 60
    while len(web.asked) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def opened(server, channels="a", headers=()):
    ws = WebSocket(server.port, channels, headers=headers)
    assert json.loads(ws.read_frame()[1])["event"] == "ping"
    return ws


def test_a_live_subscribe_asks_the_application_and_other_commands_do_not_wait(tmp_path):
    released = threading.Event()
    answers = {
        "a": (200, {}, '{"sub":"ann","push":{"subscribe":["a","own:*"]}}'),
        "slow": lambda _: (released.wait(60), (200, {}, ""))[1],
        "no": (403, {}, '{"error":"not for you"}'), "broken": (500, {}, ""),
        "kept": (200, {"Cache-Control": "max-age=600"}, ""),
        "two": (200, {}, '{"push":{"subscribe":["two"]}}'),
    }
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url, **ALL) as server, \
            opened(server) as ws, opened(server) as other:
        say(ws, "subscribe", channels=["own:1"])  # its rights say so
        assert ws.event() == {"event": "subscribed", "data": {"channel": "own:1"}}
        assert len(web.asked) == 2
        say(ws, "subscribe", channels=["slow", "own:2"], ref=1)
        until_asked(web, 3)
        assert web.asked[-1][1] == {"event": "subscribe", "headers": {}, "address": "127.0.0.1",
                                    "channels": ["slow"], "user": "ann"}
        # changes wait behind it, in their order; nothing else does
        say(ws, "unsubscribe", channels=["slow"], ref=2)
        say(ws, "subscribe", channels=["no"], ref=3)
        say(ws, "ping")
        assert ws.event()["event"] == "pong"
        say(other, "subscribe", channels=["two", "three"])
        assert other.event() == {"event": "subscribed", "data": {"channel": "two"}}
        assert other.event()["data"] == {"channel": "three", "error": "no right to subscribe to 'three'"}
        assert get(server.management, "/channels").text.count("slow") == 0
        released.set()
        assert [ws.event()["data"] for _ in range(4)] == [
            {"channel": "slow", "ref": 1}, {"channel": "own:2", "ref": 1}, {"channel": "slow", "ref": 2},
            {"channel": "no", "error": "not for you", "ref": 3}]
        say(ws, "subscribe", channels=["broken"])
        assert ws.event()["data"] == {"channel": "broken", "error": AWAY}
        for _ in range(2):
            say(ws, "subscribe", channels=["kept"])
            assert ws.event() == {"event": "subscribed", "data": {"channel": "kept"}}
            say(ws, "unsubscribe", channels=["kept"])
            assert ws.event()["event"] == "unsubscribed"
        assert [question["channels"] for _, question in web.asked].count(["kept"]) == 1
    with opened_away(answers) as (server, ws):
        say(ws, "subscribe", channels=["b"])
        assert ws.event()["data"] == {"channel": "b", "error": AWAY}
        say(ws, "ping")
        assert ws.event()["event"] == "pong"


@contextlib.contextmanager
def opened_away(answers):
    """A client that has come in, and whose application has gone since."""
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url, **ALL) as server:
        with opened(server) as ws:
            web.__exit__()
            yield server, ws


def test_a_client_that_closes_while_it_is_asked_about_leaves_nothing(tmp_path):
    released = threading.Event()
    with application({"a": (200, {}, ""), "slow": lambda _: (released.wait(60), (200, {}, ""))[1]}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url, **ALL) as server:
        for _ in range(3):
            with opened(server) as ws:
                before = len(web.asked)
                say(ws, "subscribe", channels=["slow"])
                until_asked(web, before + 1)
        server.wait_metric('push_connections{transport="ws"}', 0)
        assert server.metric('push_memory_bytes{for="requests"}') == 0
        released.set()
        assert of_stream(server, "a") == (200, None)
        server.wait_metric("push_channels", 0)


def test_a_control_request_asks_the_application():
    answers = {"a": (200, {}, '{"sub":"ann"}'), "b": (200, {}, ""), "no": (403, {}, '{"error":"not for you"}'),
               "broken": (500, {}, "")}
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url, **ALL) as server:
        client = Controlled(server.port, "a")
        answer = client.change(subscribe=["b"], unsubscribe=["a"])
        assert answer.json == {"subscribed": ["b"], "unsubscribed": ["a"], "errors": []}
        assert web.asked[-1][1]["user"] == "ann"
        answer = client.change(subscribe=["no", "b"])
        assert (answer.status, answer.json) == (
            200, {"subscribed": ["b"], "unsubscribed": [], "errors": [{"channel": "no", "error": "not for you"}]})
        answer = client.change(subscribe=["broken"], unsubscribe=["b"])
        assert (answer.status, answer.error) == (503, AWAY)
        assert int(answer.headers["retry-after"]) >= 1
        assert client.change(unsubscribe=["b"]).json["unsubscribed"] == ["b"]
        assert [client.event()[0] for _ in range(4)] == ["unsubscribed", "subscribed", "subscribed", "unsubscribed"]
        client.stream.close()


def test_a_control_request_that_comes_to_another_node_asks_the_application():
    answers = {"a": (200, {}, '{"sub":"ann"}'), "b": (200, {}, '{"push":{"subscribe":["b"]}}'),
               "no": (403, {}, '{"error":"not for you"}'), "broken": (500, {}, "")}
    with application(answers) as web, RedisServer() as redis:
        options = {"PUSH_AUTH_HOOK_URL": web.url, **ALL}
        with node(redis.url(), **options) as one, node(redis.url(), **options) as other:
            for each in one, other:
                each.wait_metric("push_redis_peers", 1)
            client = Controlled(one.port, "a")

            def change(**body):
                return request(other.port, post(json.dumps(body), path=client.path))

            answer = change(subscribe=["b", "c"], unsubscribe=["a"])
            assert answer.json == {"subscribed": ["b"], "unsubscribed": ["a"],
                                   "errors": [{"channel": "c", "error": "no right to subscribe to 'c'"}]}
            assert (web.asked[-1][1]["user"], web.asked[-1][1]["channels"]) == ("ann", ["b", "c"])
            assert change(subscribe=["no"]).json["errors"] == [{"channel": "no", "error": "not for you"}]
            answer = change(subscribe=["broken"])
            assert (answer.status, answer.error) == (503, AWAY)
            assert [client.event()[0] for _ in range(2)] == ["unsubscribed", "subscribed"]
            client.stream.close()


def test_the_rights_of_a_token_are_all_that_its_client_has(tmp_path):
    key = Key()
    write_jwks(tmp_path / "keys.json", key)
    with application({"a": (200, {}, ""), "b": (200, {}, "")}) as web, \
            Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json"), PUSH_AUTH_HOOK_URL=web.url, **ALL) as server:
        with opened(server, headers=bearer(key.token(subscribe=["a"], sub="ann"))) as ws:
            say(ws, "subscribe", channels=["b"])
            assert ws.event()["data"] == {"channel": "b", "error": "no right to subscribe to 'b'"}
            assert not web.asked


def test_who_shows_a_token_while_it_is_asked_about_has_the_rights_of_the_token(tmp_path):
    key, released = Key(), threading.Event()
    write_jwks(tmp_path / "keys.json", key)
    with application({"a": (200, {}, ""), "slow": lambda _: (released.wait(60), (200, {}, ""))[1]}) as web, \
            Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json"), PUSH_AUTH_HOOK_URL=web.url, **ALL) as server, \
            opened(server) as ws:
        say(ws, "subscribe", channels=["slow"])
        until_asked(web, 2)
        say(ws, "auth", token=key.token(subscribe=["a"], sub="ann"))
        assert ws.event()["event"] == "authenticated"
        released.set()
        assert ws.event()["data"] == {"channel": "slow", "error": "no right to subscribe to 'slow'"}


def test_asked_about_subscribing_alone_the_application_is_asked_at_connect_too():
    with application({"a": (200, {}, "")}) as web, \
            Server(PUSH_AUTH_HOOK_URL=web.url, PUSH_AUTH_HOOK_ON="subscribe") as server:
        assert of_stream(server, "a") == (200, None)
        assert web.asked[-1][1]["event"] == "subscribe"


def test_what_a_ticket_of_the_applications_client_opens_is_asked_about(tmp_path):
    def answer(question):
        return (200, {}, '{"sub":"ann","push":{"subscribe":["a"]}}') if question["channels"] != ["b"] else (200, {}, "")
    with Web(answer) as web, Server(PUSH_AUTH_HOOK_URL=web.url, **ALL) as server:
        made = request(server.port, post("", path="/auth/tickets", headers=["Authorization: Bearer of-the-app"]))
        with opened(server, f"a&ticket={made.json['ticket']}") as ws:
            say(ws, "subscribe", channels=["b"])
            assert ws.event() == {"event": "subscribed", "data": {"channel": "b"}}


# --- what clients publish ---

PUBLISHES = {"PUSH_AUTH_HOOK_ON": "publish", "PUSH_AUTH_HOOK_TIMEOUT": "30s", "PUSH_WS_PUBLISH": "on",
             "PUSH_AUTH_ANONYMOUS": "subscribe=** publish=open"}
NDJSON = "application/x-ndjson"


def one(channel, value=1):
    return {"channel": channel, "message": value}


def lines(*messages):
    return "".join(json.dumps(message) + "\n" for message in messages)


def send(server, body, *headers, path="/messages"):
    return request(server.port, post(json.dumps(body), list(headers), path=path))


def of_lines(server, *messages, headers=()):
    """The answer to each line of a stream that comes at once."""
    with Connection(server.port) as connection:
        connection.send(post(lines(*messages), list(headers), content_type=NDJSON))
        assert connection.read_stream_head()[0] == 202
        return [json.loads(connection.read_until(b"\n")) for _ in messages]


def answers_of_publishes():
    released = threading.Event()
    return released, {
        "yes": (200, {}, ""), "also": (200, {}, "{}"), "no": (403, {}, '{"error":"not for you"}'),
        "who": (401, {}, '{"error":"log in first"}'), "broken": (500, {}, ""),
        "kept": (200, {"Cache-Control": "max-age=600"}, ""),
        "rights": (200, {}, '{"sub":"ann","push":{"publish":["rights","own:{sub}"]}}'),
        "slow": lambda _: (released.wait(60), (200, {}, ""))[1],
    }


@contextlib.contextmanager
def publishing(**options):
    released, answers = answers_of_publishes()
    with application(answers) as web, Server(PUSH_AUTH_HOOK_URL=web.url, **{**PUBLISHES, **options}) as server:
        try:
            yield web, server, released
        finally:
            released.set()


def channels_asked(web):
    return [question["channels"] for _, question in web.asked]


def test_the_application_is_asked_about_a_publish_with_its_channels():
    with publishing() as (web, server, _):
        answer = send(server, one("yes"), "Cookie: session=s1", path="/messages?wait=written")
        assert (answer.status, answer.json) == (202, {"subscribers": 0, "written": 0})
        headers, question = web.asked.pop()
        assert headers["Cookie"] == "session=s1"
        assert question == {"event": "publish", "method": "POST", "path": "/messages", "query": "wait=written",
                            "headers": {"cookie": "session=s1"}, "address": "127.0.0.1", "channels": ["yes"]}
        # one question for each request, about what is not granted, each channel once
        assert send(server, {"channels": ["yes", "open", "also"], "message": 1}).status == 202
        many = [one("open"), one("yes"), {}, one("also"), one("yes"), {"channel": "x"}]
        assert [part.get("status") for part in send(server, many).json] == [None, None, 400, None, None, 400]
        assert channels_asked(web) == [["yes", "also"]] * 2
        web.asked.clear()
        assert send(server, one("open")).status == 202
        assert send(server, {"channel": "yes"}).status == 400
        assert web.asked == []
        for channel, status, error in ("no", 403, "not for you"), ("who", 401, "log in first"), ("broken", 503, AWAY):
            answer = send(server, one(channel))
            assert (answer.status, answer.error) == (status, error)
            parts = send(server, [one(channel), one("open")]).json
            assert parts == [{"error": error, "status": status}, {"subscribers": 0}]
        assert "retry-after" in answer.headers
        assert send(server, one("rights")).status == 202
        answer = send(server, {"channels": ["rights", "own:ann", "own:bob"], "message": 1})
        assert (answer.status, answer.error) == (403, "no right to publish to 'own:bob'")
        assert send(server, one("yes"), "Authorization: Bearer the-applications-own").status == 202
        assert web.asked[-1][0]["Authorization"] == "Bearer the-applications-own"


def test_each_line_is_asked_about_in_its_order_and_an_answer_is_kept_as_it_says():
    with publishing() as (web, server, released):
        channels = "kept", "no", "kept", "open", "kept", "broken"
        answers = of_lines(server, *map(one, channels), headers=["Cookie: session=s1"])
        assert [answer.get("status") for answer in answers] == [None, 403, None, None, None, 503]
        assert channels_asked(web) == [["kept"], ["no"], ["broken"]]
        assert web.asked[0][1]["headers"] == {"cookie": "session=s1"}
        with opened(server, "slow,open") as ws:
            with Connection(server.port) as connection:
                text = lines(one("open", 1), one("slow", 2), one("open", 3))
                connection.send(post(text, content_type=NDJSON))
                assert ws.message() == ("open", 1)
                until_asked(web, 4)
                say(ws, "ping")
                assert ws.event()["event"] == "pong"  # nothing was published meanwhile
                released.set()
                assert [ws.message() for _ in range(2)] == [("slow", 2), ("open", 3)]
                assert connection.read_stream_head()[0] == 202


def test_a_sockets_publishes_wait_for_the_answer_in_their_order_and_nothing_else_does():
    with publishing() as (web, server, released), opened(server, "slow,open") as ws, opened(server, "x") as other:
        say(ws, "publish", channel="slow", message=1, ref=1)
        until_asked(web, 1)
        assert web.asked[0][1] == {"event": "publish", "headers": {}, "address": "127.0.0.1", "channels": ["slow"]}
        for ref, channel in (2, "open"), (3, "no"), (4, "slow"), (5, "open"):
            say(ws, "publish", channel=channel, message=ref, ref=ref)
        say(ws, "ping")
        assert ws.event()["event"] == "pong"
        say(other, "publish", channel="open", message="other")  # another client
        assert other.event() == {"event": "published", "data": {"subscribers": 1}}
        assert ws.message() == ("open", "other")
        assert channels_asked(web) == [["slow"]]
        released.set()
        events = [ws.event() for _ in range(9)]
        assert [e["data"]["message"] for e in events if e["event"] == "message"] == [1, 2, 4, 5]
        said = [(e["event"], e["data"]["ref"], e["data"].get("error")) for e in events if e["event"] != "message"]
        assert said == [("published", 1, None), ("published", 2, None), ("error", 3, "not for you"),
                        ("published", 4, None), ("published", 5, None)]


def test_where_the_application_is_away_a_publish_is_503_and_never_403():
    web = application({})
    web.__exit__()
    with Server(PUSH_AUTH_HOOK_URL=web.url, **PUBLISHES) as server, opened(server) as ws:
        answer = send(server, one("yes"))
        assert (answer.status, answer.error) == (503, AWAY) and answer.headers["retry-after"]
        assert of_lines(server, one("yes")) == [{"error": AWAY, "status": 503}]
        say(ws, "publish", channel="yes", message=1)
        assert ws.event() == {"event": "error", "data": {"error": AWAY}}


def test_a_publisher_that_goes_while_it_is_asked_about_leaves_nothing_and_is_not_waited_for():
    with publishing() as (web, server, released), opened(server, "slow,open") as ws:
        with Connection(server.port) as plain, Connection(server.port) as stream, opened(server, "x") as other:
            plain.send(post(json.dumps(one("slow", "plain"))))
            until_asked(web, 1)
            stream.send(post(lines(one("slow", "line")), content_type=NDJSON))
            until_asked(web, 2)
            say(other, "publish", channel="slow", message="socket")
            until_asked(web, 3)
        server.wait_metric('push_connections{transport="ws"}', 1)
        assert publish(server, channel="open").status == 202
        assert ws.message() == ("open", 1)
        released.set()
        # what had come whole is published
        assert {ws.message()[1] for _ in range(3)} == {"plain", "line", "socket"}
        server.wait_metric('push_memory_bytes{for="requests"}', 0)


def test_a_key_is_claimed_when_the_application_has_answered_and_is_its_users():
    with publishing() as (web, server, released):
        key = "Idempotency-Key: k"
        assert send(server, one("no"), key).status == 403
        web.answer = lambda _: (200, {}, "")
        assert send(server, one("no"), key).json == {"subscribers": 0}
        assert send(server, one("other"), key).status == 422  # it is claimed now
        for user in "ann", "bob":
            web.answer = lambda _, user=user: (200, {}, json.dumps({"sub": user}))
            assert send(server, one(user), key).status == 202
            assert send(server, one(user, 2), key).status == 422
        web.answer = lambda _: (500, {}, "")
        assert send(server, one("no"), key).status == 503


def test_the_rights_of_a_token_are_all_that_its_publisher_has(tmp_path):
    key = Key()
    write_jwks(tmp_path / "keys.json", key)
    with publishing(PUSH_AUTH_KEYS=str(tmp_path / "keys.json")) as (web, server, _):
        answer = publish(server, bearer(key.token(publish=["a"])), channel="yes")
        assert (answer.status, answer.error) == (403, "no right to publish to 'yes'")
        assert web.asked == []
        assert publish(server, channel="yes").status == 202  # without one the application is asked


def test_over_http_2_the_application_is_asked_about_publishes(tmp_path):
    released, answers = answers_of_publishes()
    with application(answers) as web, start(tmp_path, PUSH_AUTH_HOOK_URL=web.url, **PUBLISHES) as server, \
            server.connect() as connection:
        for channel, status in ("yes", 202), ("no", 403), ("broken", 503):
            stream = connection.post(json.dumps(one(channel)).encode())
            assert stream.status == status
            assert web.asked[-1][1]["channels"] == [channel]
            stream.whole()
        stream = connection.post(lines(one("yes"), one("open"), one("also")).encode(), kind=NDJSON)
        assert (stream.status, stream.whole()) == (202, b'{"subscribers":0}\n' * 3)
        assert channels_asked(web)[3:] == [["yes"], ["also"]]
