"""Real client libraries publish and subscribe: what they send is understood, and what Push sends is what they expect.

A program for each library, with as little else as possible.  PROGRAM VERB URL [ID]:
  publish, ws-publish       sends each line of standard input, a body, and prints "STATUS ANSWER" or the answering frame
  subscribe, ws-subscribe   prints the lines of the event stream, or the texts of the frames, and how it ended
  subscribe ... ID          resumes behind that event, by Last-Event-ID

Libraries whose name ends in /2 speak HTTP/2 over TLS: with HTTP2 in the environment, and the server's certificate in
SSL_CERT_FILE, the program fails if it was another version.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from h2client import make_certificate
from ports import free_port
from server import DIRECT, SOURCE, TOOLS, Process, Server
from sseclient import EventStream
from test_front_door import tls_vhost

HERE = Path(__file__).resolve().parent
HOME = TOOLS / "clients"
SLACK_S = 100  # virtual machines and interpreters that start on a busy machine
GRACE_S = 6
PINGS = GRACE_S + 2  # a second apart: by then, a client that answers none has been closed

HTTP = ("publish", "subscribe")
WS = ("ws-publish", "ws-subscribe")
HTTP2 = HTTP + ("subscribe-resume",)
LIBRARIES = {
    "aiohttp": ("python", "with_aiohttp.py", HTTP + WS),
    "httpx-sse": ("python", "with_httpx_sse.py", HTTP),
    "requests": ("python", "with_requests.py", HTTP),
    "websockets": ("python", "with_websockets.py", WS),
    "eventsource": ("node", "with_eventsource.mjs", ("subscribe",)),
    "fetch": ("node", "with_fetch.mjs", HTTP),
    "undici": ("node", "with_undici.mjs", HTTP + WS),
    "ws": ("node", "with_ws.mjs", WS),
    "curl": ("shell", "with_curl", HTTP),
    "wget": ("shell", "with_wget", HTTP),
    "net/http": ("go", "nethttp", HTTP),
    "gorilla": ("go", "gorilla", WS),
    "coder": ("go", "coder", WS),
    "HttpClient": ("java", "WithHttpClient", HTTP + WS),
    "OkHttp": ("java", "WithOkHttp", HTTP + WS),
    "reqwest": ("rust", "with_reqwest", HTTP),
    "tungstenite": ("rust", "with_tungstenite", WS),
    "httpx/2": ("python", "with_httpx_sse.py", HTTP2),
    "http2/2": ("node", "with_http2.mjs", HTTP2),
    "curl/2": ("shell", "with_curl", HTTP2),
    "net/http/2": ("go", "nethttp", HTTP2),
    # at a GOAWAY, Java 17 gives up streams that go on, so that it sees no clean end
    "HttpClient/2": ("java", "WithHttpClient", ("publish",)),
}
LANGUAGES = os.environ.get("TEST_CLIENTS", "python node shell go java rust").split()
CASES = [(name, verb) for name, (language, _, verbs) in LIBRARIES.items() if language in LANGUAGES for verb in verbs
         if DIRECT or not name.endswith("/2")]  # over HTTP/2, lws drops Last-Event-ID, and wants a length
MESSAGES = [1, "grüße 🎉 \u2028", {"deep": [None, True, {"}": "]"}], "": ""}, "x" * 60_000, *range(100)]
MISSED = ["missed", "missed, too"]
# what a client sends and what it is answered
BODIES = [({"message": 1}, 202, {"subscribers": 1}), ({"message": "grüße 🎉"}, 202, {"subscribers": 1}),
          ({}, 400, {"error": "'message' is missing"}), ({"message": {"x": ["y" * 3000]}}, 202, {"subscribers": 1}),
          ({"message": "z" * 60_000}, 202, {"subscribers": 1}), ({"message": None}, 202, {"subscribers": 1})]


@pytest.fixture(scope="module")
def fetched():
    """The languages whose libraries are there."""
    subprocess.run([HERE / "fetch", *(set(LANGUAGES) - {"shell"})], check=True)
    return {language for language in LANGUAGES if language == "shell" or (HOME / language / ".done").exists()}


@pytest.fixture(scope="module")
def node_programs(tmp_path_factory):
    """A module is looked for where the importing file lies."""
    folder = tmp_path_factory.mktemp("node")
    for file in (HERE / "node").glob("*.mjs"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(HOME / "node/node_modules")
    return folder


@pytest.fixture(scope="module")
def command(fetched, node_programs):
    """The command of a library, or None if it is not on this machine."""

    def command_of(name, verb, url):
        language, program, _ = LIBRARIES[name]
        if language not in fetched or (language == "shell" and not shutil.which(name.split("/")[0])):
            return None
        run = {"python": [HOME / "python/bin/python", HERE / "python" / program],
               "node": ["node", node_programs / program],
               "shell": [HERE / "shell" / program],
               "go": [HOME / "go" / program],
               "java": ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{HOME}/java:{HOME}/java/lib/*", program],
               "rust": [HOME / "rust" / program]}[language]
        return [*map(str, run), verb, url]

    return command_of


def channel_of(name, verb):
    return f"{'kept:' if 'resume' in verb else ''}{name.replace('/', '-')}-{verb}"


def is_http2(name):
    return name.endswith("/2")


def bodies_of(verb):
    """A WebSocket's messages are smaller."""
    return [each for each in BODIES if verb == "publish" or len(str(each[0])) < 4000]


