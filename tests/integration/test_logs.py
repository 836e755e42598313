"""What is logged, in which form and at which level: whole lives of a server whose every line is read."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timezone

import pytest

from http1 import Connection, get, post, request
from redis_servers import RedisServer, wait_until
from server import PUSHD, Server, environment
from sseclient import EventStream
from wsclient import WebSocket

SECRET = "s3cr3t-p4yl04d"
PASSWORD = "p4ssw0rd"
QUICK = {"PUSH_DRAIN_DURATION": "300ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "300ms"}
LEVELS = ["error", "warn", "info", "debug"]


def objects(lines):
    """Every line, parsed and checked for what each must have."""
    found = []
    for line in lines:
        record = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"]), line
        when = datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
        assert abs((datetime.now(timezone.utc) - when).total_seconds()) < 600
        assert record["level"] in LEVELS and record["component"] in ("pushd", "worker"), line
        assert isinstance(record["pid"], int) and record["message"], line
        assert ("worker" in record) == (record["component"] == "worker"), line
        assert not record["message"].startswith(("pushd:", "push:", "[")), line
        found.append(record)
    return found


def change(server, body, **more):
    return request(server.management, post(body, path="/actuator/loggers/ROOT", **more))


def set_level(server, level):
    assert change(server, json.dumps({"configuredLevel": level})).status == 204


def level(server):
    answer = get(server.management, "/actuator/loggers/ROOT").json
    assert answer["configuredLevel"] == answer["effectiveLevel"]
    return answer["effectiveLevel"]


def find(server, message, **fields):
    """The first such line in JSON; waits for it."""
    def look():
        for line in list(server.process.lines):
            record = json.loads(line)
            if message in record["message"] and fields.items() <= record.items():
                return record
        return None
    wait_until(look, f"a line has {message!r}, {fields}", 10)
    return look()


def seen_of(server, message):
    """The workers that have written this line."""
    return {json.loads(line).get("worker") for line in list(server.process.lines) if json.loads(line)["message"] == message}


def connect_until_opened_by(server, workers):
    """A worker looks at the level with its next tick only, pushd's own line may come before that."""
    end = time.monotonic() + 60
    while seen_of(server, "opened") != workers and time.monotonic() < end:
        with EventStream(server.port, "all") as sse:
            sse.raw()
    assert seen_of(server, "opened") == workers, server.process.output()


@pytest.fixture(scope="module")
def redis():
    with RedisServer("--requirepass", PASSWORD) as running:
        yield running


