"""The command `push` as a test uses it: run to its end, or beside the test with both of its outputs read."""

import atexit
import re
import signal
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
