"""
Proves that reconcile notices what it is there to notice.

usage: selftest.py RECONCILE [unittest's options]

Between reconcile and a real Push stands somebody who breaks one promise on the way to the clients.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

TESTS = Path(os.environ["TEST_SOURCE_DIR"]) / "tests"
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "bench")]
from server import Server  # noqa: E402

RECONCILE = None
NOTICED = ("silent", "duplicates", "late", "wrong_gaps", "damaged", "without_id")


def frames(source):
    """Frames of a server, as (bytes, payload); what comes before the first is given as it is."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = source.recv(1)
        if not byte:
            return
        head += byte
    yield head, b""
    while not head.startswith(b"HTTP/1.1 101"):  # a publisher's
        data = source.recv(65536)
        if not data:
            return
        yield data, b""
    file = source.makefile("rb")
    while True:
        start = file.read(2)
        if len(start) < 2:
            return
        more = file.read({126: 2, 127: 8}.get(start[1], 0))
        payload = file.read(int.from_bytes(more, "big") if more else start[1])
        yield start + more + payload, payload


class Liar:
    """Passes everything on but what `lie` does with a message: it is given its frame, and returns a list of frames."""

    def __init__(self, port, lie):
        self.port_behind, self.lie = port, lie
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.lies = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port_behind))
            except OSError:
                return
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    @staticmethod
    def _close(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        self._close(source, target)

    def _back(self, source, target):
        try:
            memory = {}
            for data, payload in frames(source):
                lied = self.lie(data, payload, memory)
                if lied != [data]:
                    self.lies += 1
                for each in lied:
                    target.sendall(each)
        except OSError:
            pass
        self._close(source, target)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def reconcile(port, *options):
    """Its code, what it counted of WebSockets, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        done = subprocess.run([RECONCILE, "--target", f"127.0.0.1:{port}", "--clients", "20", "--channels", "5",
                               "--transports", "ws", "--rate", "100", "--time", "2500ms", "--settle", "4s", "--away",
                               "300ms", "--stay", "2s", "--json", file, "--seed", "1", *options],
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, json.loads(file.read_text())["ws"], done.stdout + done.stderr


class Noticed(unittest.TestCase):
    def lied(self, lie, *expected, more=(), **settings):
        """Exactly these kinds of violations are found."""
        with Server(**{"PUSH_HISTORY_SIZE": "100", **settings}) as server, Liar(server.port, lie) as liar:
            code, counts, text = reconcile(liar.port, *more)
        self.assertTrue(liar.lies, "it never lied")
        self.assertEqual({kind for kind in NOTICED if counts[kind]}, set(expected), text)
        self.assertEqual(code, 1, text)
        self.assertIn("violation: client", text)
        self.assertIn("NOT RECONCILED", text)
        return counts

    @staticmethod
    def tenth(payload, memory):
        """Whether it is each tenth message, from the fifth on; no last one."""
        if b'"message","data"' not in payload or b" last" in payload:
            return False
        memory["count"] = memory.get("count", 4) + 1
        return memory["count"] % 10 == 0

    def test_a_message_that_is_swallowed(self):
        self.lied(lambda data, payload, memory: [] if self.tenth(payload, memory) else [data], "silent")

    def test_a_message_that_comes_twice(self):
        self.lied(lambda data, payload, memory: [data, data] if self.tenth(payload, memory) else [data], "duplicates")

    def test_a_message_that_is_overtaken_by_the_next_one(self):
        def lie(data, payload, memory):
            if memory.get("held") and b"reconcile-" in payload:
                name = re.search(rb"reconcile-\d+", payload)[0]
                if name in memory["held"]:
                    return [data, memory.pop("held")]
            if "held" not in memory and self.tenth(payload, memory):
                memory["held"] = data
                return []
            return [data]

        counts = self.lied(lie, "silent", "late", more=("--stay", "0"))
        self.assertGreaterEqual(counts["silent"], counts["late"])

    def test_an_id_that_is_missing(self):
        def lie(data, payload, memory):
            if not self.tenth(payload, memory):
                return [data]
            bare = re.sub(rb',"id":"[^"]*"', b"", payload)
            return [b"\x81" + (bytes([len(bare)]) if len(bare) < 126 else b"\x7e" + len(bare).to_bytes(2, "big")) + bare]

        self.lied(lie, "without_id", more=("--ids", "on", "--stay", "0"))

    def test_a_gap_that_is_not_told(self):
        self.lied(lambda data, payload, memory: [] if b'"gap"' in payload else [data], "silent",
                  more=("--rate", "400", "--away", "1s"), PUSH_HISTORY_SIZE="3")

    def test_a_gap_of_a_wrong_number(self):
        def lie(data, payload, memory):
            if b'"gap"' not in payload:
                return [data]
            lied = re.sub(rb'"missed":("unknown"|\d+)', b'"missed":1', payload)
            return [b"\x81" + bytes([len(lied)]) + lied]

        counts = self.lied(lie, "silent", "wrong_gaps", more=("--rate", "400", "--away", "1s"), PUSH_HISTORY_SIZE="3")
        self.assertGreater(counts["told"], 0)


    def test_any_gap_where_nothing_may_be_missing(self):
        with Server(PUSH_HISTORY_SIZE="3") as server:
            code, counts, text = reconcile(server.port, "--rate", "400", "--away", "1s", "--gaps", "none")
        self.assertEqual(code, 1, text)
        self.assertEqual(counts["refused_gaps"], counts["gaps"])
        self.assertIn("a gap, and nothing may be missing", text)

    def counted_as(self, lie, *more):
        with Server(PUSH_HISTORY_SIZE="100") as server, Liar(server.port, lie) as liar:
            code, _, text = reconcile(liar.port, "--settle", "1s", "--time", "1s", "--stay", "0", *more)
        self.assertEqual(code, 1, text)
        return text

    @staticmethod
    def lied_counts(data, name):
        """Zeros in its place."""
        return [re.sub(rb'(?<="%s":)\d+' % name, lambda digits: b"0" * len(digits[0]), data)]

    def test_subscribers_who_are_not_counted(self):
        text = self.counted_as(lambda data, *_: self.lied_counts(data, b"subscribers"), "--counts", "all")
        self.assertIn("0 subscribers were counted, and ", text)
        self.assertRegex(text, r"CHANNELS COUNTED WRONGLY AT THE END +5\n")

    def test_written_that_is_wrong_at_the_end(self):
        text = self.counted_as(lambda data, *_: self.lied_counts(data, b"written"), "--counts", "end")
        self.assertRegex(text, r"ANSWERS THAT COUNTED TOO FEW +0\n")
        self.assertRegex(text, r"CHANNELS COUNTED WRONGLY AT THE END +5\n")


class NothingIsWrong(unittest.TestCase):
    def clean(self, *options, **settings):
        with Server(**settings) as server:
            code, counts, text = reconcile(server.port, *options)
        self.assertEqual({kind for kind in NOTICED if counts[kind]}, set(), text)
        self.assertEqual(code, 0, text)
        self.assertGreater(counts["cuts"], 5)
        return counts

    def test_with_history_all_is_received(self):
        counts = self.clean("--ids", "on", "--counts", "all", "--gaps", "none", PUSH_HISTORY_SIZE="1000")
        self.assertEqual(counts["expected"], counts["received"])
        self.assertGreater(counts["replayed"], 20)

    def test_with_little_history_all_is_received_or_told(self):
        counts = self.clean("--ids", "on", "--rate", "400", "--away", "1s", PUSH_HISTORY_SIZE="3")
        self.assertEqual(counts["expected"], counts["received"] + counts["told"])
        self.assertGreater(counts["told"], 20)

    def test_without_history_nothing_is_owed_to_who_is_away(self):
        counts = self.clean("--ids", "off")
        self.assertEqual(counts["expected"], counts["received"])
        self.assertEqual(counts["replayed"], 0)


class Following(unittest.TestCase):
    """Clients that open a new connection when they are asked to, and then close the old one."""

    QUICK = {"PUSH_RECONNECT_DITHER_MIN_DURATION": "900ms", "PUSH_RECONNECT_DITHER_MAX_DURATION": "1800ms",
             "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "800ms"}
    HOW = ("--ids", "off", "--stay", "0", "--overlap", "200ms", "--strict", "on", "--transports", "both")

    def test_nothing_is_missing_though_there_is_no_history(self):
        with Server(**self.QUICK) as server:
            code, counts, text = reconcile(server.port, *self.HOW, "--publishers", "both")
        self.assertEqual(code, 0, text)
        self.assertEqual(counts["expected"], counts["received"], text)
        self.assertGreater(counts["asked"], 10)
        self.assertGreater(counts["overlapped"], 10)

    def test_one_that_closes_first_has_a_hole_that_is_not_owed(self):
        with Server(**self.QUICK) as server:
            code, counts, text = reconcile(server.port, "--ids", "off", "--stay", "0", "--strict", "on")
        self.assertEqual(code, 0, text)
        self.assertEqual(counts["overlapped"], 0)

    def test_what_neither_connection_brings_is_noticed(self):
        def lie(data, payload, memory):
            number = re.search(rb'"message":"(\d+) ', payload)
            return [] if number and int(number[1]) % 10 == 9 and b" last" not in payload else [data]

        with Server(**self.QUICK) as server, Liar(server.port, lie) as liar:
            code, counts, text = reconcile(liar.port, *self.HOW, "--transports", "ws")
        self.assertEqual(code, 1, text)
        self.assertGreater(counts["silent"], 0)

    def test_a_server_that_dies_is_noticed(self):
        with Server(**self.QUICK) as server:
            timer = threading.Timer(1.2, os.kill, (server.worker(), 9))
            timer.start()
            code, counts, text = reconcile(server.port, *self.HOW)
            timer.join()
        self.assertEqual(code, 1, text)
        self.assertGreater(counts["abrupt"], 0)


class CannotRun(unittest.TestCase):
    def test_options_that_are_wrong_are_named(self):
        for options in (["--nonsense"], ["--clients"], ["--clients", "0"], ["--time", "soon"], ["--ids", "maybe"],
                        ["--target", "nowhere"], ["--channel-name", "a,b"],
                        ["--overlap", "1s"]):
            done = subprocess.run([RECONCILE, *options], capture_output=True, text=True, timeout=10, check=False)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(options[0], done.stderr)

    def test_a_server_that_is_not_there(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            done = subprocess.run([RECONCILE, "--target", "127.0.0.1:%d" % closed.getsockname()[1], "--settle", "500ms"],
                                  capture_output=True, text=True, timeout=10, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("not everybody could connect", done.stderr)

    def test_help_names_every_option(self):
        done = subprocess.run([RECONCILE, "--help"], capture_output=True, text=True, timeout=10, check=True)
        for option in ("target", "clients", "channels-max", "ids", "stay", "away", "rate", "time", "seed", "json"):
            self.assertIn("--" + option, done.stdout)


if __name__ == "__main__":
    RECONCILE = sys.argv.pop(1)
    unittest.main()
