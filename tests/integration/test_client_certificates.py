"""A client whose certificate the vhost's CA has verified is a user: push.auth.certificate."""

import json
import ssl
import subprocess
import time

import pytest
from cryptography import x509

from certificates import Authority
from http1 import get, post, request
from ports import free_port
from server import Server
from sseclient import EventStream
from test_auth import end_of, order, say
from test_auth_servers import Web
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import WebSocket

KEY = Key()
VHOST = """
{ "vhosts": [{
  "name": "%(name)s", "port": "%(port)d", "host-ssl-cert": "%(cert)s", "host-ssl-key": "%(cert)s", "host-ssl-ca": "%(ca)s",
  %(more)s
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/auth/tickets", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push-broker-vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}] }
"""
REQUIRED = '"client-cert-required": "1",'


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server(ca):
    """Two ports: one for those with a certificate, and one (optional) for others, too."""
    ports = {"required": free_port(), "optional": free_port()}
    cert = ca.issue("localhost", names=[x509.DNSName("localhost")])
    write_jwks(ca.folder / "keys.json", KEY)
    with Server(conf_d={f"30-{name}": VHOST % {"name": name, "port": port, "cert": cert, "ca": ca.path,
                                               "more": REQUIRED if name == "required" else ""}
                        for name, port in ports.items()},
                PUSH_AUTH_CERTIFICATE="cn", PUSH_AUTH_CERTIFICATE_RIGHTS="user:{sub}:* publish=from:{sub} history=news",
                PUSH_AUTH_KEYS=ca.folder / "keys.json", PUSH_AUTH_ANONYMOUS="public:**", PUSH_HISTORY_SIZE="10",
                PUSH_WS_PUBLISH="on", PUSH_LIMIT_USER_CONNECTIONS="2") as running:
        running.required, running.optional = ports["required"], ports["optional"]
        yield running


def wrapped(context, session=None):
    return lambda plain: context.wrap_socket(plain, server_hostname="localhost", session=session)


def opened(port, name, wrap):
    """A WebSocket behind its first ping."""
    ws = WebSocket(port, f"user:{name}:a", wrap=wrap)
    assert ws.event()["event"] == "ping"
    return ws


def as_user(ca, *names, **options):
    return wrapped(ca.client(ca.issue(*names, **options)))


def publish(port, wrap, channel, headers=()):
    return request(port, post(json.dumps({"channel": channel, "message": 1}), headers=list(headers)), wrap=wrap)


def curl(port, ca, certificate, channel, version="--http2", path="/messages"):
    """The status, and 0 if there is no answer."""
    done = subprocess.run(
        ["curl", "-sS", version, "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", "--cacert", ca.path,
         *(["--cert", certificate] if certificate else []), "-H", "Content-Type: application/json",
         "-d", json.dumps({"channel": channel, "message": 1}), f"https://localhost:{port}{path}"],
        capture_output=True, text=True)
    return int(done.stdout)


def test_curl_publishes_with_a_certificate_of_the_right_ca_only(server, ca, tmp_path):
    good, expired = ca.issue("ann"), ca.issue("ann", begins_s=-7200, ends_s=-3600)
    other = Authority(tmp_path, "other").issue("ann")
    for version in "--http1.1", "--http2":
        assert curl(server.required, ca, good, "from:ann", version) == 202
        assert curl(server.required, ca, good, "from:bob", version) == 403
    for port in server.required, server.optional:
        assert curl(port, ca, expired, "from:ann") == 0
        assert curl(port, ca, other, "from:ann") == 0
    assert curl(server.required, ca, None, "from:ann") == 0
    assert curl(server.optional, ca, good, "from:ann") == 202
    assert curl(server.optional, ca, None, "from:ann") == 401


def test_it_counts_for_what_lws_serves_behind_push_s_tls_too(server, ca):
    ann = ca.issue("ann")
    for version in "--http1.1", "--http2":
        assert curl(server.required, ca, ann, "from:ann", version, "/message%73") == 202
        assert curl(server.required, ca, ann, "from:bob", version, "/message%73") == 403
    with WebSocket(server.required, "user:ann:a", path="/ws/message%73", wrap=wrapped(ca.client(ann))) as ws:
        assert ws.event()["event"] == "ping"


