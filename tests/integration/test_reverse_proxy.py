"""docs/deploy/reverse-proxy.md: each configuration works as it stands, but for ports, names and certificates."""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from http1 import Connection, publish
from ports import free_port
from redis_servers import RedisServer, wait_until
from server import SOURCE, Process, Server
from tokens import Key, write_jwks
from wsclient import WebSocket

sys.path.insert(0, str(SOURCE / "tests/bench"))
import peers  # noqa: E402

PAGE = (SOURCE / "docs/deploy/reverse-proxy.md").read_text()
BLOCKS = {language: re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.S | re.M)
          for language in ("nginx", "caddyfile", "haproxy")}
TICKETS, LOG = re.findall(r"^```nginx\n(.*?)^```$", (SOURCE / "docs/security.md").read_text(), re.S | re.M)
H2_SERVER = re.search(r"^```haproxy\n(.*?)^```$", (SOURCE / "docs/http2.md").read_text(), re.S | re.M)[1]
THREE_NODES = (SOURCE / "docs/deploy/three-nodes.md").read_text()
SLACK_S = 30


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=push.example.com", "-days", "1",
                    "-keyout", folder / "push.key", "-out", folder / "push.pem"], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "push.pem").read_text() + (folder / "push.key").read_text())


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return lambda s: context.wrap_socket(s, server_hostname="push.example.com")


class Proxy:
    def __init__(self, peer, command, folder, port, wrap):
        self.port, self.wrap = port, wrap
        self.process = Process(command, {"LD_LIBRARY_PATH": peers.environment()["LD_LIBRARY_PATH"], "HOME": folder})
        end = time.monotonic() + SLACK_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            assert time.monotonic() < end and self.process.process.poll() is None, self.process.output()
            time.sleep(0.02)

    def request(self, text):
        with Connection(self.port, wrap=self.wrap) as connection:
            return connection.send(text).read_answer()


def nginx(folder, server, site, application=0):
    port = free_port()
    certificate(folder)
    site = site.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("listen 443", f"listen 127.0.0.1:{port}") \
        .replace("/etc/ssl", str(folder)).replace("127.0.0.1:3000", f"127.0.0.1:{application}")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"daemon off; error_log stderr; pid {folder}/pid; "
                                       f"{'user root;' if os.geteuid() == 0 else ''} events {{}} http {{ access_log off; {paths}\n{site}\n}}")
    return Proxy("nginx", [peers.path("usr/sbin/nginx"), "-c", folder / "nginx.conf", "-p", folder], folder, port, trusting())


def caddy(folder, server, site=BLOCKS["caddyfile"][0], application=0):
    port = free_port()
    site = site.replace("127.0.0.1:3000", f"127.0.0.1:{application}").replace("push.example.com {", f":{port} {{\n    bind 127.0.0.1") \
        .replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    (folder / "Caddyfile").write_text("{\n admin off\n}\n" + site)
    return Proxy("Caddy", [peers.path("usr/bin/caddy"), "run", "--config", folder / "Caddyfile"], folder, port, None)


def haproxy(folder, server, text=BLOCKS["haproxy"][0]):
    port = free_port()
    certificate(folder)
    text = text.replace("/run/haproxy", str(folder)).replace("bind :443", f"bind 127.0.0.1:{port}").replace("/etc/ssl/push.pem", f"{folder}/both.pem") \
        .replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("check port 8000", f"check port {server.management}")
    (folder / "haproxy.cfg").write_text(text)
    return Proxy("HAProxy", [peers.path("usr/sbin/haproxy"), "-db", "-f", folder / "haproxy.cfg"], folder, port, trusting())


def start(kind, folder, server):
    if not peers.is_there({"nginx": "nginx", "caddy": "Caddy"}.get(kind, "HAProxy")):
        pytest.skip(f"no {kind}")
    if kind == "nginx":
        return nginx(folder, server, BLOCKS["nginx"][0])
    if kind == "haproxy h2":
        text = re.sub(r"^ +server push1 .*\n", H2_SERVER, BLOCKS["haproxy"][0], flags=re.M)
        assert H2_SERVER in text
        return haproxy(folder, server, text)
    return {"caddy": caddy, "haproxy": haproxy}[kind](folder, server)