class Run:
    """All programs against one server: what each of them printed, and what others received from it."""

    def __init__(self, server, command):
        self.server, self.command = server, command
        self.publishers, self.received, self.subscribers = {}, {}, {}

    def origin(self, name, scheme):
        return f"{scheme}s://localhost:{self.server.tls_port}" if is_http2(name) else f"{scheme}://127.0.0.1:{self.server.port}"

    def environment(self, name):
        return {"SSL_CERT_FILE": str(self.server.certificate), "HTTP2": "1"} if is_http2(name) else {}

    def miss(self, channel):
        """Publishes what is to be resumed from, and what is missed behind it; returns the id of the former."""
        with EventStream(self.server.port, channel) as reader:
            reader.raw()
            self.server.publish(channel, "seen")
            event = reader.next().decode()
        for message in MISSED:
            self.server.publish(channel, message)
        return re.search(r"^id:(.*)$", event, re.M)[1]

    def subscribe(self, name, verb):
        scheme, path = ("ws", "ws") if verb.startswith("ws") else ("http", "sse")
        channel = channel_of(name, verb)
        command = self.command(name, verb.removesuffix("-resume"), f"{self.origin(name, scheme)}/{path}/messages?channels={channel}")
        if command:
            last = [self.miss(channel)] if verb.endswith("-resume") else []
            self.subscribers[name, verb] = Process([*command, *last], {"LD_PRELOAD": "", **self.environment(name)})

    def publish(self, name, verb):
        url = f"{self.origin(name, 'http')}/messages" if verb == "publish" else \
            f"{self.origin(name, 'ws')}/ws/messages?channels=none"
        command, channel = self.command(name, verb, url), channel_of(name, verb)
        if not command:
            return
        bodies = [json.dumps({"channel": channel, **body}, ensure_ascii=False) for body, _, _ in bodies_of(verb)]
        with EventStream(self.server.port, channel) as reader:
            reader.raw()
            self.publishers[name, verb] = subprocess.run(command, input="\n".join([*bodies, ""]).encode(), timeout=SLACK_S,
                                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                                         env={**os.environ, **self.environment(name)})
            self.server.publish(channel, "the last one")
            self.received[name, verb] = []
            while self.received[name, verb][-1:] != ["the last one"]:
                self.received[name, verb].append(reader.message()[1])

    def wait_for_pings(self):
        end = time.monotonic() + SLACK_S
        for program in self.subscribers.values():
            while time.monotonic() < end and program.process.poll() is None and \
                    sum("heartbeat" in line or '"ping"' in line for line in program.lines) < PINGS:
                time.sleep(0.02)