def test_the_handshake_names_the_ca(server):
    for port in server.required, server.optional:
        client = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input=b"", capture_output=True, timeout=60)
        assert b"Acceptable client certificate CA names\nCN = ca\n" in client.stdout


def test_each_right_is_granted_by_the_name_and_no_other(server, ca):
    ann = as_user(ca, "ann")
    answer = publish(server.required, ann, "from:bob")
    assert (answer.status, answer.error) == (403, "no right to publish to 'from:bob'")
    assert get(server.required, "/messages?channel=news", wrap=ann).status == 200
    assert get(server.required, "/messages?channel=from:ann", wrap=ann).status == 403
    assert get(server.required, "/sse/messages?channels=user:bob:a", wrap=ann).status == 403
    with EventStream(server.required, "user:ann:a", wrap=ann) as stream:
        assert publish(server.port, None, "user:ann:a", bearer(KEY.token(publish=["**"]))).status == 202
        assert b"heartbeat" in stream.raw()
        assert b'"message":1' in stream.raw()


def test_a_websocket_has_them_without_a_word_and_publishes(server, ca):
    with opened(server.required, "ann", as_user(ca, "ann")) as ws:
        say(ws, "publish", channel="from:ann", message=1)
        assert ws.event()["event"] == "published"
        say(ws, "publish", channel="from:bob", message=1)
        assert ws.event()["data"]["error"] == "no right to publish to 'from:bob'"
        say(ws, "subscribe", channels=["user:ann:b"])
        assert ws.event()["event"] == "subscribed"
        say(ws, "auth", token=KEY.token(subscribe=["**"], sub="bob"))
        assert ws.event()["data"]["error"] == "the token is another user's"
        say(ws, "auth", token=KEY.token(subscribe=["user:ann:a"], sub="ann"))
        assert ws.event()["event"] == "authenticated"
        assert ws.event() == {"event": "unsubscribed", "data": {"channel": "user:ann:b",
                                                                "reason": "no right to subscribe to 'user:ann:b'"}}


def test_an_event_stream_changes_its_channels_within_the_users_rights(server, ca):
    client = Controlled(server.required, "user:ann:a", wrap=as_user(ca, "ann"))
    with client.stream:
        answer = client.change(subscribe=["user:ann:b", "user:bob:a"])
        assert answer.json == {"subscribed": ["user:ann:b"], "unsubscribed": [], "errors": [
            {"channel": "user:bob:a", "error": "no right to subscribe to 'user:bob:a'"}]}


def test_a_token_counts_more_than_the_certificate(server, ca):
    ann = as_user(ca, "ann")
    assert publish(server.required, ann, "from:ann", bearer(KEY.token(publish=["other"], sub="bob"))).status == 403
    assert publish(server.required, ann, "other", bearer(KEY.token(publish=["other"], sub="bob"))).status == 202
    assert publish(server.required, ann, "from:ann", bearer("junk")).status == 401


def test_a_name_with_odd_bytes_is_no_user_and_without_one_the_whole_subject_is(server, ca):
    assert publish(server.required, as_user(ca, "ann\0.evil"), "from:ann").status == 401
    assert publish(server.required, as_user(ca), "from:O=Acme").status == 202
    assert publish(server.required, as_user(ca, "ann", "bob"), "from:bob").status == 403


def test_of_a_web_page_it_counts_only_if_its_origin_is_pushs_own_or_listed(server, ca):
    ann = as_user(ca, "ann")
    answer = publish(server.required, ann, "from:ann", ["Origin: https://evil.example"])
    assert (answer.status, answer.error) == (
        400, "a web page's client certificate needs push.cors.allowed.origins to list its origin")
    assert publish(server.required, ann, "from:ann", ["Origin: https://test"]).status == 202


