"""push sub, push pub and push history against real servers: what they print, what they report, what is sent again."""

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from push_command import (DONE, PUSH, REFUSED, TRANSPORTS, UNAVAILABLE, Running, Script, is_closed, run, tell)
from redis_nodes import IMPATIENT
from redis_servers import RedisServer
from server import Server, environment

transports = pytest.mark.parametrize("how", TRANSPORTS.values(), ids=TRANSPORTS.keys())


@pytest.fixture(scope="module")
def keeper():
    """A server that keeps a few messages."""
    with Server(PUSH_HISTORY_SIZE=3) as running:
        yield running


@pytest.fixture(scope="module")
def deep():
    """A server that keeps more messages than one request reads."""
    with Server(PUSH_HISTORY_SIZE=5000) as running:
        yield running


class Answers(http.server.ThreadingHTTPServer):
    """A server that answers each request with the next of the given answers: (status, headers, body)."""

    daemon_threads = True

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = list(answers), []
        self.port = self.management = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, headers, text = self.server.answers.pop(0)
        if status is None:  # it ends without an answer
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST

    def log_message(self, *_):
        pass


def position(server):
    """An id, from which on nothing is missing: of a message on another channel."""
    run(server, "pub", "elsewhere", "x")
    return json.loads(run(server, "history", "elsewhere", "--json")[1][-1])["id"]


# push sub and push pub


@transports
def test_sub_prints_what_pub_publishes(server, how):
    with Running(server, "sub", "first", *how) as sub:
        sub.connected()
        assert run(server, "pub", "first", "hello") == (DONE, ['{"subscribers":1}'], "")
        assert run(server, "pub", "first", '{"n":1.0e2,"big":12345678901234567890123}', "--json")[0] == DONE
        assert run(server, "pub", "first", "-")[0] == DONE  # an empty stdin has no line
        assert run(server, "pub", "first", "a  \\ \"b\" \u00e4\u20ac")[0] == DONE
        lines = sub.wait_lines(3)
    assert lines == ["hello", '{"n":1.0e2,"big":12345678901234567890123}', "a  \\ \"b\" \u00e4\u20ac"]


@transports
def test_sub_prints_objects_that_name_the_channel_and_the_id(keeper, how):
    with Running(keeper, "sub", "one", "other", "--json", *how) as sub:
        sub.connected()
        run(keeper, "pub", "one", "hello")
        run(keeper, "pub", "other", "[1, 2]", "--json")
        first, second = map(json.loads, sub.wait_lines(2))
    assert (first["channel"], first["message"]) == ("one", "hello")
    assert (second["channel"], second["message"]) == ("other", [1, 2])
    assert first["id"] != second["id"] and list(first) == ["channel", "id", "message"]


@transports
def test_sub_takes_long_messages_and_many_channels(server, how):
    channels = [f"{number:03}" + "c" * 33 for number in range(100)]
    with Running(server, "sub", *channels, *how) as sub:
        sub.connected()
        for text in ("a" * 60_000, "line 1\nline 2", ""):
            run(server, "pub", channels[-1], "--", text)
        assert sub.wait_lines(4) == ["a" * 60_000, "line 1", "line 2", ""]


@transports
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sub_ends_with_0_when_it_is_asked_to(server, how, number):
    with Running(server, "sub", "ends", *how) as sub:
        assert sub.connected().end(number) == DONE


def test_sub_ends_after_the_messages_that_were_asked_for():
    with Server() as server, Running(server, "sub", "counted", "--count", 2, "--quiet") as sub:
        server.wait_metric("push_channels", 1)
        run(server, "pub", "counted", "-", stdin="1\n2\n3\n")
        assert sub.wait() == DONE
        assert (sub.lines, sub.errors) == (["1", "2"], [])