def test_every_line_of_a_whole_life_is_json():
    """Start, clients, publishes, a level changed, a worker killed, a reload, a bad one, Redis gone, a drain."""
    with RedisServer("--requirepass", PASSWORD) as own, \
            Server(PUSH_LOG_FORMAT="json", PUSH_REDIS_URL=own.url(f":{PASSWORD}@"), PUSH_WORKERS=2, **QUICK) as server:
        set_level(server, "DEBUG")
        find(server, "log level is now debug")
        connect_until_opened_by(server, {1, 2})
        with WebSocket(server.port, "a") as ws, EventStream(server.port, "b") as sse:
            ws.read_frame(), sse.raw()  # both are subscribed then, at whichever worker
            server.publish("a", SECRET)
            assert ws.message() == ("a", SECRET)
            server.publish("b", {"token": SECRET})
            sse.message()
        opened = find(server, "opened", transport="ws")
        other = find(server, "opened", transport="sse", channels=["b"])
        assert opened["channels"] == ["a"] and opened["channel_count"] == 1
        assert re.fullmatch(r"127\.0\.0\.1:\d+", opened["peer"])
        assert find(server, "closed", transport="ws", peer=opened["peer"])["reason"] == "client"
        find(server, "closed", transport="sse", peer=other["peer"])
        published = find(server, "published", channel="a")
        assert published["bytes"] == len(SECRET) + 2 and published["subscribers"] == 1
        os.kill(server.worker(), signal.SIGKILL)
        find(server, "killed by signal 9", level="warn")
        wait_until(lambda: sum("serves" in line for line in server.process.lines) == 3, "the condition holds", 15)
        server.process.process.send_signal(signal.SIGHUP)
        find(server, "the new configuration is in use")
        wait_until(lambda: sum("after draining" in line for line in server.process.lines) == 2, "the condition holds", 15)
        file = server.folder / "conf.d/10-push"
        good = file.read_text()
        file.write_text(good.replace("{", "", 1))
        server.process.process.send_signal(signal.SIGHUP)
        find(server, "not reloading, the running workers continue: ", level="error")
        file.write_text(good)
        own.kill()
        find(server, "trying again", level="error", component="worker")
        assert server.stop() == 0
        records = objects(server.process.lines)
        assert {r["level"] for r in records} == set(LEVELS)
        assert {r.get("worker") for r in records} == {None, 1, 2}
        for client in (opened, other):
            lines = [r["message"] for r in records if r.get("peer") == client["peer"]]
            assert lines == ["opened", "closed"], lines
        ready = [r for r in records if r["message"] == "Push is ready"]
        assert sum(r["message"].startswith("everybody may publish and subscribe: ") for r in records) == 1
        assert len(ready) == 1 and ready[0]["port"] == server.port and ready[0]["management_port"] == server.management
        assert SECRET not in server.process.output() and PASSWORD not in server.process.output()


def test_text_is_as_it_was_and_has_no_line_for_a_client(server):
    with WebSocket(server.port, "a") as ws:
        server.publish("a", SECRET)
        ws.message()
    first = server.process.lines[0]
    assert re.fullmatch(r"pushd: worker \d+ serves", first)
    assert server.process.lines[1:3] == ["", "Push is ready."]
    assert not any("debug" in line for line in server.process.lines)


def test_the_start_says_what_everybody_may_do(server, tmp_path):
    server.process.wait_for("^  access      everybody may publish and subscribe: ")
    (tmp_path / "publish.keys").write_text("")
    for setting, said in (("PUSH_PUBLISH_KEYS", True), ("PUSH_AUTH_ANONYMOUS", False)):
        with Server(**{setting: str(tmp_path / "publish.keys")}) as other:
            other.process.wait_for("^  stop  ")
            assert ("everybody may subscribe: " in other.process.output()) == said
            assert "everybody may publish" not in other.process.output()
            assert ("  access      with a token or key: push sub news --token @FILE\n" in other.process.output()) != said


def test_text_has_the_same_lines_with_debug():
    with Server(PUSH_LOG_LEVEL="debug", **QUICK) as server:
        with WebSocket(server.port, 'a,b"c') as ws:
            server.publish("a", SECRET)
            ws.message()
        server.process.wait_for(r'U: push: debug: opened \{"transport":"ws","peer":"127.0.0.1:\d+",'
                                r'"channels":\["a","b\\"c"\],"channel_count":2\}$')
        server.process.wait_for(r'push: debug: published \{"channel":"a","bytes":\d+,"subscribers":1\}$')
        server.process.wait_for(r'push: debug: closed \{"transport":"ws","peer":"127.0.0.1:\d+","reason":"client"\}$')
        assert server.stop() == 0
        assert SECRET not in server.process.output()


def test_a_level_lets_only_its_own_lines_pass():
    with Server(PUSH_LOG_LEVEL="error", PUSH_LOG_FORMAT="json", wait=False, **QUICK) as server:
        wait_until(lambda: get_or_none(server) == 200, "the condition holds", 15)
        assert server.stop() == 0
        assert server.process.output() == ""


def get_or_none(server):
    try:
        return get(server.management, "/actuator/health").status
    except OSError:
        return None