@pytest.fixture(params=["nginx", "caddy", "haproxy", "haproxy h2"])
def proxied(request):
    folder = Path(tempfile.mkdtemp(prefix="push-proxy-"))
    with Server(PUSH_HTTP2_CLEARTEXT="on" if "h2" in request.param else "off") as server:
        proxy = start(request.param, folder, server)
        try:
            yield server, proxy
        finally:
            proxy.process.kill()
            proxy.process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def event_stream(proxy, channel="news", headers=None):
    """Its lines, in whatever pieces the proxy sends them."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=SLACK_S)
    if proxy.wrap:
        connection.sock = proxy.wrap(socket.create_connection(("127.0.0.1", proxy.port), SLACK_S))
    connection.request("GET", f"/sse/messages?channels={channel}", headers={"Host": "push.example.com"} | (headers or {}))
    return connection.getresponse()


def test_clients_subscribe_through_the_proxy_and_get_each_message_at_once(proxied):
    server, proxy = proxied
    with event_stream(proxy) as stream, WebSocket(proxy.port, "news", wrap=proxy.wrap) as ws:
        server.wait_metric("push_subscriptions", 2, SLACK_S)
        for number in range(3):
            assert publish(server.port, "news", number).json == {"subscribers": 2}
            while (line := stream.readline()) != b'data:{"channel":"news","message":%d}\n' % number:
                assert line
            assert ws.message() == ("news", number)


def test_nobody_publishes_or_reads_history_through_the_proxy(proxied):
    _, proxy = proxied
    body = '{"channel":"news","message":1}'
    assert proxy.request(f"POST /messages HTTP/1.1\r\nHost: push.example.com\r\nContent-Type: application/json\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n{body}").status in (403, 404)
    for path in ("/messages?channel=news", "/", "/messages/", "//messages", "/sse/../messages", "/actuator/health"):
        assert proxy.request(f"GET {path} HTTP/1.1\r\nHost: push.example.com\r\n\r\n").status in (400, 403, 404), path


def test_the_client_library_is_served(proxied):
    _, proxy = proxied
    assert proxy.request("GET /push.js HTTP/1.1\r\nHost: push.example.com\r\n\r\n").status == 200


class Application(http.server.BaseHTTPRequestHandler):
    """Lets those in that have a cookie, to channels that begin with it."""

    def do_GET(self):
        channels = re.search(r"channels=(\w+)", self.headers.get("X-Original-URI") or self.headers.get("X-Forwarded-Uri", ""))
        cookie = self.headers.get("Cookie", "")
        self.send_response(204 if cookie and channels and channels[1].startswith(cookie) else 403)
        self.end_headers()

    def log_message(self, *_):
        pass


def location(site, path):
    return re.search(rf"    location {path} {{.*?^    }}\n", site, re.S | re.M)[0]


def nginx_for_private_channels(folder, server, application):
    site = BLOCKS["nginx"][0]
    site = site.replace(location(site, "= /ws/messages"), BLOCKS["nginx"][1]).replace(location(site, "/sse/messages"), "")
    return nginx(folder, server, site, application)


def nginx_for_those_who_have_logged_in(folder, server, application):
    site = BLOCKS["nginx"][0]
    for path in ("= /ws/messages", "/sse/messages"):
        plain = location(site, path)
        site = site.replace(plain, plain.replace("{\n", "{\n        auth_request /may-subscribe;\n", 1))
    return nginx(folder, server, site.replace("    location / {", location(BLOCKS["nginx"][1], "= /may-subscribe") + "    location / {"),
                 application)


def caddy_for_private_channels(folder, server, application):
    return caddy(folder, server, BLOCKS["caddyfile"][1], application)


@contextlib.contextmanager
def asking(kind, start_proxy, folder):
    """A proxy before Push that asks the application."""
    if not peers.is_there(kind):
        pytest.skip(f"no {kind}")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application) as application, Server() as server:
        threading.Thread(target=application.serve_forever, daemon=True).start()
        proxy = start_proxy(folder, server, application.server_address[1])
        try:
            yield proxy
        finally:
            proxy.process.kill()
            application.shutdown()


@contextlib.contextmanager
def nginx_with_tokens(folder, key):
    """As docs/security.md has it; its log is in the folder."""
    if not peers.is_there("nginx"):
        pytest.skip("no nginx")
    write_jwks(folder / "keys.json", key)
    log_format, access_log = LOG.replace("/var/log/nginx", str(folder)).split("\n", 1)
    site = BLOCKS["nginx"][0].replace("    location / {", TICKETS + "    location / {") \
        .replace("    server_name", f"    {access_log.strip()}\n    server_name")
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json")) as server:
        proxy = nginx(folder, server, f"{log_format}\n{site}")
        try:
            yield proxy
        finally:
            proxy.process.kill()


def test_tokens_and_tickets_go_through_nginx_and_are_not_in_its_log(tmp_path):
    tmp_path.chmod(0o755)
    key = Key()
    token = key.token(subscribe=["news"])
    with nginx_with_tokens(tmp_path, key) as proxy:
        answer = proxy.request("POST /auth/tickets HTTP/1.1\r\nHost: push.example.com\r\nContent-Length: 0\r\n"
                               f"Authorization: Bearer {token}\r\n\r\n")
        assert answer.status == 200
        ticket = answer.json["ticket"]
        with event_stream(proxy, f"news&ticket={ticket}") as stream:
            assert stream.status == 200 and stream.readline() == b"event:heartbeat\n"
        with WebSocket(proxy.port, "news", wrap=proxy.wrap,
                       headers=[f"Sec-WebSocket-Protocol: push.v1, push.token.{token}"]) as ws:
            assert json.loads(ws.read_frame()[1])["event"] == "ping"
        with event_stream(proxy, "news&ticket=" + "x" * 32) as refused:
            assert refused.status == 401
        wait_until(lambda: (tmp_path / "push.log").read_text().count(" 401\n"), "the refusal is in the log", SLACK_S)
        log = (tmp_path / "push.log").read_text()
        assert '"GET /sse/messages" 200' in log and ticket not in log and "x" * 32 not in log and token not in log


WHO = (({"Cookie": "anna"}, True), ({}, False), ({"Cookie": "bert"}, False))


@pytest.mark.parametrize("kind,start_proxy", (("nginx", nginx_for_private_channels), ("Caddy", caddy_for_private_channels)),
                         ids=("nginx", "caddy"))
def test_only_those_who_may_read_a_private_channel_get_its_event_stream_and_there_is_no_other_way(kind, start_proxy, tmp_path):
    with asking(kind, start_proxy, tmp_path) as proxy:
        for headers, may in WHO:
            with event_stream(proxy, "anna", headers) as stream:
                assert stream.status == (200 if may else 403)
            with WebSocket(proxy.port, "anna", headers=[f"{k}: {v}" for k, v in headers.items()], wrap=proxy.wrap) as ws:
                assert ws.status == 404
        body = '{"subscribe":["bert"]}'
        assert proxy.request(f"POST /sse/messages/0123456789abcdef.0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: push.example.com\r\n"
                             f"Cookie: anna\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").status == 404


def test_a_stranger_gets_403_on_each_path_that_nginx_asks_about(tmp_path):
    with asking("nginx", nginx_for_those_who_have_logged_in, tmp_path) as proxy:
        for headers, may in WHO:
            with event_stream(proxy, "anna", headers) as stream:
                assert stream.status == (200 if may else 403)
            with WebSocket(proxy.port, "anna", headers=[f"{k}: {v}" for k, v in headers.items()], wrap=proxy.wrap) as ws:
                assert ws.status == (101 if may else 403)
        assert proxy.request("POST /sse/messages/TOKEN HTTP/1.1\r\nHost: push.example.com\r\nContent-Length: 2\r\n\r\n{}").status == 403


def test_haproxy_sends_no_client_to_a_node_that_is_disabled_by_the_command(tmp_path):
    if not peers.is_there("HAProxy"):
        pytest.skip("no haproxy")
    commands = re.findall(r"^echo '(.*)' \| sudo socat stdio /run/haproxy/admin.sock$", PAGE, re.M)
    assert len(commands) == 2
    with Server() as server:
        proxy = haproxy(tmp_path, server)
        try:
            for command, status in zip(commands, (503, 200)):
                with socket.socket(socket.AF_UNIX) as admin:
                    admin.connect(str(tmp_path / "admin.sock"))
                    admin.sendall(command.encode() + b"\n")
                    assert admin.recv(1000).strip() == b""
                with event_stream(proxy) as stream:
                    assert stream.status == status
        finally:
            proxy.process.kill()


def test_haproxy_sends_clients_to_nodes_that_are_not_ready_if_none_is(tmp_path):
    if not peers.is_there("HAProxy"):
        pytest.skip("no haproxy")
    lines = re.search(r"```haproxy\n( *option allbackups\n.*?)```", THREE_NODES, re.S)[1]
    lines = "".join(f"    {line.strip()}\n" for line in lines.strip().split("\n"))
    lines = re.sub(r"\d+\.\d+\.\d+\.\d+:8080", "127.0.0.1:8080", lines)
    with RedisServer() as redis, Server(PUSH_REDIS_URL=redis.url()) as server:
        proxy = haproxy(tmp_path, server, BLOCKS["haproxy"][0] + lines)
        try:
            with event_stream(proxy) as stream:
                assert stream.status == 200
                redis.kill()
                end = time.monotonic() + SLACK_S
                while "push1 is DOWN" not in proxy.process.output():
                    assert time.monotonic() < end, proxy.process.output()
                    time.sleep(0.02)
                with event_stream(proxy) as late:
                    assert late.status == 200
        finally:
            proxy.process.kill()
