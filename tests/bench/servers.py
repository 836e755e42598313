"""Starts a server, knows how pushload is to speak to it, and stops it: Push, its peers and the floor.

Each is started anew for each run, on a port of its own, in the setting that its documentation recommends for speed
with the promises nearest to Push's: one process that serves, no persistence, no access log, no limit that a run
would meet.  Each sends what it sends by default: Push and the floor an event with the channel's name, Centrifugo too,
Nchan, Bun and Redis less.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import peers
import tls
from ports import free_port, free_ports

HERE = os.path.dirname(os.path.abspath(__file__))
START_S, STOP_S = 30, 20
FILES_MAX = 20000

# Embedded store without buffered messages (Push has no history either), one worker.  nginx begins to close waiting
# connections when a sixteenth of worker_connections is left: so there are more of them than files can be open.
NCHAN_CONF = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
error_log stderr error;
pid {work}/nginx.pid;
{user}
events {{ worker_connections {connections}; multi_accept on; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 2000000000;
  keepalive_timeout 1h;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  client_body_buffer_size 128k;
  nchan_shared_memory_size 512M;
{certificate}  server {{
    listen 127.0.0.1:{port} backlog=4096{tls};
    location ~ ^/subscribe/(\\w+)$ {{
      nchan_subscriber websocket eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_store_messages off;
    }}
    location ~ ^/publish/(\\w+)$ {{
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_store_messages off;
    }}
  }}
}}
"""


# HTTP/2 is on, for those who ask for it.
NCHAN_TLS = """\
  ssl_certificate {0};
  ssl_certificate_key {1};
  ssl_protocols TLSv1.2 TLSv1.3;
  http2_max_concurrent_streams 1000;
  http2_max_requests 2000000000;
"""


class Failed(Exception):
    """A server did not come up; says what it said itself."""