def test_a_client_that_is_refused_is_told_of_with_its_reason():
    with Server(PUSH_LOG_LEVEL="debug", PUSH_LOG_FORMAT="json", **QUICK) as server:
        with WebSocket(server.port, None) as ws:
            ws.next()
            assert ws.close_code() == 1008
        assert find(server, "closed", transport="ws")["reason"] == "refused"


def test_what_redis_repeats_of_a_command_is_left_out():
    with RedisServer("--rename-command", "EVALSHA", "", "--rename-command", "EVAL", "",
                     "--rename-command", "PUBLISH", "") as own, \
            Server(PUSH_LOG_LEVEL="debug", PUSH_LOG_FORMAT="json", PUSH_REDIS_URL=own.url(), wait=False,
                   PUSH_REDIS_PUBLISH_WAIT="200ms", **QUICK) as server:
        find(server, "Push is ready")
        for _ in range(3):
            request(server.port, post(json.dumps({"channel": "a", "message": SECRET})))
        refused = find(server, "refuses", component="worker")
        assert refused["level"] == "error" and "unknown command" in refused["message"]
        find(server, "refuses", level="debug")  # each of them, where one in a while is an error
        find(server, "not published", channel="a")
        assert SECRET not in server.process.output() and "with args" not in server.process.output()


def test_a_flood_of_lines_is_bounded_and_counted():
    with Server(PUSH_LOG_LEVEL="debug", PUSH_LOG_FORMAT="json", **QUICK) as server:
        lines = b"".join(b'{"channel":"flood","message":1}\n' for _ in range(900))
        answer = request(server.port, post(lines, content_type="application/x-ndjson"))
        assert answer.status == 202
        left_out = find(server, "more lines in that second were dropped", level="debug")
        count = int(left_out["message"].split()[0])
        seen = sum(r["message"] == "published" for r in objects(server.process.lines))
        assert seen + count >= 900 and seen <= 700


# --- the level, while it runs ---


def test_a_level_that_one_worker_is_told_of_is_that_of_all(redis):
    with Server(PUSH_LOG_FORMAT="json", PUSH_REDIS_URL=redis.url(f":{PASSWORD}@"), PUSH_WORKERS=2, **QUICK) as server:
        assert level(server) == "INFO"
        set_level(server, "debug")
        assert level(server) == "DEBUG"
        connect_until_opened_by(server, {1, 2})
        set_level(server, "WARN")
        find(server, "the log level is now warn", component="pushd")
        time.sleep(0.1)  # what was under way
        before = len(server.process.lines)
        for _ in range(20):
            with EventStream(server.port, "all") as sse:
                sse.raw()
        assert len(server.process.lines) == before
        # a worker that is started anew has it, too
        os.kill(server.worker(), signal.SIGKILL)
        find(server, "starting another", level="warn")
        wait_until(lambda: level_or_none(server) == "WARN", "the condition holds", 10)
        assert change(server, '{"configuredLevel":null}').status == 204
        assert level(server) == "INFO"


def level_or_none(server):
    try:
        return level(server)
    except (OSError, EOFError):
        return None


def test_a_reload_sets_the_level_to_the_configured_one():
    with Server(PUSH_LOG_FORMAT="json", **QUICK) as server:
        set_level(server, "ERROR")
        server.process.process.send_signal(signal.SIGHUP)
        wait_until(lambda: level_or_none(server) == "INFO", "the condition holds", 15)


def test_the_levels_are_listed_as_spring_lists_them(server):
    answer = get(server.management, "/actuator/loggers")
    assert answer.json == {"levels": ["ERROR", "WARN", "INFO", "DEBUG"],
                           "loggers": {"ROOT": {"configuredLevel": "INFO", "effectiveLevel": "INFO"}}}


@pytest.mark.parametrize("body, options, status", [
    ('{"configuredLevel":"LOUD"}', {}, 400),
    ('{"configuredLevel":7}', {}, 400),
    ('{"configuredLevel":"DEBUGDEBUGDEBUGDEBUG"}', {}, 400),
    ("{}", {}, 400),
    ("DEBUG", {}, 400),
    ("", {}, 400),
    ('{"configuredLevel":"DEBUG"', {}, 400),
    ('{"configuredLevel":"DEBUG"}' + " " * 16384, {}, 413),
    ('{"configuredLevel":"DEBUG"}', {"length": 10**19}, 413),
    ('{"configuredLevel":"DEBUG"}', {"length": False}, 411),
    ('{"configuredLevel":"DEBUG"}', {"length": "27x"}, 400),
    # what a page of somebody else's can send from the operator's browser without being asked
    ('{"configuredLevel":"DEBUG"}', {"content_type": "text/plain"}, 415),
    ('{"configuredLevel":"DEBUG"}', {"content_type": None}, 415),
])
def test_a_change_that_is_none_is_refused(server, body, options, status):
    answer = change(server, body, **options)
    assert answer.status == status and answer.error
    assert level(server) == "INFO"


def test_a_change_may_come_in_pieces_and_with_something_behind(server):
    whole = post('{"configuredLevel":"warn"}', path="/actuator/loggers/ROOT")
    with Connection(server.management) as connection:
        for i in range(0, len(whole), 7):
            connection.send(whole[i:i + 7])
            time.sleep(0.005)
        assert connection.read_answer().status == 204
    assert level(server) == "WARN"
    with Connection(server.management) as connection:
        connection.send(post('{"configuredLevel":"INFO"}', path="/actuator/loggers/ROOT") + b"GET / HTTP/1.1\r\n\r\n")
        assert connection.read_answer().status == 204
    assert level(server) == "INFO"


def test_other_loggers_and_methods_are_refused(server):
    assert get(server.management, "/actuator/loggers/com.example").status == 404
    assert request(server.management, post("{}", path="/actuator/loggers/com.example")).status == 404
    answer = get(server.management, "/actuator/loggers/ROOT", method="DELETE")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    answer = request(server.management, post("{}", path="/actuator/loggers"))
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert request(server.port, post('{"configuredLevel":"DEBUG"}', path="/actuator/loggers/ROOT")).status == 404
    assert get(server.port, "/actuator/loggers/ROOT").status == 404
    assert level(server) == "INFO"


# --- errors of the start ---


def run(*arguments, **env):
    done = subprocess.run([PUSHD, *arguments], capture_output=True, text=True, env=environment(env), timeout=20)
    return done.returncode, done.stderr.splitlines()


def test_errors_of_the_start_have_the_format_that_was_asked_for(tmp_path):
    for arguments in (["--config", tmp_path / "none"], ["--nonsense"], ["--config"], ["extra"], ["--workers", "x"]):
        code, lines = run(*arguments, PUSH_LOG_FORMAT="json")
        assert code and len(lines) == 1
        assert objects(lines)[0]["level"] == "error"
    code, lines = run("--nonsense")
    assert (code, lines) == (2, ["pushd: --nonsense: no such option; see pushd --help"])
    code, lines = run("--config")
    assert (code, lines) == (2, ["pushd: --config: needs a value; see pushd --help"])


@pytest.mark.parametrize("name", ["push-log-format", "push.log.format"])
def test_a_file_that_asks_for_json_gets_its_own_errors_so(name):
    with Server(options={name: "json", "push.drain.duration": "soon"}, wait=False) as server:
        assert server.process.wait() == 1
        server.ended = True
        record, = objects(server.process.lines)
        assert "push.drain.duration=soon" in record["message"] and record["level"] == "error"


