#!/usr/bin/env python3
"""Proves that pushload notices what it is there to notice.

usage: selftest.py PUSHLOAD [unittest's options]

Each test runs pushload against a server that breaks one promise, and compares what pushload reports with what
the server knows that it did.
"""

import atexit
import functools
import json
import ssl
import subprocess
import sys
import tempfile
import unittest

import fake_h2
import tls
from fake_server import FakeServer

PUSHLOAD = None

SUBSCRIBERS, CHANNELS, MESSAGES = 6, 2, 50
STREAMS = 4  # of an HTTP/2 connection: one is full, one is not
DELIVERIES = MESSAGES * SUBSCRIBERS // CHANNELS

# What a report counts that may not be there in a clean run.
COUNTS = ("failed", "lost", "duplicates", "out_of_order", "other_order", "damaged", "misrouted",
          "unknown_events", "error_events", "closed", "closed_announced", "reconnect_events",
          "refused", "unanswered", "wrong_counts", "reconnects", "gave_up", "skipped", "stalls")


@functools.cache
def certificate():
    folder = tempfile.TemporaryDirectory(prefix="push-bench-")
    atexit.register(folder.cleanup)
    return tls.make_certificate(folder.name)


def server_context(transport):
    """For FakeServer; None without TLS."""
    if not tls.is_secure(transport):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate())
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def run(port, *args, transport="ws"):
    """Returns pushload's exit code, its report (None if there is none) and what it said.

    --drain is what a test with losses waits in vain; all others end as soon as everything has come.
    """
    if transport == "redis":
        args = ("--publish-by", "redis", "--publish-body", "%m", *args)
    elif transport.startswith("h2"):
        args = ("--sse-path", fake_h2.PATH, "--streams", str(STREAMS), *args)
    done = subprocess.run(
        [PUSHLOAD, "--quiet", "--target", "127.0.0.1:%d" % port, "--transport", *tls.TRANSPORTS[transport],
         "--subscribers", str(SUBSCRIBERS), "--channels", str(CHANNELS), "--messages", str(MESSAGES),
         "--warm-up", "0", "--settle", "0", "--drain", "500ms", "--json", "-", *args],
        capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Case(unittest.TestCase):
    def expect(self, outcome, code, may_skip=False, **counts):
        """The outcome of run() has this code and these counts; all others are zero.  may_skip: at a fixed rate, a busy machine
        may leave messages out."""
        seen_code, report, text = outcome
        self.assertIsNotNone(report, text)
        seen = {**report["subscribers"], **report["publishers"]}
        if may_skip:
            seen["skipped"] = 0
        self.assertEqual({name: seen[name] for name in COUNTS if seen[name]},
                         {name: count for name, count in counts.items() if count}, text)
        self.assertEqual(seen_code, code, text)
        return report


class CleanServer(Case):
    """Nothing is found where nothing is wrong, whatever the server's habits."""

    def clean(self, *args, transport="ws", **habits):
        with FakeServer(tls=server_context(transport), **habits) as server:
            report = self.expect(run(server.port, *args, transport=transport), 0)
            self.assertEqual(report["subscribers"]["delivered"], DELIVERIES)
            self.assertEqual(report["published"], MESSAGES)
            self.assertEqual(report["latency_us"]["count"], DELIVERIES)
            return server, report

    def test_websocket_is_clean_and_its_pings_are_answered(self):
        server, report = self.clean()
        self.assertEqual(report["subscribers"]["pings"], SUBSCRIBERS)
        self.assertEqual((server.pongs, server.protocol_pongs), (SUBSCRIBERS, SUBSCRIBERS))

    def test_sse_is_clean_and_its_heartbeats_are_counted(self):
        _, report = self.clean(transport="sse")
        self.assertEqual(report["subscribers"]["heartbeats"], SUBSCRIBERS)

    def test_sse_with_crlf_comments_and_ids_is_clean(self):
        self.clean(transport="sse", crlf=True)

    def test_chunked_bodies_are_clean(self):
        self.clean(transport="sse", chunked=True, crlf=True)

    def test_tls_is_clean_and_each_handshake_is_a_full_one(self):
        for transport in ("tls-ws", "tls-sse"):
            for version in ("1.2", "1.3"):
                with self.subTest(transport, version=version):
                    _, report = self.clean("--tls-version", version, "--size", "20000", transport=transport)
                    self.assertIn("TLSv" + version, report["tls"]["name"])
                    self.assertEqual((report["tls"]["handshakes"], report["tls"]["resumed"]), (SUBSCRIBERS + 1, 0))

    def test_sessions_are_resumed_on_demand(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version):
                _, report = self.clean("--tls-version", version, "--tls-resume", "--connecting", "1", transport="tls-ws")
                self.assertEqual((report["tls"]["handshakes"], report["tls"]["resumed"]), (SUBSCRIBERS + 1, SUBSCRIBERS))

    def test_a_certificate_is_verified_on_demand(self):
        self.clean("--ca", certificate()[0], transport="tls-ws")
        self.clean("--ca", certificate()[0], transport="h2-sse")

    def test_streams_share_a_connection(self):
        _, report = self.clean(transport="h2-sse")
        self.assertEqual(report["tls"]["handshakes"], 2 + 1)  # 6 streams, 4 in one; a publisher
        self.assertEqual(report["subscribers"]["heartbeats"], SUBSCRIBERS)
        self.clean("--size", "40000", "--publishers", "3", "--header", "X-Name: value", transport="h2c-sse")

    def test_redis_is_clean_with_pipelines_and_in_pieces(self):
        self.clean(transport="redis")
        self.clean("--publishers", "3", "--pipeline", "5", "--size", "5000", transport="redis")
        self.clean(transport="redis", dribble=True)

    def test_a_count_of_subscribers_in_words_is_understood(self):
        self.clean(count_format=b"queued messages: 0\r\nactive subscribers: %d\r\n")

    def test_fragmented_frames_are_clean(self):
        self.clean(fragment=True)

    def test_one_byte_at_a_time_is_clean(self):
        self.clean(dribble=True, fragment=True)
        self.clean(transport="sse", dribble=True, chunked=True, crlf=True)
        self.clean(transport="tls-ws", dribble=True)
        self.clean(transport="h2c-sse", dribble=True)

    def test_with_a_greeting_nothing_is_due_before_it(self):
        for transport in ("ws", "sse", "h2c-sse"):
            with self.subTest(transport=transport):
                _, report = self.clean("--greeting", transport=transport, greets_after_s=0.05)
                self.assertEqual(report["subscribers"]["opened"], SUBSCRIBERS)

    def test_percent_signs_in_a_path_are_characters(self):
        self.clean("--ws-path", "/ws/messages?x=" + 20 * "%%22" + "&channels=%c")

    def test_several_events_in_one_frame_are_all_taken(self):
        _, report = self.clean(joins=True)
        self.assertEqual(report["subscribers"]["pings"], 2 * SUBSCRIBERS + DELIVERIES)

    def test_every_way_of_pacing_is_clean(self):
        for args in (("--window", "1"), ("--publishers", "4"), ("--pipeline", "5"),
                     ("--publishers", "5", "--burst", "5", "--window", "2"), ("--publishers", "5", "--burst", "5"),
                     ("--rate", "500"), ("--lazy-us", "2000"), ("--size", "20000"), ("--connect-rate", "100")):
            with self.subTest(args):
                self.clean(*args)

    def test_a_crowd_leaves_arrives_or_stalls_and_nothing_is_lost(self):
        for transport, act in (("ws", "leaves"), ("ws", "arrives"), ("ws", "stalls"), ("tls-ws", "arrives"), ("h2-sse", "stalls")):
            with self.subTest(act, transport=transport), FakeServer(tls=server_context(transport)) as server:
                report = self.expect(run(server.port, "--messages", "0", "--rate", "100", "--time", "400ms", "--crowd", "20",
                                         "--crowd-act", act, transport=transport), 0, may_skip=True)
                self.assertGreater(report["latency_before_us"]["count"], 0)
                self.assertGreater(report["latency_us"]["count"], 0)
                self.assertEqual(report["crowd"]["opened"], 20)
                self.assertEqual(report["crowd"]["lost"], 0)
                if act == "stalls":
                    self.assertEqual(report["crowd"]["delivered"], 10 * report["publishers"]["sent"])

    def test_an_announced_close_is_no_fault_and_reconnect_comes_back(self):
        with FakeServer(fault="announce", every=20) as server:
            outcome = run(server.port, "--reconnect", "--rate", "500")
            report = self.expect(outcome, 0, closed=SUBSCRIBERS, closed_announced=SUBSCRIBERS,
                                 reconnect_events=SUBSCRIBERS)
            self.assertEqual(server.injected["announced"], SUBSCRIBERS)
            self.assertEqual(report["subscribers"]["opened"], 2 * SUBSCRIBERS)
            self.assertEqual(report["subscribers"]["closed_by"], {"1001 going away": SUBSCRIBERS})

    def test_a_publisher_whose_connection_was_closed_connects_again(self):
        with FakeServer(fault="close after", every=10) as server:
            self.expect(run(server.port), 0, reconnects=MESSAGES // 10)
            self.assertEqual(server.injected["reconnects"], MESSAGES // 10)


class FaultyServer(Case):
    """What is wrong is found, all of it and nothing else, on both transports."""

    def faulty(self, fault, every, args=(), counted=None, transports=("ws", "sse", "redis")):
        """`counted`: from what the server did to what pushload has to count."""
        for transport in transports:
            with self.subTest(transport=transport), FakeServer(fault=fault, every=every, tls=server_context(transport)) as server:
                outcome = run(server.port, *args, transport=transport)
                self.assertTrue(any(server.injected.values()), "nothing went wrong")
                self.expect(outcome, 1, **(counted(server.injected) if counted else server.injected))

    def test_losses_in_the_middle_and_at_the_end_are_found(self):
        self.faulty("lose", 5, transports=("ws", "sse", "redis", "tls-ws", "h2-sse"))

    def test_losses_do_not_hang_a_window(self):
        self.faulty("lose", 20, ("--window", "1"), lambda did: {**did, "stalls": 2})

    def test_duplicates_are_found(self):
        self.faulty("duplicate", 5)

    def test_swapped_messages_are_found(self):
        self.faulty("swap", 6, (), lambda did: {"out_of_order": did["late"]})

    def test_another_order_for_another_subscriber_is_found(self):
        self.faulty("reorder", 1, ("--channels", "1", "--publishers", "2", "--burst", "2", "--window", "1"))

    def test_damaged_messages_are_found(self):
        self.faulty("damage", 5, (), lambda did: {**did, "lost": did["damaged"]})

    def test_messages_on_the_wrong_channel_are_found(self):
        self.faulty("misroute", 5, (), lambda did: {**did, "lost": did["misrouted"]})

    def test_connections_closed_without_notice_are_found(self):
        self.faulty("close", 20, transports=("ws", "sse", "redis", "h2c-sse"))

    def test_refused_publishes_are_found_and_not_taken_for_losses(self):
        self.faulty("refuse", 10)

    def test_publishes_without_an_answer_are_found(self):
        self.faulty("hang up", 10, (), lambda did: {**did, "reconnects": did["unanswered"],
                                                    "lost": did["unanswered"] * SUBSCRIBERS // CHANNELS})

    def test_a_wrong_count_of_subscribers_is_found(self):
        self.faulty("miscount", 10)

    def test_a_wrong_count_in_words_is_found(self):
        with FakeServer(fault="miscount", every=10, count_format=b"active subscribers: %d\r\n") as server:
            self.expect(run(server.port), 1, wrong_counts=MESSAGES // 10)

    def test_a_refused_subscription_to_redis_is_told_with_what_it_said(self):
        with FakeServer(fault="no upgrade") as server:
            code, report, text = run(server.port, transport="redis")
        self.assertEqual((code, report), (2, None))
        self.assertIn("NOPERM not you", text)

    def test_a_connection_that_ends_before_its_greeting_has_failed(self):
        with FakeServer(fault="no greeting") as server:
            code, report, text = run(server.port, "--greeting")
        self.assertEqual((code, report), (2, None))
        self.assertIn("no subscriber could connect", text)

    def test_a_refused_stream_is_told_with_its_status(self):
        with FakeServer(fault="no upgrade") as server:
            code, report, text = run(server.port, transport="h2c-sse")
        self.assertEqual((code, report), (2, None))
        self.assertIn("the event stream was refused: HTTP/2 400", text)

    def test_a_foreign_certificate_and_a_server_without_http2_are_told(self):
        with FakeServer(tls=server_context("tls-ws")) as server, tempfile.TemporaryDirectory() as folder:
            outcome = run(server.port, "--ca", tls.make_certificate(folder)[0], transport="tls-ws")
        self.assertIn("self-signed certificate", outcome[2])
        context = server_context("tls-ws")
        context.set_alpn_protocols(["http/1.1"])
        with FakeServer(tls=context) as server:
            self.assertIn("the server has not chosen h2", run(server.port, transport="h2-sse")[2])

    def test_a_refused_handshake_is_told_with_what_the_server_said(self):
        with FakeServer(fault="no upgrade") as server:
            code, report, text = run(server.port)
        self.assertEqual((code, report), (2, None))
        self.assertIn("400 Bad Request", text)
        self.assertIn('{"error":"no"}', text)


class CommandLine(Case):
    def test_nobody_there_is_told(self):
        with FakeServer() as server:
            port = server.port
        code, _, text = run(port)
        self.assertEqual(code, 2)
        self.assertIn("Connection refused", text)

    def test_help_names_every_option_that_is_taken(self):
        text = subprocess.run([PUSHLOAD, "--help"], capture_output=True, text=True, check=True).stdout
        for name in ("--preset", "--target", "--json", "--lazy-us", "--window", "--burst", "--crowd-act"):
            self.assertIn(name, text)

    def test_bad_options_name_option_and_value(self):
        for args, words in ((("--size", "3"), ("size", "3", "40")), (("--rate", "x"), ("rate", "x")),
                            (("--nonsense",), ("--nonsense",)), (("--preset", "x"), ("--preset", "x")),
                            (("--time", "5h"), ("time", "5h")), (("--ws-path", "/%z"), ("ws-path", "%z")),
                            (("--transport", "tcp"), ("transport", "tcp", "ws|sse|h2|redis")), (("--json",), ("--json",)),
                            (("--server-pid", "1,x"), ("--server-pid", "1,x")),
                            (("--target", "nowhere"), ("--target", "nowhere", "HOST:PORT")),
                            (("--target", "https://nowhere"), ("--target", "https://nowhere", "HOST:PORT")),
                            (("--tls", "--transport", "redis"), ("--tls", "--transport redis")),
                            (("--tls", "--ca", "/nowhere"), ("--ca", "/nowhere", "certificate"))):
            with self.subTest(args):
                done = subprocess.run([PUSHLOAD, *args], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                for word in words:
                    self.assertIn(word, done.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    PUSHLOAD = sys.argv.pop(1)
    unittest.main()