class Server:
    """Use as a context manager: .pid, .target and .options() are for pushload.  transport: of tls.TRANSPORTS."""

    name = None
    peer = None  # of peers.py; None: it is ours
    transports = ("ws", "sse", "tls-ws", "tls-sse", "h2-sse")  # a server of none of them is spoken to in its own way
    ready_text = None  # what it prints when it is ready; None: it answers a request

    def __init__(self, build, transport="ws"):
        self.build, self.transport = build, transport
        self.port = None
        self.process = None
        self.said = []
        self.has_said_ready = threading.Event()

    # What a server is.

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def options(self):
        return ["--transport", *tls.TRANSPORTS[self.transport]]

    @property
    def is_secure(self):
        return tls.is_secure(self.transport)

    @property
    def target(self):
        return "127.0.0.1:%d" % self.port

    # The same for all.

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory(prefix="push-bench-")
        try:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.work.name)
            self.reader = threading.Thread(target=self.listen, daemon=True)
            self.reader.start()
            if not self.wait_until_ready():
                raise Failed("%s did not start:\n%s" % (self.name, "\n".join(self.said[-8:])))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.reader.join()
            self.process.stdout.close()
        self.work.cleanup()

    @property
    def pid(self):
        return self.process.pid

    def listen(self):
        for line in self.process.stdout:
            self.said.append(line.decode(errors="replace").rstrip())
            if self.ready_text and self.ready_text in self.said[-1]:
                self.has_said_ready.set()
        self.has_said_ready.set()  # it never will

    def wait_until_ready(self):
        if self.ready_text:
            self.has_said_ready.wait(START_S)
            return any(self.ready_text in line for line in self.said)
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            if self.answers():
                return True
            time.sleep(0.02)
        return False

    def answers(self):
        """Whether its worker serves: an open port alone is its parent's."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return bool(connection.recv(1))
        except OSError:
            return False


class Push(Server):
    name = "Push"
    root = peers.ROOT
    transports = Server.transports + ("h2c-sse",)
    ready_text = "Push is ready"

    def command(self):
        self.port, self.plain, self.management = free_ports(3)
        if not self.is_secure:
            self.port = self.plain
        config = tls.push_config(self.work.name, self.port, self.root) if self.is_secure else self.root
        return [os.path.join(self.build, "server/pushd"), "--config", config, "--plugins",
                os.path.join(self.build, "plugins"), "--mounts", os.path.join(self.root, "mounts"), "--lwsws",
                os.path.join(self.root, "build/deps/bin/lwsws"), "--run-dir", self.work.name]

    def environment(self):
        cleartext = {"PUSH_HTTP2_CLEARTEXT": "on"} if self.transport == "h2c-sse" else {}
        # one core, as the others, unless PUSH_WORKERS says more
        return {"PUSH_WORKERS": "1", **os.environ, "SERVER_PORT": str(self.plain), "MANAGEMENT_SERVER_PORT": str(self.management), **cleartext}


class Before(Push):
    """Push as another source tree has it (--before), to see what a change has brought."""

    name = "before"

    def __init__(self, build, transport="ws"):
        super().__init__(os.path.join(self.root, "build/release"), transport)


class Floor(Server):
    name = "floor"
    transports = ("ws", "sse", "tls-ws", "tls-sse")
    ready_text = "floor is ready"

    def command(self):
        return [os.path.join(self.build, "tests/bench/bench_floor"),
                *(tls.make_certificate(self.work.name) if self.is_secure else ())]

    def wait_until_ready(self):
        if not super().wait_until_ready():
            return False
        self.port = int(self.said[0].split()[-1])
        return True


class Nchan(Server):
    name = peer = "Nchan"

    def command(self):
        self.port = free_port()
        conf = os.path.join(self.work.name, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(NCHAN_CONF.format(
                module=peers.path("usr/lib/nginx/modules/ngx_nchan_module.so"), work=self.work.name, port=self.port,
                tls=" ssl http2" if self.is_secure else "", certificate=NCHAN_TLS.format(
                    *tls.make_certificate(self.work.name)) if self.is_secure else "",
                files=FILES_MAX, connections=FILES_MAX * 9 // 8, user="user root;" if os.geteuid() == 0 else ""))
        nginx = [peers.path("usr/sbin/nginx"), "-p", self.work.name, "-c", conf]
        if os.path.isdir("/var/lib/nginx"):
            return nginx
        # The module insists on that folder, and its directive to choose another one refuses every value: it is given
        # one that only it sees.
        private = "mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/nginx && exec \"$@\""
        return ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "sh", "-c", private, "sh", *nginx]

    def environment(self):
        return peers.environment()

    def options(self):
        return super().options() + [
            "--ws-path", "/subscribe/%c", "--sse-path", "/subscribe/%c", "--publish-path", "/publish/%c",
            "--publish-body", "%m", "--content-type", "text/plain"]


class Redis(Server):
    name = peer = "Redis"
    transports = ("redis",)
    ready_text = "Ready to accept connections"

    def command(self):
        self.port = free_port()
        return [peers.path("usr/bin/redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--protected-mode",
                "no", "--save", "", "--appendonly", "no", "--maxclients", str(FILES_MAX - 100), "--tcp-backlog", "4096",
                "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", self.work.name]

    def environment(self):
        return peers.environment()

    def options(self):
        return ["--transport", "redis", "--publish-by", "redis", "--publish-body", "%m"]


class Bun(Server):
    """µWebSockets with its topics, as Bun has it built in; bun_server.js is the program."""

    name = peer = "Bun"
    transports = ("ws", "tls-ws")
    ready_text = "Bun is ready"

    def command(self):
        return [peers.path("usr/local/bin/bun"), os.path.join(HERE, "bun_server.js")]

    def environment(self):
        self.port = free_port()
        files = dict(zip(("CERTIFICATE", "KEY"), tls.make_certificate(self.work.name))) if self.is_secure else {}
        return {**os.environ, "PORT": str(self.port), "NODE_ENV": "production", "DO_NOT_TRACK": "1", **files}

    def options(self):
        return super().options() + ["--ws-path", "/subscribe/%c", "--publish-path", "/publish/%c",
                                             "--publish-body", "%m", "--content-type", "text/plain"]


class Centrifugo(Server):
    """Its unidirectional transports, which need no client library, as Push's.  A channel without history, no tokens."""

    name = peer = "Centrifugo"
    CONNECT = "cf_connect=%%7B%%22subs%%22:%%7B%%22%c%%22:%%7B%%7D%%7D%%7D"  # {"subs":{"CHANNEL":{}}}

    def command(self):
        self.port = free_port()
        config = os.path.join(self.work.name, "config.json")
        certificate, key = tls.make_certificate(self.work.name) if self.is_secure else ("", "")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "http_server": {"address": "127.0.0.1", "port": self.port, "tls": {
                    "enabled": self.is_secure, "cert_pem": certificate, "key_pem": key}},
                "client": {"insecure": True, "allowed_origins": ["*"], "queue_max_size": 1 << 30},
                "http_api": {"insecure": True},
                "websocket": {"disabled": True},
                "uni_websocket": {"enabled": True, "use_write_buffer_pool": True, "join_push_messages": True},
                "uni_sse": {"enabled": True},
                "log": {"level": "error"},
            }, file)
        return [peers.path("usr/local/bin/centrifugo"), "--config", config]

    def environment(self):
        return {**os.environ, "GOMAXPROCS": "1"}  # one core, as the others; more take more CPU time for each delivery

    def options(self):
        # On a WebSocket the subscription begins after the handshake.
        return super().options() + ["--greeting"] + [
            "--ws-path", "/connection/uni_websocket?" + self.CONNECT, "--sse-path", "/connection/uni_sse?" + self.CONNECT,
            "--publish-path", "/api/publish", "--publish-body", '{"channel":"%c","data":"%m"}']


class RedisBehind(Push):
    """Push with a Redis of its own behind it, which is not counted as the server."""

    name, peer = "Push+Redis", "Redis"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.redis = stack.enter_context(Redis(self.build))
            super().__enter__()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        super().__exit__(*error)
        if hasattr(self, "stack"):
            self.stack.close()

    def environment(self):
        return {**super().environment(), "PUSH_REDIS_URL": "redis://127.0.0.1:%d" % self.redis.port, "PUSH_WORKERS": "1"}


class FromRedis(RedisBehind):
    """The same; what is published goes straight into Redis, as much at a time as the server can deliver."""

    name = "Redis>Push"

    def options(self):
        return super().options() + [
            "--publish-target", "127.0.0.1:%d" % self.redis.port, "--publish-by", "redis", "--publish-body", "%m"]


ALL = {server.name: server for server in (Push, Before, Nchan, Centrifugo, Bun, Redis, Floor, RedisBehind, FromRedis)}


def speaks(name, transport):
    """Whether clients can connect to it in that way, or have a way of its own."""
    transports = ALL[name].transports
    return transport in transports or transports == ("redis",)


def load(server, pushload, extra, json_file):
    """One run of pushload against a running server.  Returns its exit code and what it printed."""
    done = subprocess.run(
        [pushload, "--target", server.target, "--server-pid", str(server.pid), "--label", server.name,
         "--quiet", "--json", json_file, *extra, *server.options()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout
