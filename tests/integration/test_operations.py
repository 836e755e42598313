"""What operators rely on: pushd, drain, management, stock lwsws, configuration, TLS and HTTP/2, real clients."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

import server as harness
from http1 import Connection, get, post, publish
from ports import free_port
from server import BUILD, DEPS, PUSHD, SOURCE, TOOLS, Process, Server
from sseclient import HEARTBEAT, RECONNECT, EventStream
from wsclient import CLOSE, TEXT, WebSocket

PLUGINS = ["broker", "http", "management", "sse", "ws"]


def test_health_liveness_and_readiness_are_up(server):
    for path in ("/actuator/health/liveness", "/actuator/health/readiness"):
        answer = get(server.management, path)
        assert (answer.status, answer.json) == (200, {"status": "UP"})
    answer = get(server.management, "/actuator/health")
    assert (answer.status, answer.json["status"]) == (200, "UP")


def test_each_port_serves_only_its_own(server):
    assert get(server.port, "/actuator/health").status == 404
    assert get(server.port, "/actuator/prometheus").status == 404
    assert get(server.management, "/sse/messages?channels=a").status == 404
    assert get(server.management, "/index.html").status == 404
    assert publish(server.management, "a", 1).status == 404
    with WebSocket(server.management, "a") as ws:
        assert ws.status != 101


def test_metrics_have_the_contracts_names_and_count(server):
    published = server.metric("pub_messages_total")
    ws_sent, sse_sent = server.metric("ws_messages_total"), server.metric("sse_messages_total")
    with WebSocket(server.port, "m") as ws, EventStream(server.port, "m") as sse:
        server.wait_metric("ws_connections_count", 1)
        server.wait_metric("sse_connections_count", 1)
        server.publish("m", 1)
        ws.message(), sse.message()
        assert server.metric("pub_messages_total") == published + 1
        assert server.metric("ws_messages_total") == ws_sent + 1
        assert server.metric("sse_messages_total") == sse_sent + 1
        assert server.metric("push_channels") == 1
        assert server.metric("push_subscriptions") == 2
    assert server.metric("process_open_fds") > 5
    assert server.metric("process_max_fds") >= 1024
    assert abs(server.metric("process_start_time_seconds") - time.time()) < 600
    assert server.metric("process_resident_memory_bytes") > 1_000_000
    assert server.metric("push_open_fds_ratio") == pytest.approx(
        server.metric("process_open_fds") / server.metric("process_max_fds"), rel=0.2, abs=1e-6)
    assert server.metric("push_broker_up") == 1
    assert server.metric("push_draining") == 0
    assert server.metric("push_connection_lifetime_seconds") == 150
    assert server.metric("push_worker_restarts_total") == 0


LATER_THAN_65_MS = 'push_loop_lag_seconds_bucket{le="0.065536"}'


def test_the_time_for_which_a_loop_stands_still_counts_as_lag(server):
    def late():
        return server.metric("push_loop_lag_seconds_count") - server.metric(LATER_THAN_65_MS)

    before = late()
    os.kill(server.worker(), signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(server.worker(), signal.SIGCONT)
    assert late() - before >= 40  # of 50 ticks, 43 were later than that
    counted, start = server.metric("push_loop_lag_seconds_count"), time.monotonic()
    time.sleep(1)
    ticks = server.metric("push_loop_lag_seconds_count") - counted
    assert ticks == pytest.approx(100 * (time.monotonic() - start), rel=0.2)


def test_promtool_finds_nothing_wrong_with_the_metrics(server):
    server.check_metrics()


def test_sigterm_drains_and_ends_with_0():
    with Server(PUSH_DRAIN_DURATION="4s", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="2s") as server:
        with WebSocket(server.port, "d") as ws, EventStream(server.port, "d") as sse, \
                Connection(server.port) as publisher:
            sse.raw(), ws.read_frame(), ws.read_frame()
            ws.send(b"\x81\x90\x00\x00\x00\x00" + b'{"event":"pong"}')
            assert publisher.send(post('{"channel":"d","message":1}')).read_answer().status == 202
            assert ws.message() == ("d", 1) and sse.message() == ("d", 1)
            start = time.monotonic()
            server.process.process.send_signal(signal.SIGTERM)
            while get(server.management, "/actuator/health/readiness").status == 200:
                assert time.monotonic() < start + 5
            assert get(server.management, "/actuator/health/readiness").json["status"] == "DOWN"
            assert get(server.management, "/actuator/health/liveness").status == 200
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", server.port), 1)
            answer = publisher.send(post('{"channel":"d","message":2}')).read_answer()
            assert answer.status == 202 and answer.headers["connection"] == "close"
            assert ws.message() == ("d", 2) and sse.message() == ("d", 2)
            assert sse.next() == RECONNECT and sse.next() is None
            assert ws.next() == (TEXT, b'{"event":"reconnect","data":{}}')
            assert ws.close_code() == 1001
        server.ended = True
        assert server.process.wait() == 0
        assert time.monotonic() - start < 15


def test_a_second_sigterm_ends_at_once():
    with Server(PUSH_DRAIN_DURATION="60s") as server, EventStream(server.port, "d"):
        server.process.process.send_signal(signal.SIGTERM)
        server.process.wait_for("draining")
        server.process.process.send_signal(signal.SIGTERM)
        server.ended = True
        assert server.process.wait(10) == 0


def test_a_worker_that_is_killed_is_replaced():
    with Server() as server:
        for _ in range(2):
            old = server.worker()
            os.kill(old, signal.SIGKILL)
            end = time.monotonic() + 15
            while time.monotonic() < end:
                try:
                    if server.worker() != old and publish(server.port, "a", 1).status == 202:
                        break
                except (OSError, EOFError, IndexError):
                    pass
                time.sleep(0.05)
            assert publish(server.port, "a", 1).status == 202
        assert re.search("died|killed|signal 9", server.process.output())


def test_nothing_outlives_a_killed_pushd():
    server = Server(PUSH_DRAIN_DURATION="100ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="100ms")
    worker = server.worker()
    server.process.process.kill()
    end = time.monotonic() + 15
    while Path(f"/proc/{worker}/exe").exists():
        assert time.monotonic() < end, "the worker serves on"
        time.sleep(0.05)


def test_sighup_replaces_the_worker_and_drains_the_old_one():
    with Server(PUSH_DRAIN_DURATION="500ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="300ms") as server:
        old = server.worker()
        with EventStream(server.port, "h") as sse:
            sse.raw()
            server.process.process.send_signal(signal.SIGHUP)
            assert sse.next() == RECONNECT
            assert sse.next() is None
        end = time.monotonic() + 15
        while Path(f"/proc/{old}/exe").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert publish(server.port, "h", 1).json == {"subscribers": 0}


def test_sighup_with_a_bad_configuration_keeps_the_worker():
    with Server() as server:
        worker = server.worker()
        (server.folder / "conf.d/10-push").write_text("{ nonsense")
        server.process.process.send_signal(signal.SIGHUP)
        server.process.wait_for("10-push")
        assert server.worker() == worker
        assert publish(server.port, "a", 1).status == 202


@pytest.mark.parametrize("env,words", [
    ({"PUSH_HEARTBEAT_INTERVAL_DURATION": "soon"}, ["PUSH_HEARTBEAT_INTERVAL_DURATION", "soon"]),
    ({"PUSH_NO_SUCH_OPTION": "1"}, ["PUSH_NO_SUCH_OPTION"]),
    ({"PUSH_MESAGE_MAX_SIZE": "1mb"}, ["PUSH_MESAGE_MAX_SIZE=1mb", "did you mean PUSH_MESSAGE_MAX_SIZE?"]),
    ({"PUSH_WORKER": "2"}, ["did you mean PUSH_WORKERS?"]),
    ({"SPRING_REDIS_PASSWORD": "geheim"}, ["SPRING_REDIS_PASSWORD", "SPRING_REDIS_HOST"]),
    ({"SPRING_REDIS_NODES": "a:1,b:1"}, ["SPRING_REDIS_NODES", "not supported", "push.redis.url"]),
    ({"PUSH_MESSAGE_MAX_SIZE": "1tb"}, ["PUSH_MESSAGE_MAX_SIZE", "1tb"]),
    ({"PUSH_RECONNECT_DITHER_MIN_DURATION": "10m"}, ["push.reconnect.dither.min.duration", "max"]),
    ({"PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "2m"}, ["push.client.close.grace.period.duration", "min"]),
    ({"SERVER_PORT": "http"}, ["SERVER_PORT", "http"]),
    ({"MANAGEMENT_SERVER_PORT": "70000"}, ["MANAGEMENT_SERVER_PORT", "70000"]),
    ({"PUSH_REDIS_URL": "localhost:6379"}, ["push.redis.url", "localhost:6379", "redis://"]),
    ({"PUSH_REDIS_URL": "redis://me:geheim@host:99999"}, ["push.redis.url", "me:***@", "host:99999"]),
    ({"SPRING_REDIS_HOST": "db", "SPRING_REDIS_PORT": "x"}, ["push.redis.url", "db:x"]),
    ({"PUSH_REDIS_SHARDED": "true", "PUSH_REDIS_URL": "redis://a"}, ["push.redis.sharded", "redis+cluster://"]),
], ids=lambda v: next(iter(v)) if isinstance(v, dict) else "")
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(env, words):
    server = Server(wait=False, **env)
    assert server.process.wait(20) == 1
    assert len(server.process.lines) == 1
    for word in words:
        assert word in server.process.output()


@pytest.mark.parametrize("options,words", [
    ({"push.drain.duration": "soon"}, ["push.drain.duration", "soon", "10-push"]),
    ({"push.no.such": "1"}, ["push.no.such", "10-push"]),
    ({"push-drain-duration": "1x"}, ["push.drain.duration", "1x"]),
])
def test_a_bad_option_in_a_file_is_named_with_the_file(options, words):
    server = Server(wait=False, options=options)
    assert server.process.wait(20) == 1
    for word in words:
        assert word in server.process.output()


# as a pod has them beside the Services "push", "push-redis", "server" and "management-server"
SERVICE_LINKS = {
    "PUSH_SERVICE_HOST": "10.96.0.7", "PUSH_SERVICE_PORT": "8080", "PUSH_SERVICE_PORT_HTTP": "8080",
    "PUSH_PORT": "tcp://10.96.0.7:8080", "PUSH_PORT_8080_TCP": "tcp://10.96.0.7:8080", "PUSH_PORT_8080_TCP_PROTO": "tcp",
    "PUSH_PORT_8080_TCP_PORT": "8080", "PUSH_PORT_8080_TCP_ADDR": "10.96.0.7",
    "PUSH_REDIS_SERVICE_HOST": "10.96.0.8", "PUSH_REDIS_PORT": "tcp://10.96.0.8:6379",
    "PUSH_REDIS_PORT_6379_TCP_ADDR": "10.96.0.8",
}


def test_services_of_kubernetes_with_pushs_names_do_not_stop_the_start():
    with Server(**SERVICE_LINKS) as server:
        assert publish(server.port, "a", 1).status == 202
    for variable in ("SERVER_PORT", "MANAGEMENT_SERVER_PORT"):
        run = subprocess.run([PUSHD, "--config", SOURCE, "--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts",
                              "--check"], capture_output=True, text=True,
                             env=harness.environment({variable: "tcp://10.96.0.9:80"}))
        assert run.returncode == 0, run.stderr


def test_services_of_kubernetes_do_not_stop_lwsws_without_pushd():
    with Server(stock=True, **SERVICE_LINKS) as server:
        assert publish(server.port, "a", 1).status == 202


def test_options_of_the_file_count_and_the_environment_overrides_them():
    with Server(options={"push.message.max.size": "100b", "push-channels-max": "2"}) as server:
        assert publish(server.port, "c", "x" * 100).status == 413
        assert get(server.port, "/sse/messages?channels=a,b,c").status == 400
    with Server(options={"push.message.max.size": "100b"}, PUSH_MESSAGE_MAX_SIZE="1kb") as server:
        assert publish(server.port, "c", "x" * 100).status == 202
        assert publish(server.port, "c", "x" * 1000).status == 413


def test_allowed_origins_are_told_apart():
    with Server(PUSH_CORS_ALLOWED_ORIGINS="https://a.example,https://b.example") as server:
        for path in ("/sse/messages", "/messages"):
            allowed = get(server.port, path, headers=["Origin: https://b.example"])
            assert allowed.headers["access-control-allow-origin"] == "https://b.example"
            assert allowed.headers["vary"] == "Origin"
            refused = get(server.port, path, headers=["Origin: https://c.example"])
            assert refused.status == 403 and "access-control-allow-origin" not in refused.headers


def test_limits_of_names_and_client_messages_are_options():
    with Server(PUSH_CHANNEL_NAME_MAX="5", PUSH_CLIENT_MESSAGE_MAX_SIZE="50b") as server:
        assert publish(server.port, "12345", 1).status == 202
        assert publish(server.port, "123456", 1).status == 400
        with WebSocket(server.port, "a") as ws:
            ws.send(b"\x81\xb3\x00\x00\x00\x00" + b" " * 51)
            assert ws.close_code() == 1009


def test_a_port_that_is_taken_is_named_with_who_has_it():
    with Server() as server:
        second = Process([PUSHD, "--config", SOURCE, "--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts",
                          "--lwsws", DEPS / "bin/lwsws"],
                         {"SERVER_PORT": server.port, "MANAGEMENT_SERVER_PORT": free_port()})
        assert second.wait(20) == 1
        assert str(server.port) in second.output() and "SERVER_PORT" in second.output()


@pytest.mark.parametrize("arguments,env", [(["--workers", "33"], {}), ([], {"PUSH_WORKERS": "33"})], ids=["option", "env"])
def test_more_workers_than_the_embedded_broker_has_room_for_are_refused_with_one_line_that_says_why(arguments, env):
    server = Server(wait=False, arguments=arguments, **env)
    assert server.process.wait(20) == 1
    assert len(server.process.lines) == 1
    for word in ("--workers 33", "PUSH_WORKERS", "push.redis.url", "embedded broker"):
        assert word in server.process.output()


def test_a_bad_number_of_workers_is_named_with_who_said_it():
    for text in ("0", "65", "two"):
        server = Server(wait=False, PUSH_WORKERS=text)
        assert server.process.wait(20) == 1
        assert f"PUSH_WORKERS {text}" in server.process.output()


def run_pushd(*arguments):
    return subprocess.run([PUSHD, *map(str, arguments)], capture_output=True, text=True, env=harness.environment({}))


def test_check_says_valid_or_what_is_wrong(tmp_path):
    common = ["--plugins", BUILD / "plugins", "--mounts", SOURCE / "mounts", "--check"]
    assert run_pushd("--config", SOURCE, *common).returncode == 0
    for file, old, new, words in [
        ("conf", '"timeout-secs"', '"timeout-sec"', ["conf", "timeout-sec"]),
        ("conf", '"count-threads": "1"', '"count-threads": "2"', ["count-threads"]),
        ("conf.d/10-push", '"8080"', '"0"', ["10-push", "port"]),
        ("conf.d/10-push", '"mountpoint": "/messages"', '"mountpont": "/messages"', ["mountpont"]),
        ("conf.d/20-management", '"8000"', '"8080"', ["20-management", "8080"]),
        ("conf.d/10-push", '{', '', ["10-push"]),
    ]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        shutil.copy(SOURCE / "conf", folder)
        shutil.copytree(SOURCE / "conf.d", folder / "conf.d")
        path = folder / file
        path.write_text(path.read_text().replace(old, new, 1))
        run = run_pushd("--config", folder, *common)
        assert run.returncode == 1
        for word in words:
            assert word in run.stderr, run.stderr


def test_help_names_every_option_and_bad_arguments_are_refused():
    text = run_pushd("--help").stdout
    header = (SOURCE / "plugins/core/options.h").read_text()
    names = re.findall(r'"(push\.[a-z0-9.]+)"', header)
    assert len(names) >= 13
    for name in names:
        assert name.upper().replace(".", "_") in text
    for option in ("--config", "--plugins", "--mounts", "--lwsws", "--run-dir", "--workers", "--check", "--health", "--version"):
        assert option in text
    assert run_pushd("--workers", "x").returncode == 2
    assert run_pushd("--nonsense").returncode == 2
    assert run_pushd("extra").returncode == 2


def test_stock_lwsws_hosts_all_plugins_without_pushd():
    with Server(stock=True, arguments=("-d", "1027"), PUSH_DRAIN_DURATION="300ms",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="3s") as server:
        server.process.wait_for("everybody may publish and subscribe: ")
        with WebSocket(server.port, "stock") as ws, EventStream(server.port, "stock") as sse:
            sse.raw()
            assert publish(server.port, "stock", {"a": 1}).json == {"subscribers": 2}
            assert ws.message() == ("stock", {"a": 1})
            assert sse.message() == ("stock", {"a": 1})
            assert server.metric("ws_connections_count") == 1
        assert get(server.port, "/").status == 200


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_exports_one_symbol(name):
    out = subprocess.run(["nm", "-D", "--defined-only", BUILD / f"plugins/libprotocol_push_{name}.so"],
                         capture_output=True, text=True).stdout.split("\n")
    symbols = [line.split()[-1] for line in out if line and not re.search(r"asan|ubsan|_edata|_end|__bss_start", line)]
    assert symbols == [f"push_{name}"]


def test_cmake_install_makes_the_drop_in_tree(tmp_path):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path / "usr"], check=True, capture_output=True)
    files = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
    for name in PLUGINS:
        assert any(f.endswith(f"push/plugins/libprotocol_push_{name}.so") for f in files)
    for part in ("bin/pushd", "push/conf", "push/conf.d/10-push", "push/mounts/index.html"):
        assert any(f.endswith(part) for f in files), files


TLS_VHOST = """
{ "vhosts": [{
  "name": "tls", "port": "%d",
  "host-ssl-cert": "%s", "host-ssl-key": "%s", "alpn": "h2,http/1.1",
  "mounts": [
    { "mountpoint": "/messages", "origin": "callback://push-http" },
    { "mountpoint": "/sse/messages", "origin": "callback://push-sse" },
    { "mountpoint": "/ws/messages", "origin": "callback://push-ws" }
  ],
  "ws-protocols": [{
    "push-broker": { "push.broker.vhost": "push" },
    "push-ws": { "status": "ok", "default": "1" }, "p": { "status": "ok" }, "push-sse": { "status": "ok" },
    "push-http": { "status": "ok" }
  }]
}] }
"""


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    port = free_port()
    vhost = TLS_VHOST % (port, folder / "cert.pem", folder / "key.pem")
    with Server(conf_d={"30-tls": vhost}, PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="10s",
                PUSH_HEARTBEAT_INTERVAL_DURATION="500ms", PUSH_DRAIN_DURATION="1s") as running:
        running.tls_port, running.certificate = port, folder / "cert.pem"
        context = ssl.create_default_context(cafile=running.certificate)
        running.wrap = lambda s: context.wrap_socket(s, server_hostname="localhost")
        yield running


def test_websocket_sse_and_publish_work_over_tls(tls):
    with WebSocket(tls.tls_port, "tls", wrap=tls.wrap) as ws, EventStream(tls.tls_port, "tls", wrap=tls.wrap) as sse:
        assert sse.raw() == HEARTBEAT
        assert publish(tls.tls_port, "tls", 1, wrap=tls.wrap).json == {"subscribers": 2}
        assert ws.message() == ("tls", 1) and sse.message() == ("tls", 1)
        for n in range(200):
            assert tls.publish("tls", str(n) + "z" * 2000).json == {"subscribers": 2}
        assert [ws.message()[1][:-2000] for n in range(200)] == [str(n) for n in range(200)]
        assert [sse.message()[1][:-2000] for n in range(200)] == [str(n) for n in range(200)]


def curl(*arguments, **options):
    return subprocess.run(["curl", "-s", *map(str, arguments)], capture_output=True, timeout=30, **options).stdout


def test_publish_works_over_http_2(tls):
    url = f"https://localhost:{tls.tls_port}/messages"
    for body, expected in (('{"channel":"h2","message":1}', b'{"subscribers":0} 202 2'), ("x", b" 400 2")):
        out = curl("--http2", "--cacert", tls.certificate, url, "-H", "Content-Type: application/json", "-d", body,
                   "-w", " %{http_code} %{http_version}")
        assert out.endswith(expected), out
    out = curl("--http2", "--cacert", tls.certificate, url, "-H", "Content-Type: application/json", "-d", "x" * 70000,
               "-w", " %{http_code} %{http_version}")
    assert out.endswith(b" 413 2"), out


@pytest.mark.parametrize("size", [9_000, 20_000, 60_000])
def test_a_large_publish_over_http_2_arrives_whole_and_ends_no_other_stream(tls, size, tmp_path):
    body = tmp_path / "body"
    body.write_text(json.dumps({"channel": "h2large", "message": "x" * size}))
    url = f"https://localhost:{tls.tls_port}/messages"
    with EventStream(tls.port, "h2large") as sse:
        sse.raw()
        for _ in range(10):
            out = curl("--http2", "--cacert", tls.certificate, url, "-H", "Content-Type: application/json",
                       "--data-binary", f"@{body}", "-w", " %{http_code} %{http_version}")
            assert out == b'{"subscribers":1} 202 2'
            assert sse.message() == ("h2large", "x" * size)


def test_sse_works_over_http_2(tls):
    process = subprocess.Popen(["curl", "-sNv", "--http2", "--cacert", tls.certificate,
                                f"https://localhost:{tls.tls_port}/sse/messages?channels=h2sse"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.read(len(HEARTBEAT)) == HEARTBEAT
        large = "l" * 60000
        values = [1, large, 2, large, 3]
        for value in values:
            assert tls.publish("h2sse", value).json == {"subscribers": 1}
        data = b""
        while data.count(b"event:message") < len(values) or not data.endswith(b"\n\n"):
            piece = process.stdout.read1(65536)
            assert piece
            data += piece
        data = data.replace(HEARTBEAT, b"")
        got = [json.loads(event.split(b"data:")[1])["message"] for event in data.strip().split(b"\n\n")]
        assert got == values
    finally:
        process.kill()
        assert b"HTTP/2 200" in process.stderr.read()


def test_curl_receives_what_curl_publishes(server):
    process = subprocess.Popen(["curl", "-sN", f"http://localhost:{server.port}/sse/messages?channels=curl"],
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(len(HEARTBEAT)) == HEARTBEAT
        out = curl("-H", "Content-Type: application/json", f"http://localhost:{server.port}/messages",
                   "-d", '{"channel":"curl","message":"hello"}')
        assert out == b'{"subscribers":1}'
        expected = b'event:message\ndata:{"channel":"curl","message":"hello"}\n\n'
        assert process.stdout.read(len(expected)) == expected
    finally:
        process.kill()


def test_websocat_receives_and_stays_alive_by_itself():
    websocat = TOOLS / "bin/websocat"
    if not websocat.exists():
        pytest.skip("no websocat: cargo is missing")
    with Server(PUSH_HEARTBEAT_INTERVAL_DURATION="300ms", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="600ms") as server:
        process = subprocess.Popen([websocat, "-nt", f"ws://127.0.0.1:{server.port}/ws/messages?channels=cat"],
                                   stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        try:
            lines = [process.stdout.readline() for _ in range(8)]  # more than twice the grace period
            assert set(lines) == {b'{"event":"ping","data":{}}\n'}
            assert server.publish("cat", "hello").json == {"subscribers": 1}
            line = lines[0]
            while b"ping" in line:
                line = process.stdout.readline()
            assert line == b'{"event":"message","data":{"channel":"cat","message":"hello"}}\n'
        finally:
            process.kill()


@pytest.mark.skipif(harness.SANITIZED, reason="server/run builds the release")
def test_server_run_works_from_any_folder_says_where_to_go_and_ends_with_0(tmp_path):
    port, management = free_port(), free_port()
    process = Process(["env", "-C", tmp_path, (SOURCE / "server/run").resolve()],
                      {"SERVER_PORT": port, "MANAGEMENT_SERVER_PORT": management, "PUSH_DRAIN_DURATION": "100ms"})
    process.wait_for("Push is ready", 120)
    for url in (f":{port}/messages", f":{port}/sse/messages", f":{management}/actuator/health"):
        process.wait_for(re.escape(url))
    subscribe, publish = (process.wait_for(f"^  {name} +(.+)")[1] for name in ("subscribe", "publish"))
    client = Process(["bash", "-c", subscribe], {"PATH": "/usr/bin:/bin"})
    client.wait_for("connected")
    answer = subprocess.run(["bash", "-c", publish], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=60)
    assert answer.stdout == '{"subscribers":1}\n', answer
    client.wait_for("^hello$")
    client.kill()
    process.process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_server_run_says_which_setting_is_bad():
    process = Process([SOURCE / "server/run"], {"SERVER_PORT": "x"})
    assert process.wait(120) == 1
    assert "SERVER_PORT=x" in process.output()


def test_a_request_behind_an_event_streams_ends_only_that_stream(server):
    for second in (b"GET /sse/messages?channels=b HTTP/1.1\r\nHost: x\r\n\r\n", post('{"channel":"a","message":1}'), b"\0" * 99):
        with EventStream(server.port, "second") as sse:
            sse.raw()
            sse.send(second)
            assert sse.is_closed()
    server.wait_metric("push_subscriptions", 0)


def test_a_client_cannot_flood_the_log():
    with Server() as server:
        for _ in range(100):
            with EventStream(server.port, "a") as sse:
                sse.raw()
                sse.send("junk\r\n\r\n")
                assert sse.is_closed()
        assert len(server.process.lines) < 100


def test_a_page_and_an_event_stream_may_share_a_connection_one_after_the_other(server):
    with Connection(server.port) as connection:
        assert connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").read_answer().status == 200
        assert connection.send(post('{"channel":"a","message":1}')).read_answer().status == 202
        connection.send("GET /sse/messages?channels=a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.read_stream_head()[0] == 200
        assert connection.read_until(b"\n\n") == HEARTBEAT


@pytest.mark.parametrize("name", ["push-http", "push-sse", "push-broker"])
def test_other_protocols_are_no_subprotocols(server, name):
    with Connection(server.port) as connection:
        assert connection.send(post('{"channel":"a","message":1}')).read_answer().status == 202
        connection.send("\r\n".join(["GET /ws/messages?channels=a HTTP/1.1", "Host: x", "Upgrade: websocket",
                                     "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                                     "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {name}"]) + "\r\n\r\n")
        try:
            assert connection.read_head()[2].get("sec-websocket-protocol") is None
        except EOFError:
            pass


def test_the_consoles_files_come_with_a_strict_policy(server):
    files = {"/": "text/html", "/index.html": "text/html", "/console/console.js": "text/javascript",
             "/console/console.css": "text/css", "/favicon.svg": "image/svg+xml", "/push.js": "text/javascript"}
    for path, kind in files.items():
        headers = get(server.port, path).headers
        assert headers["content-type"].startswith(kind), path
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    page = (SOURCE / "mounts/index.html").read_text()
    in_page = re.search(r'Content-Security-Policy" content="(.*?)"', page).group(1).split("; ")
    policy = get(server.port, "/").headers["content-security-policy"].split("; ")
    assert set(policy) - set(in_page) == {"frame-ancestors 'none'", "script-src 'self' blob:"}
    assert set(in_page) - set(policy) == {"script-src 'self'"}


def test_the_console_can_be_switched_off_and_the_client_library_stays():
    with Server(PUSH_CONSOLE="off") as server:
        for path in ("/", "/index.html", "/console/console.js", "/console/console.css", "/console", "/console/"):
            answer = get(server.port, path)
            while answer.status == 301:
                answer = get(server.port, re.sub(r"^https?://[^/]+", "", answer.headers["location"]))
            assert answer.status == 404, path
            assert b"console" not in answer.body.lower().replace(path.encode(), b""), path
        assert get(server.port, "/push.js").status == 200
        assert server.publish("a", 1).status == 202
        assert "the console" not in server.process.output()


def test_answers_are_taken_for_nothing_but_json(server):
    for answer in (server.publish("a", 1), get(server.port, "/messages"), get(server.port, "/sse/messages"),
                   get(server.port, "/ws/messages"), get(server.management, "/actuator/health"),
                   get(server.management, "/actuator/prometheus")):
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_consoles_files_come_whole_over_one_connection(server):
    files = [f for f in (SOURCE / "mounts").rglob("*") if f.is_file()]
    assert len(files) > 3
    with Connection(server.port) as connection:
        for file in files * 2:
            path = file.relative_to(SOURCE / "mounts")
            answer = connection.send(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").read_answer()
            assert (answer.status, answer.body) == (200, file.read_bytes())
            unchanged = connection.send(f"GET /{path} HTTP/1.1\r\nHost: x\r\n"
                                        f"If-None-Match: {answer.headers['etag']}\r\n\r\n").read_answer()
            assert unchanged.status == 304