def test_sub_ends_with_0_when_nobody_reads_its_output(server):
    sub = subprocess.Popen([PUSH, "sub", "unread", "--url", f"http://127.0.0.1:{server.port}"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment({}), text=True)
    with sub:
        try:
            assert "connected" in sub.stderr.readline()
            sub.stdout.close()
            run(server, "pub", "unread", "x")
            assert sub.wait(30) == DONE
        finally:
            sub.kill()


@transports
def test_sub_goes_on_behind_an_id_and_reports_what_is_missing(keeper, how):
    channel = "gap" + "".join(how)
    begin = position(keeper)
    run(keeper, "pub", channel, "-", stdin="1\n2\n3\n")
    with Running(keeper, "sub", channel, "--from", begin, *how) as sub:
        sub.error("^push: resumed: 3 messages replayed, nothing is missing$")
        assert sub.lines == ["1", "2", "3"] or sub.wait_lines(3) == ["1", "2", "3"]

    run(keeper, "pub", channel, "-", stdin="4\n5\n")
    with Running(keeper, "sub", channel, "--from", begin, *how) as sub:
        sub.error(f"^push: gap: 2 messages of {re.escape(channel)} are missing$")
        assert sub.wait_lines(3) == ["3", "4", "5"]


@transports
def test_sub_misses_nothing_while_a_server_is_killed_and_started_again(how):
    with RedisServer() as redis:
        env = {**IMPATIENT, "PUSH_REDIS_URL": redis.url(), "PUSH_HISTORY_SIZE": 100}

        def same_ports(as_before):
            def use(new):
                new.port, new.management = as_before.port, as_before.management
            return use

        with Server(**env) as other:
            first = Server(**env)
            with Running(first, "sub", "killed", *how) as sub:
                sub.connected()
                run(other, "pub", "killed", "before")
                assert sub.wait_lines(1) == ["before"]
                for pid in [*first.pids("pushd"), *first.pids(), first.process.process.pid]:
                    os.kill(pid, signal.SIGKILL)
                sub.error("^push: connection lost: .*; trying again in [0-9.]+ s$")
                run(other, "pub", "killed", "-", stdin="missed 1\nmissed 2\n")
                first.process.kill()
                with Server(before=same_ports(first), **env):
                    sub.error("^push: connected again to http://")
                    sub.error("^push: resumed: 2 messages replayed, nothing is missing$")
                    run(other, "pub", "killed", "after")
                    assert sub.wait_lines(4) == ["before", "missed 1", "missed 2", "after"]
                    assert sub.end() == DONE


@pytest.mark.parametrize("how,history", [((), 0), ((), 1000), (("--sse",), 0), (("--sse",), 1000),
                                         (("--name", "me"), 1000)])
def test_sub_moves_to_a_new_connection_without_a_loss_or_a_double(how, history):
    """It is asked to after a second, and the server closes the old connection 3 s later."""
    lifetime = {"PUSH_RECONNECT_DITHER_MIN_DURATION": "4s", "PUSH_RECONNECT_DITHER_MAX_DURATION": "4s",
                "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "3s"}
    opened = 'push_connections_opened_total{transport="%s"}' % ("sse" if "--sse" in how else "ws")
    with Server(PUSH_HISTORY_SIZE=history, **lifetime) as server, Running(server, "sub", "moves", *how) as sub, \
            Running(server, "pub", "moves", "-", stdin=True) as pub:
        sub.connected()
        sent = 0
        while server.metric(opened) < 3:
            pub.process.stdin.write(f"{sent}\nsame\n")
            pub.process.stdin.flush()
            sent += 1
            time.sleep(0.005)
        pub.process.stdin.close()
        assert pub.wait() == DONE
        lines = sub.wait_lines(2 * sent)
        assert sub.end() == DONE
        assert lines == [text for number in range(sent) for text in (str(number), "same")]
        assert [line for line in sub.errors if not re.match("push: (connected to|the server has no position)", line)] == []


def move_with_a_late_message():
    """What is printed where the old connection brings a message that the new one, which has subscribed since, does not."""
    with Script() as fake, Running(fake, "sub", "a") as sub:
        old = fake.accept_client()
        tell(old, "ping")
        tell(old, "message", channel="a", message="1")
        tell(old, "reconnect")
        new = fake.accept_client()
        tell(new, "ping")
        tell(new, "message", channel="a", message="3")
        time.sleep(0.03)  # of 150 ms of quiet
        for number in "23":
            tell(old, "message", channel="a", message=number)
        assert is_closed(old), "the new one has taken over"
        tell(new, "message", channel="a", message="3")
        tell(new, "message", channel="a", message="end")
        sub.wait_lines(4)
        sub.error("connected")
        while sub.lines[-1] != "end":
            sub.wait_lines(len(sub.lines) + 1)
        old.close()
        new.close()
        return sub.lines


def test_sub_prints_what_the_old_connection_still_brings_before_what_the_new_one_does():
    # a busy machine may not give it its turn within the 150 ms
    assert any(move_with_a_late_message() == ["1", "2", "3", "3", "end"] for _ in range(5))


def test_sub_moves_again_when_the_new_connection_is_asked_to_while_it_moves():
    with Script() as fake, Running(fake, "sub", "a") as sub:
        links = [fake.accept_client()]
        tell(links[0], "ping")
        tell(links[0], "reconnect")
        links.append(fake.accept_client())
        tell(links[1], "ping")
        tell(links[1], "message", channel="a", message="1")
        tell(links[1], "reconnect")
        assert is_closed(links[0])
        links.append(fake.accept_client())
        tell(links[2], "ping")
        assert is_closed(links[1])
        tell(links[2], "message", channel="a", message="2")
        assert sub.wait_lines(2) == ["1", "2"]
        for link in links:
            link.close()


def test_sub_knows_copies_by_their_ids_however_late_the_new_connection_brings_them():
    with Script() as fake, Running(fake, "sub", "a") as sub:
        old = fake.accept_client()
        tell(old, "ping", id="7")
        tell(old, "reconnect")
        new = fake.accept_client()
        tell(new, "ping", id="7")
        for number in "12":
            tell(old, "message", channel="a", message=number, id=number)
        assert is_closed(old)
        for number in "123":
            tell(new, "message", channel="a", message=number, id=number)
        tell(new, "message", channel="a", message="3", id="4")
        assert sub.wait_lines(4) == ["1", "2", "3", "3"]
        old.close()
        new.close()


def test_sub_reports_no_gap_that_the_old_connection_has_filled():
    with Script() as fake, Running(fake, "sub", "a", "kept") as sub:
        old = fake.accept_client()
        tell(old, "ping", id="7")
        tell(old, "message", channel="a", message="without an id")
        tell(old, "reconnect")
        new = fake.accept_client()
        tell(new, "ping", id="7")
        tell(new, "gap", channel="a", missed="unknown")
        tell(new, "gap", channel="kept", missed=2)
        tell(new, "message", channel="kept", message="10", id="10")
        assert is_closed(old)
        sub.error("^push: gap: 2 messages of kept are missing$")
        assert sub.wait_lines(2) == ["without an id", "10"]
        assert sub.end() == DONE
        assert [line for line in sub.errors if "of a " in line] == []
        old.close()
        new.close()


def test_sub_reconnects_when_a_connection_has_gone_silent():
    with Script() as fake, Running(fake, "sub", "a") as sub:
        silent = fake.accept_client()
        tell(silent, "ping", id="7")
        tell(silent, "ping", id="8")  # a moment later: heartbeats are that close
        again = fake.accept_client()
        sub.error("^push: connection lost: nothing arrived for too long; trying again in")
        tell(again, "ping", id="8")
        sub.error("^push: connected again")
        silent.close()
        again.close()


def test_sub_with_a_name_goes_on_behind_what_it_has_printed(keeper):
    with Running(keeper, "sub", "named", "--name", "me") as sub:
        sub.error("^push: the server has no position for client 'me'")
        run(keeper, "pub", "named", "1")
        sub.wait_lines(1)
        assert sub.end() == DONE
    run(keeper, "pub", "named", "2")
    with Running(keeper, "sub", "named", "--name", "me") as sub:
        assert sub.wait_lines(1) == ["2"]
        sub.error("resumed: 1 messages")


def test_pub_streams_lines_and_reports_the_bad_ones(server):
    with Running(server, "sub", "lines") as sub:
        sub.connected()
        numbers = [str(n) for n in range(2500)]
        code, answers, errors = run(server, "pub", "lines", "-", stdin="\n".join(numbers))
        assert (code, errors) == (DONE, "") and answers == ['{"subscribers":1}'] * 2500
        assert sub.wait_lines(2500) == numbers
        code, answers, errors = run(server, "pub", "lines", "-", "--json", stdin='1\n{"a":\n\n"ok"\n')
        assert (code, len(answers)) == (REFUSED, 2) and errors == "push: line 2: the message must be JSON\n"
        assert sub.wait_lines(2502)[2500:] == ["1", "ok"]


def test_pub_reports_what_the_server_says_of_a_line(server):
    code, answers, errors = run(server, "pub", "long", "-", stdin="a\n" + "b" * 70_000 + "\nc\n")
    assert code == REFUSED and answers == ['{"subscribers":0}'] * 2, answers
    assert errors.startswith("push: line 2: 413: "), errors


def test_pub_publishes_a_line_when_it_has_come(server):
    with Running(server, "sub", "typed") as sub, Running(server, "pub", "typed", "-", stdin=True) as pub:
        sub.connected()
        for number in range(3):
            pub.process.stdin.write(f"{number}\n")
            pub.process.stdin.flush()
            assert sub.wait_lines(number + 1)[-1] == str(number)
        assert pub.end(signal.SIGINT) == DONE


def test_pub_sends_fewer_lines_at_a_time_where_the_server_takes_fewer():
    with Server(PUSH_DIRECT="off", PUSH_MESSAGE_MAX_SIZE="2kb") as server:
        code, answers, errors = run(server, "pub", "small", "-", stdin="".join(f"{n}\n" for n in range(500)))
        assert (code, len(answers), errors) == (DONE, 500, "")
        code, answers, errors = run(server, "pub", "small", "-", stdin="a\n" + "b" * 3000 + "\nc\n")
        assert code == REFUSED and len(answers) == 2 and "lines 2 to 2 were not published" in errors, errors


def test_pub_with_a_key_is_sent_again_and_published_once():
    with Answers((503, {"Retry-After": 2}, '{"error":"Redis is away"}'), (None, {}, ""),
                 (202, {}, '{"subscribers":2}')) as fake:
        start = time.monotonic()
        code, answers, errors = run(fake, "pub", "order", "paid", "--key", "order-1")
        assert (code, answers) == (DONE, ['{"subscribers":2}'])
        assert time.monotonic() - start >= 2, "Retry-After"  # without it 1.5 s at most
        assert "push: Redis is away; sending it again in" in errors
        assert [headers["idempotency-key"] for _, headers, _ in fake.requests] == ["order-1"] * 3
        assert len({body for _, _, body in fake.requests}) == 1


@pytest.mark.parametrize("answer", [(503, {"Retry-After": 2}, '{"error":"Redis is away"}'), (None, {}, "")])
def test_pub_without_a_key_is_sent_once(answer):
    with Answers(answer, (202, {}, '{"subscribers":2}')) as fake:
        code, answers, errors = run(fake, "pub", "order", "paid")
        assert (code, answers, len(fake.requests)) == (UNAVAILABLE, [], 1)
        assert ("503: Redis is away" if answer[0] else "closed the connection without an answer") in errors


def test_pub_with_a_key_publishes_once_on_a_real_server(server):
    with Running(server, "sub", "once") as sub:
        sub.connected()
        for _ in range(2):
            assert run(server, "pub", "once", "paid", "--key", "k") == (DONE, ['{"subscribers":1}'], "")
        code, _, errors = run(server, "pub", "once", "other", "--key", "k")
        assert code == REFUSED and "422: the Idempotency-Key was used for another request" in errors
        run(server, "pub", "once", "end")
        assert sub.wait_lines(2) == ["paid", "end"]


def test_pub_waits_until_it_is_written(server):
    with Running(server, "sub", "written") as sub:
        sub.connected()
        assert run(server, "pub", "written", "x", "--wait")[1] == ['{"subscribers":1,"written":1}']


# push history


def test_history_prints_what_is_kept_page_by_page(deep):
    run(deep, "pub", "pages", "-", stdin="".join(f"{n}\n" for n in range(2300)))
    code, lines, errors = run(deep, "history", "pages")
    assert (code, errors) == (DONE, "") and lines == [str(n) for n in range(2300)]
    kept = [json.loads(line) for line in run(deep, "history", "pages", "--json", "--limit", 1200)[1]]
    assert [entry["message"] for entry in kept] == [str(n) for n in range(1200)]
    code, lines, _ = run(deep, "history", "pages", "--from", kept[9]["id"], "--before", kept[12]["id"])
    assert (code, lines) == (DONE, ["10", "11"])
    code, _, errors = run(deep, "history", "pages", "--before", "0.nothing.1")
    assert code == REFUSED and "no kept message of pages has this id" in errors


def test_history_reports_what_is_gone(keeper):
    begin = position(keeper)
    run(keeper, "pub", "gone", "-", stdin="1\n2\n3\n4\n5\n")
    code, lines, errors = run(keeper, "history", "gone", "--from", begin)
    assert (code, lines, errors) == (DONE, ["3", "4", "5"], "push: gap: 2 messages of gone are missing\n")
