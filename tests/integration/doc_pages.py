"""
README.md and the pages in docs/, as a reader follows them: from top to bottom, command by command, on one machine.

A block of commands (```sh) is run as it stands, and the block of text behind it (```text) is all that it prints.  A
page is one sitting: what one block has published is there for the next.

    ```sh                          runs, and has to end with 0
    <!-- fails -->                 above a block: it has to end with another code
    <!-- terminal -->              above a block: it runs on in a terminal of its own, until the page ends
    <!-- needs: websocat -->       above a block: it is left out without that program
    <!-- not run: the reason -->   above a block: it is only shown
    <!-- run by: tests/client -->  above a block: that suite runs it, not this one
    <!-- typed -->                 above a block that is no ```sh: its lines are typed into the terminal that was opened
                                   last, and the text behind it is what appears there next; ^C ends it
    <!-- appears -->               above a block of ```text: what appears in that terminal next

A block that runs ./server/run starts the page's servers anew, one for each line, with the settings in front of it; with
redis://localhost among them, a Redis of their own, too; $PWD is the reader's folder, which is like a clone: it has docs/,
and what is in its conf.d/ is served, with TLS on localhost:8443.  A page begins with a server that has none.  In expected text a line `...` stands for any lines, and what differs from run to run
(ids, tokens, times) is compared by its shape.  A command with an id or a token that a block before it has shown is run
with the one that came in its place, as a reader would copy it.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from ports import free_port
from redis_servers import RedisServer
from server import BUILD, DIRECT, SOURCE, TOOLS, Server, environment

SLACK_S = 30  # on a machine that does many other things
# however long a page takes, no heartbeat and no reconnect comes between two lines that it shows
PATIENT = {"PUSH_HEARTBEAT_INTERVAL_DURATION": "1h", "PUSH_RECONNECT_DITHER_MIN_DURATION": "2h",
           "PUSH_RECONNECT_DITHER_MAX_DURATION": "2h"}
START = re.compile(r"^(?P<settings>(?:[A-Z0-9_]+=\S+ )*)\./server/run$", re.M)
BLOCK = re.compile(r"(?P<marks>(?:<!-- .+? -->\n)*)```(?P<language>\w+)\n(?P<body>.*?)^```$"
                   r"(?:\n\n```text\n(?P<expected>.*?)^```$)?", re.S | re.M)
SHAPES = (
    (r"\b[0-9a-f]\.[0-9a-z]{4,}\.[0-9a-z]+(?:-[0-9a-f]\.[0-9a-z]{4,}\.[0-9a-z]+)*\b", "ID"),
    (r"\b[0-9a-f]{16}\.[0-9a-f]{32}\b", "TOKEN"),
    (r'(?<=ticket":")[\w-]{32}(?=")|(?<=[?&]ticket=)[\w-]{32}', "TICKET"),
    (r"\bretry:\d+", "retry:N"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME"),
    (r"\b\d+(?:\.\d+)? ?(?:us|µs|ms)\b", "DURATION"),
)
COPIED = re.compile("|".join(pattern for pattern, name in SHAPES if name in ("ID", "TOKEN", "TICKET")))


@dataclass
class Block:
    language: str
    body: str
    expected: str
    marks: dict = field(default_factory=dict)

    def title(self):
        return self.body.strip().split("\n")[0][:70]


def read(page):
    """The blocks of a page, in order."""
    blocks = []
    for found in BLOCK.finditer(page.read_text()):
        marks = dict(re.findall(r"<!-- ([\w ]+?)(?:: (.+?))? -->", found["marks"]))
        blocks.append(Block(found["language"], found["body"], found["expected"] or "", marks))
    return blocks


def shape(text):
    for pattern, name in SHAPES:
        text = re.sub(pattern, name, text)
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def matches(expected, lines, may_go_on):
    """Whether the lines are those, `...` being any."""
    if not expected:
        return may_go_on or not lines
    if expected[0] == "...":
        return any(matches(expected[1:], lines[i:], may_go_on) for i in range(len(lines) + 1))
    return bool(lines) and expected[0] == lines[0] and matches(expected[1:], lines[1:], may_go_on)


def copies(expected, text):
    """Each id and token of the page, and the one that has come in its place."""
    return {} if "..." in expected.split("\n") else dict(zip(COPIED.findall(expected), COPIED.findall(text)))


class Terminal:
    """A command that runs on."""

    def __init__(self, block, command, env, cwd, translate):
        self.block, self.translate = block, translate
        self.bytes = b""
        self.process = subprocess.Popen(["bash", "-c", command], env=env, cwd=cwd, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while piece := os.read(self.process.stdout.fileno(), 65536):
            self.bytes += piece

    def _await(self, expected):
        end = time.monotonic() + SLACK_S
        while not matches(expected, self.lines(), may_go_on=True):
            if self.process.poll() is not None:  # what it printed last may still be in the pipe
                self.reader.join(SLACK_S)
                end = 0
            assert time.monotonic() < end or matches(expected, self.lines(), may_go_on=True), \
                f"`{self.block.title()}` shows\n{self.translate(self.bytes.decode())}\ninstead of\n{self.block.expected}"
            time.sleep(0.02)

    def lines(self):
        return shape(self.translate(self.bytes.decode(errors="replace")))

    def await_begin(self):
        self._await(shape(self.block.expected)[:1])

    def await_all(self):
        self._await(shape(self.block.expected))

    def await_more(self, expected, typed=b""):
        if typed == b"^C\n":
            self.end()
            return
        self.await_all()
        self.process.stdin.write(typed)
        self.process.stdin.flush()
        self.block.expected += expected
        self.await_all()

    def copies(self):
        return copies(self.block.expected, self.bytes.decode(errors="replace"))

    def end(self):
        try:
            self.await_all()
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdin.close()


class Reader:
    """Somebody who types what a page shows."""

    def __init__(self, folder):
        self.folder = folder
        self.servers = []  # (the ports that the page shows, the server)
        self.redis = None
        self.terminals = []
        self.typing = None  # into this one of them; None: it needs what is not here
        self.copied = {}    # the page's ids and tokens, and those of this run

    def __enter__(self):
        (self.folder / ".curlrc").write_text("silent\nshow-error\n")  # on a terminal curl shows no progress either
        for name in "bin", "conf.d":
            (self.folder / name).mkdir()
        (self.folder / "docs").symlink_to(SOURCE / "docs")
        (self.folder / "bin/python3").symlink_to(sys.executable)
        self._start([{}])
        self._install(self.servers[0][1])
        return self

    def _install(self, server):
        """pushd, with its configuration where the package would have it."""
        pushd = self.folder / "bin/pushd"
        pushd.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, server.command()))} "$@"\n')
        pushd.chmod(0o755)

    def __exit__(self, kind, value, trace):
        if kind:
            for terminal in self.terminals:
                terminal.block.expected = ""
        self._stop()
        if self.redis:
            self.redis.close()

    def _added(self):
        """What the reader has put into conf.d, and the port of its TLS."""
        port = free_port()
        return {file.name: file.read_text().replace('"8443"', f'"{port}"')
                for file in (self.folder / "conf.d").iterdir()}, port

    def _start(self, commands):
        for settings in commands:
            shown = settings.pop("SERVER_PORT", "8080"), settings.pop("MANAGEMENT_SERVER_PORT", "8000")
            settings = {name: value.replace("$PWD", str(self.folder)) for name, value in settings.items()}
            if settings.get("PUSH_REDIS_URL") == "redis://localhost":
                self.redis = self.redis or RedisServer()
                settings["PUSH_REDIS_URL"] = self.redis.url()
            added, tls_port = self._added()
            server = Server(conf_d=added, **PATIENT | settings)
            server.tls_port = tls_port
            self.servers.append((shown, server))

    def _stop(self):
        try:
            while self.terminals:
                self.terminals.pop(0).end()
        finally:
            while self.servers:
                self.servers.pop(0)[1].__exit__(None, None, None)

    def _env(self):
        env = environment({})
        env.pop("LD_PRELOAD", None)
        env["PATH"] = f"{self.folder / 'bin'}:{BUILD / 'server'}:{TOOLS / 'bin'}:{env['PATH']}"
        env["PUSH_URL"] = self._here("http://localhost:8080")
        env["HOME"] = str(self.folder)
        return env

    def _ports(self):
        for (port, management), server in self.servers:
            yield f"localhost:{port}", f"127.0.0.1:{server.port}"
            yield f"localhost:{management}", f"127.0.0.1:{server.management}"
            yield "localhost:8443", f"localhost:{server.tls_port}"

    def _here(self, text):
        """Where the page's servers are."""
        for shown, real in self._ports():
            text = text.replace(shown, real)
        return text

    def _command(self, text):
        for terminal in self.terminals if COPIED.search(text) else ():
            terminal.await_all()
            self.copied.update(terminal.copies())
        return COPIED.sub(lambda found: self.copied.get(found[0], found[0]), self._here(text))

    def _there(self, text):
        for shown, real in self._ports():
            text = text.replace(real, shown)
        for _, server in self.servers:
            text = text.replace(str(server.folder), "/etc/push")
        return text

    def follow(self, block):
        """Returns why it was left out, or None."""
        if self.typing and block.marks.keys() & {"typed", "appears"}:
            typed = self._command(block.body) if "typed" in block.marks else ""
            self.typing.await_more(block.expected if typed else block.body, typed.encode())
            return None
        if block.language != "sh" or block.marks.keys() & {"not run", "run by"}:
            return block.marks.get("not run", "no commands")
        needs = block.marks.get("needs")
        if "terminal" in block.marks:
            self.typing = None
        if needs == "direct" and not DIRECT:
            return "lws' sockets do without"
        if needs and needs != "direct" and not any(os.access(f"{folder}/{needs}", os.X_OK)
                                                   for folder in self._env()["PATH"].split(":")):
            return f"no {needs}"
        starts = [dict(setting.split("=", 1) for setting in start["settings"].split())
                  for start in START.finditer(block.body)]
        if starts:
            self._stop()
            self._start(starts)
            return None
        command = self._command(block.body)
        if "terminal" in block.marks:
            self.terminals.append(Terminal(block, command, self._env(), self.folder, self._there))
            self.typing = self.terminals[-1]
            self.typing.await_begin()
            return None
        self._run(block, command)
        return None

    def _run(self, block, command):
        ran = subprocess.run(["bash", "-c", command], env=self._env(), cwd=self.folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SLACK_S)
        out = self._there(ran.stdout.decode(errors="replace"))
        assert matches(shape(block.expected), shape(out), may_go_on=False), \
            f"`{block.title()}` shows\n{out}\ninstead of\n{block.expected}"
        self.copied.update(copies(block.expected, out))
        assert (ran.returncode != 0) == ("fails" in block.marks), f"`{block.title()}` ended with {ran.returncode}"


def pages():
    return [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]