def test_limits_and_orders_of_operators_go_by_the_user(server, ca):
    wrap = as_user(ca, "carl")
    with opened(server.required, "carl", wrap) as ws, \
            EventStream(server.required, "user:carl:a", wrap=wrap) as stream:
        assert get(server.required, "/sse/messages?channels=user:carl:a", wrap=wrap).status == 429
        assert order(server, "/connections/disconnect", user="carl").status == 202
        assert end_of(ws) == ("disconnected by the operator", 4403)
        assert b"heartbeat" in stream.raw() and stream.raw().startswith(b"event:error")
    with opened(server.required, "carl", wrap) as ws:
        begun = int(time.time()) - 600
        assert order(server, "/tokens/revoke", user="carl", before=begun).status == 202
        assert end_of(ws) == ("the token was revoked", 4401)
    answer = publish(server.required, wrap, "from:carl")
    assert (answer.status, answer.error) == (401, "the user's certificate was revoked")
    assert publish(server.required, as_user(ca, "carl", begins_s=-60), "from:carl").status == 202


def test_a_ticket_for_a_certificate_opens_an_event_stream_elsewhere(server, ca):
    answer = request(server.required, post("", path="/auth/tickets"), wrap=as_user(ca, "dora"))
    with EventStream(server.optional, path="/sse/messages?channels=user:dora:a&ticket=" + answer.json["ticket"],
                     wrap=wrapped(ca.client())) as stream:
        assert stream.status == 200


def test_the_application_adds_to_the_rights_and_is_given_the_user(ca):
    port, cert = free_port(), ca.issue("localhost", names=[x509.DNSName("localhost")])
    verdict = {"expires_in": 60, "push": {"subscribe": ["room:**"], "publish": ["room:**"]}}
    with Web(lambda _: (200, {}, json.dumps(verdict))) as web, \
            Server(conf_d={"30-tls": VHOST % {"name": "t", "port": port, "cert": cert, "ca": ca.path, "more": ""}},
                   PUSH_AUTH_CERTIFICATE="cn", PUSH_AUTH_CERTIFICATE_RIGHTS="user:{sub}:*",
                   PUSH_AUTH_HOOK_URL=web.url, PUSH_AUTH_HOOK_ON="connect,subscribe,publish") as asking:
        ann = as_user(ca, "ann")
        with EventStream(port, "user:ann:a", wrap=ann) as stream:
            assert stream.status == 200 and not web.asked, "its rights are enough"
        with WebSocket(port, "user:ann:a,room:1", wrap=ann) as ws:
            ws.read_frame()  # it is asked after the handshake
            asked = web.asked[-1][1]
            assert (asked["event"], asked["user"], asked["channels"]) == ("connect", "ann", ["user:ann:a", "room:1"])
            assert publish(port, ann, "room:1").status == 202
            assert (web.asked[-1][1]["event"], web.asked[-1][1]["user"]) == ("publish", "ann")
            assert ws.message() == ("room:1", 1)
            say(ws, "subscribe", channels=["user:bob:a"])
            assert ws.event()["data"]["error"] == "no right to subscribe to 'user:bob:a'"
            assert (web.asked[-1][1]["event"], web.asked[-1][1]["user"]) == ("subscribe", "ann")
            assert order(asking, "/connections/disconnect", user="ann").status == 202
            assert end_of(ws) == ("disconnected by the operator", 4403)
        assert get(port, "/sse/messages?channels=user:bob:a", wrap=ann).status == 403


def test_stock_lwsws_says_that_certificates_count_for_nobody():
    with Server(stock=True, options={"push-auth-certificate": "cn"}) as stock:
        stock.process.wait_for("push.auth.certificate=cn: no user has one, since libwebsockets serves TLS")


def test_an_open_connection_and_a_resumed_session_end_with_the_certificate(server, ca):
    life_s = 3
    while True:  # an overloaded machine may need longer to connect
        context = ca.client(ca.issue("eve", begins_s=-3600, ends_s=life_s))
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # its ticket comes with the handshake
        try:
            with WebSocket(server.required, "user:eve:a", wrap=wrapped(context)) as ws:
                if ws.status == 101:
                    session = ws.socket.session
                    while "error" not in (event := ws.event()):
                        assert event["event"] in ("ping", "expiring")
                    assert ws.close_code() == 4401
                    break
        except OSError:
            pass
        life_s *= 2
        assert life_s < 100

    def resumed(plain):
        tls = context.wrap_socket(plain, server_hostname="localhost", session=session)
        assert tls.session_reused
        return tls
    answer = publish(server.required, resumed, "from:eve")
    assert (answer.status, answer.error) == (401, "the client certificate has expired")