def test_files_that_are_no_shape_at_all_are_refused(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf").write_text('{"global":{}}')
    for text in ('{"vhosts":[1]}', '{"vhosts":[{"ws-protocols":3}]}', '{"vhosts":[{"ws-protocols":[3]}]}',
                 '{"vhosts":[{"ws-protocols":[{"push-broker":7}]}]}', '{"vhosts":[{"ws-protocols":[{"push-broker":'
                 '{"push-log-format":[],"push.log.level":null}}]}]}'):
        (tmp_path / "conf.d/a").write_text(text)
        code, lines = run("--config", tmp_path)
        assert code == 1 and len(lines) == 1, lines


@pytest.mark.parametrize("variable, value, what", [
    ("PUSH_LOG_FORMAT", "xml", "push.log.format=xml: must be text or json"),
    ("PUSH_LOG_LEVEL", "loud", "push.log.level=loud: must be error, warn, info or debug"),
])
def test_a_bad_value_is_named(variable, value, what):
    with Server(wait=False, **{variable: value}) as server:
        server.process.wait_for(re.escape(what))
        assert server.process.wait() == 1
        server.ended = True


def test_what_a_worker_says_before_it_dies_is_an_error_line(tmp_path):
    """Raw bytes on its output, as a library writes them."""
    lwsws = tmp_path / "lwsws"
    lwsws.write_text("#!/bin/sh\nprintf 'a\\377\\033[31m\\\\\"b\\n[x] U: push: debug: opened {\"time\":\\n'\nexit 3\n")
    lwsws.chmod(0o755)
    with Server(wait=False, arguments=("--lwsws", str(lwsws)), PUSH_LOG_FORMAT="json",
                PUSH_LOG_LEVEL="debug") as server:
        assert server.process.wait() == 1
        server.ended = True
        records = objects(server.process.lines)
        assert [(r["level"], r["message"]) for r in records if r["component"] == "worker"] == [
            ("error", 'a\ufffd\x1b[31m\\"b'), ("debug", 'opened {"time":')]
        assert "did not start: it ended with exit code 3" in records[-1]["message"]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_that_a_client_sends_is_an_error(log_format):
    """Nor a line at all below the level debug."""
    upgrade = ["GET /ws/messages?channels=a HTTP/1.1", "Host: x", "Upgrade: websocket"]
    key = ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13"]
    requests = [
        ["GET / HTTP/1.1", "Host: x", "Cookie: " + "c" * 5000],
        ["GET /actuator/health HTTP/1.1", "Host: x", "Cookie: " + "c" * 5000],
        ["POST /messages HTTP/1.1", "Host: x", "X: " + "c" * 5000, "Content-Length: 0"],
        ["GET /" + "x" * 7000 + " HTTP/1.1", "Host: x"],
        ["GET /%zz HTTP/1.1", "Host: x"], ["GET", "Host: x"], ["\x00\x01\x02"], ["CONNECT a:1 HTTP/1.1", "Host: x"],
        ["GET / HTTP/1.1", "Host: x", "Authorization: Basic !!!", "Range: bytes=9-1", "If-None-Match: " + "e" * 3000],
        [*upgrade, *key], [*upgrade, "Connection: close", *key], [*upgrade, "Connection: Upgrade", key[0]],
        [*upgrade, "Connection: Upgrade", *key, "Sec-WebSocket-Protocol: " + "p" * 3000],
        [*upgrade, "Connection: Upgrade", *key, "Sec-WebSocket-Protocol: ,,;=("],
        [*upgrade, "Connection: Upgrade", key[1], "Sec-WebSocket-Key: " + "k" * 200],
    ]
    with Server(PUSH_LOG_FORMAT=log_format, **QUICK) as server:
        ready = len(server.process.lines)
        for port in (server.port, server.management):
            for lines in requests:
                with Connection(port, timeout=30) as connection:
                    connection.send("\r\n".join(lines) + "\r\n\r\n")
                    with contextlib.suppress(OSError):  # it may be over already
                        connection.socket.shutdown(1)
                        assert connection.is_closed(), lines
        assert get(server.port, "/").status == 200
        assert server.stop() == 0
        later = server.process.lines[ready:]
        words = [json.loads(line)["message"] if log_format == "json" else line.split(": ", 1)[1] for line in later]
        assert all(re.search("drain|SIGTERM|ended|stop", word) for word in words), later