@pytest.fixture(scope="module")
def run(command, tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    tls_port = free_port()
    with Server(conf_d={"30-tls": tls_vhost(tls_port, certificate, key)}, PUSH_WS_PUBLISH="on", PUSH_HISTORY_RULES="kept:=10",
                PUSH_HEARTBEAT_INTERVAL_DURATION="1s", PUSH_DRAIN_DURATION="0",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION=f"{GRACE_S}s") as server:
        server.tls_port, server.certificate = tls_port, certificate
        run = Run(server, command)
        for name, verb in CASES:
            if "subscribe" in verb:
                run.subscribe(name, verb)
        for name, verb in CASES:
            if "publish" in verb:
                run.publish(name, verb)
        run.wait_for_pings()
        for message in MESSAGES:
            for name, verb in run.subscribers:
                assert server.publish(channel_of(name, verb), message).status == 202
        assert server.stop() == 0
        for program in run.subscribers.values():
            try:
                program.wait(SLACK_S)
            except subprocess.TimeoutExpired:
                program.kill()
        yield run


def cases(which):
    return pytest.mark.parametrize("name, verb", [case for case in CASES if which in case[1]],
                                   ids=[f"{name}-{verb}" for name, verb in CASES if which in verb])


def result(results, name, verb):
    """What is not there is skipped by name; where all changes are checked, nothing is."""
    if (name, verb) not in results:
        language = LIBRARIES[name][0]
        reason = f"{name} is not there: see tests/clients/fetch and {HOME / language}.log"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return results[name, verb]


@cases("publish")
def test_a_library_publishes_is_answered_and_goes_on_after_an_error(run, name, verb):
    program, bodies = result(run.publishers, name, verb), bodies_of(verb)
    lines = program.stdout.decode().split("\n")
    assert program.returncode == 0, lines
    if verb == "publish":
        got = [(int(line.split(" ", 1)[0]), json.loads(line.split(" ", 1)[1])) for line in lines[:len(bodies)]]
        assert (got, lines[len(bodies):]) == ([(status, answer) for _, status, answer in bodies], [""])
    else:
        events = [{"event": "published" if status == 202 else "error", "data": answer} for _, status, answer in bodies]
        assert ([json.loads(line) for line in lines[:len(bodies)]], lines[len(bodies):]) == (events, ["close 1000", ""])
    sent = [body["message"] for body, status, _ in bodies if status == 202]
    assert run.received[name, verb] == [*sent, "the last one"]


@cases("subscribe")
def test_a_library_stays_gets_every_message_once_and_in_order_and_sees_a_clean_end(run, name, verb):
    program = result(run.subscribers, name, verb)
    lines = [line for line in program.lines if line and not line.startswith(("id:", "retry:"))]
    end, lines = lines[-1], lines[:-1]
    if verb.startswith("subscribe"):
        assert [line.split(":", 1)[0] for line in lines] == ["event", "data"] * (len(lines) // 2), program.output()[-500:]
        events = [(event[6:], json.loads(data[5:])) for event, data in zip(lines[::2], lines[1::2])]
    else:
        events = [(json.loads(line)["event"], json.loads(line)["data"]) for line in lines]
    expected = [("message", {"channel": channel_of(name, verb), "message": message}) for message in MESSAGES]
    if verb.endswith("-resume"):
        missed = [("message", {"channel": channel_of(name, verb), "message": message}) for message in MISSED]
        expected = [*missed, ("resumed", {"replayed": len(MISSED)}), *expected]
    pings = [event for event in events if event[0] in ("heartbeat", "ping")]
    assert len(pings) >= PINGS
    got = [event for event in events if event not in pings]
    if name == "httpx/2":  # once a server has sent GOAWAY it reads nothing more, though streams may go on
        assert got in (expected, [*expected, ("reconnect", {})])
    else:
        assert got == [*expected, ("reconnect", {})]
    assert (end, program.process.returncode) == ("end" if verb.startswith("subscribe") else "close 1001", 0)
