"""The command `push` as a test uses it: run to its end, or beside the test with both of its outputs read."""

import atexit
import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import threading
import time

from server import BUILD, START_S, STOP_S, environment

PUSH = BUILD / "server/push"
TRANSPORTS = {"ws": (), "sse": ("--sse",)}
DONE, NO, USAGE, UNREACHABLE, REFUSED, UNAVAILABLE, BROKEN = range(7)  # exit codes


def address(server):
    return {"PUSH_URL": f"http://127.0.0.1:{server.port}", "PUSH_MANAGEMENT_URL": f"http://127.0.0.1:{server.management}"}


def run(server, *arguments, stdin="", **env):
    """Until it ends: exit code, lines of stdout, stderr.  server: None for nobody's address."""
    done = subprocess.run([str(word) for word in (PUSH, *arguments)], input=stdin, capture_output=True, text=True,
                          env=environment({**(address(server) if server else {}), **env}), timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


class Running:
    """with Running(server, "sub", "chat") as sub: ...; its stdin is open where `stdin` is true."""

    def __init__(self, server, *arguments, stdin=False, **env):
        self.lines, self.errors = [], []
        self.process = subprocess.Popen([str(word) for word in (PUSH, *arguments)], text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                        env=environment({**address(server), **env}))
        atexit.register(self.process.kill)
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def _until(self, condition, what):
        end = time.monotonic() + START_S
        while not condition():
            ended = self.process.poll() is not None
            if ended:
                for reader in self.readers:
                    reader.join(STOP_S)
                assert condition(), f"ended with {self.process.returncode} before {what}: {self.lines} {self.errors}"
            assert time.monotonic() < end, f"no {what} within {START_S} s: {self.lines} {self.errors}"
            time.sleep(0.01)

    def error(self, pattern, count=1):
        """Until so many lines of stderr match; the last match."""
        def found():
            return [match for line in list(self.errors) if (match := re.search(pattern, line))]
        self._until(lambda: len(found()) >= count, f"/{pattern}/ on stderr")
        return found()[-1]

    def connected(self):
        self.error("^push: connected to ")
        return self

    def wait_lines(self, count):
        """Until there are so many on stdout; all of them."""
        self._until(lambda: len(self.lines) >= count, f"{count} lines")
        return list(self.lines)

    def wait(self):
        code = self.process.wait(STOP_S)
        for reader in self.readers:
            reader.join(STOP_S)
        return code

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Script(socket.socket):
    """
    A WebSocket server that says what a test tells it to: with Script() as fake: first = fake.accept_client() ...

    For what a real server does too seldom, such as to be slow on the older one of two connections.
    """

    def __init__(self):
        super().__init__()
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.settimeout(START_S)
        self.port = self.management = self.getsockname()[1]

    def accept_client(self):
        client, _ = self.accept()
        client.settimeout(START_S)
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        client.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        return client


def tell(client, event, **data):
    """A frame from the server: {"event":event,"data":{...}}."""
    text = json.dumps({"event": event, "data": data}).encode()
    client.sendall(bytes([0x81]) + (bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")) + text)


def is_closed(client):
    """Until the other end sends a close, or nothing more."""
    while True:
        got = client.recv(4096)
        if not got or got[0] == 0x88:
            return True
