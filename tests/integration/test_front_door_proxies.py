"""The table's rows through haproxy and nginx, which send the requests of all clients over the same few connections to Push:
whatever one client sends, others get the answers to their own requests, and it gets none of theirs."""

import concurrent.futures
import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

import peers
import request_table
from http1 import Connection, post
from ports import free_port
from server import Process, Server

ROWS = [row for file in ("smuggling", "bodies", "heads", "connections") for row in request_table.read(file)]
AT_A_TIME = 8
NEIGHBOURS = 3
QUIET_S = 0.3  # what has not come back until then is not waited for
PAUSE_S = 0.02
SLACK_S = 60

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-request 60s
frontend clients
    bind 127.0.0.1:{port}
    {lenient}
    default_backend push
backend push
    http-reuse always
    server push 127.0.0.1:{push}
"""
NGINX = """
daemon off; error_log stderr; pid {folder}/pid; worker_processes 1; {user}
events {{}}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream push {{ server 127.0.0.1:{push}; keepalive 4; keepalive_requests 1000000; }}
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://push;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


def commands(kind, folder, port, push):
    if kind == "nginx":
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "conf").write_text(NGINX.format(folder=folder, port=port, push=push, user=user))
        return [peers.path("usr/sbin/nginx"), "-c", folder / "conf", "-p", folder]
    lenient = "option accept-invalid-http-request" if kind == "lenient haproxy" else ""
    (folder / "conf").write_text(HAPROXY.format(port=port, push=push, lenient=lenient))
    return [peers.path("usr/sbin/haproxy"), "-db", "-f", folder / "conf"]


@contextlib.contextmanager
def proxy(kind, push):
    folder, port = Path(tempfile.mkdtemp(prefix="push-proxy-")), free_port()
    process = Process(commands(kind, folder, port, push),
                      {"LD_LIBRARY_PATH": peers.environment()["LD_LIBRARY_PATH"], "HOME": folder})
    try:
        end = time.monotonic() + SLACK_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < end and process.process.poll() is None, process.output()
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Neighbour:
    """Publishes to channels of bad names without a pause, since the errors name them: each answer shows whose it is."""

    def __init__(self, port, number, may_be_cut):
        self.port, self.name, self.may_be_cut = port, f"neighbour{number}", may_be_cut
        self.count, self.failure, self.stop = 0, None, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.stop.is_set():
                with Connection(self.port, timeout=SLACK_S) as connection:
                    self.ask_on(connection)
        except Exception as error:
            self.failure = repr(error)

    def ask_on(self, connection):
        while not self.stop.is_set():
            try:
                self.ask(connection)
            except EOFError:
                if not self.may_be_cut or connection.buffer:
                    raise
                return
            self.stop.wait(0.002)

    def ask(self, connection):
        channel = f"{self.name}-{self.count}-"
        answer = connection.send(post('{"channel":"%s\\u0007","message":1}' % channel)).read_answer()
        if self.may_be_cut and answer.status == 502:
            return
        assert answer.status == 400 and channel in answer.text, f"{channel}: {answer.status} {answer.body!r}"
        self.count += 1

    def end(self):
        self.stop.set()
        self.thread.join()


def attack(port, row, pause_s):
    """What comes back.  After a pause between head and body a proxy has the answer before it is through with the request."""
    with Connection(port, timeout=QUIET_S) as connection:
        head, blank, body = row.bytes("smug").partition(b"\r\n\r\n")
        request_table.send(connection, head + blank)
        time.sleep(pause_s)
        request_table.send(connection, body)
        connection.is_closed()
        return connection.buffer


@pytest.mark.parametrize("kind, direct", [("haproxy", "on"), ("lenient haproxy", "on"), ("nginx", "on"),
                                          ("haproxy", "off"), ("lenient haproxy", "off"), ("nginx", "off")])
def test_no_request_reaches_another_clients_connection(kind, direct):
    if not peers.is_there("nginx" if kind == "nginx" else "HAProxy"):
        pytest.skip(f"no {kind}")
    with Server(PUSH_DIRECT=direct) as server, proxy(kind, server.port) as port:
        # lws does not say that it will close a connection, so that a proxy may send one more request to it
        neighbours = [Neighbour(port, number, may_be_cut=direct == "off") for number in range(NEIGHBOURS)]
        try:
            with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
                answers = list(pool.map(attack, *zip(*((port, row, pause_s) for pause_s in (0, PAUSE_S) for row in ROWS))))
            counts = [neighbour.count for neighbour in neighbours]
            end = time.monotonic() + SLACK_S  # and connections that attackers have left are used once more
            while any(n.count < count + 20 and not n.failure for n, count in zip(neighbours, counts)):
                assert time.monotonic() < end
                time.sleep(0.01)
        finally:
            for neighbour in neighbours:
                neighbour.end()
        assert [neighbour.failure for neighbour in neighbours] == [None] * NEIGHBOURS
        taken = [(row.name, answer) for row, answer in zip(ROWS * 2, answers) if re.search(rb"neighbour\d", answer)]
        assert taken == []
        assert any(answer.startswith(b"HTTP/1.") for answer in answers)  # all of them only where the machine is not busy
