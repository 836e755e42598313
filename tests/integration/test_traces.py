"""Traces: which publishes are traced, what their spans say, and that no collector can do harm."""

import json
import os
import socket
import threading
import time

import pytest

from collector import Collector
from h2client import make_certificate
from http1 import Connection, get, post, publish, request
from ports import free_port
from server import DIRECT, Server
from sseclient import EventStream
from wsclient import TEXT, WebSocket, frame

FAST = {"PUSH_DRAIN_DURATION": "100ms", "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "500ms"}
SERVER, CONSUMER = 2, 5
PARENT = "00f067aa0ba902b7"


def new_trace():
    return os.urandom(16).hex()


def parent_of(trace, flags="01", version="00"):
    return f"{version}-{trace}-{PARENT}-{flags}"


def header(value):
    return {"headers": [f"traceparent: {value}"]}


def send(server, body, *headers, path="/messages", **more):
    text = body if isinstance(body, str) else json.dumps(body)
    return request(server.port, post(text, list(headers), path=path, **more))


@pytest.fixture(scope="module")
def collector():
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector):
    """A server that traces what it is asked to and nothing else."""
    with Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="0", PUSH_WS_PUBLISH="on", **FAST) as running:
        yield running


def test_a_sampled_publish_has_a_span_and_one_for_all_deliveries(collector, traced):
    trace = new_trace()
    streams = [EventStream(traced.port, "seen") for _ in range(3)] + [WebSocket(traced.port, "seen")]
    for stream in streams:
        assert stream.raw() if isinstance(stream, EventStream) else stream.read_frame()
    before = time.time_ns()
    answer = send(traced, {"channel": "seen", "message": "hello"}, "traceparent: " + parent_of(trace))
    assert (answer.status, answer.json) == (202, {"subscribers": 4})
    deliver, publish_ = collector.of(trace, 2)
    assert (publish_.name, publish_.kind, publish_.parent) == ("publish seen", SERVER, PARENT)
    assert (deliver.name, deliver.kind, deliver.parent) == ("deliver seen", CONSUMER, publish_.id)
    assert publish_.attributes == {
        "messaging.system": "push", "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": "seen", "messaging.message.body.size": 7, "push.subscribers": 4,
        "http.response.status_code": 202}
    assert deliver.attributes["push.subscribers"] == deliver.attributes["push.written"] == 4
    assert deliver.attributes["push.subscribers.sse"] == 3 and deliver.attributes["push.subscribers.ws"] == 1
    assert deliver.attributes["push.queued_bytes"] > 4 * 40 and deliver.attributes["push.dropped"] == 0
    assert before <= publish_.start <= deliver.start <= deliver.end <= time.time_ns()
    assert publish_.start <= publish_.end
    assert publish_.resource["service.name"] == "push" and publish_.resource["service.instance.id"]
    for stream in streams:
        stream.close()


def test_without_subscribers_there_is_nothing_delivered(collector, traced):
    trace = new_trace()
    send(traced, {"channel": "nobody", "message": 1}, "traceparent: " + parent_of(trace))
    collector.of(trace, 1)


@pytest.mark.parametrize("value", [
    parent_of("11" * 16, flags="00"),           # not sampled
    parent_of("22" * 16, flags="02"),           # random, and not sampled
    parent_of("00" * 16),                       # no trace
    parent_of("33" * 16, version="ff"),         # no version
    parent_of("44" * 16) + "-x",                # 00 ends there
    parent_of("AB" * 16),                       # capitals
    "nonsense", "",
])
def test_what_is_not_sampled_or_not_right_is_published_without_a_span(collector, traced, value):
    count = len(collector.spans)
    answer = send(traced, {"channel": "quiet", "message": 1}, "traceparent: " + value)
    assert answer.status == 202
    trace = new_trace()
    send(traced, {"channel": "loud", "message": 1}, "traceparent: " + parent_of(trace))
    collector.of(trace, 1)
    assert len(collector.spans) == count + 1


def test_a_later_version_is_read_as_far_as_it_is_known(collector, traced):
    trace = new_trace()
    send(traced, {"channel": "later", "message": 1}, "traceparent: " + parent_of(trace, version="cc") + "-what.ever")
    collector.of(trace, 1)


def test_each_message_of_a_batch_has_a_span_and_may_have_its_own_trace(collector, traced):
    trace, own = new_trace(), new_trace()
    body = [{"channel": "b1", "message": 1}, {"channel": "b2", "message": 2, "traceparent": parent_of(own)},
            {"channel": "b3"}, {"channels": ["b4", "b5"], "message": 4, "traceparent": 17}]
    answer = send(traced, body, "traceparent: " + parent_of(trace))
    assert [part.get("status", 202) for part in answer.json] == [202, 202, 400, 202]
    first, second, third = sorted(collector.of(trace, 3), key=lambda span: span.attributes["http.response.status_code"])
    assert {first.name, second.name} == {"publish b1", "publish b4"}
    assert {first.attributes.get("push.channels"), second.attributes.get("push.channels")} == {None, 2}
    assert (third.name, third.attributes["error.type"]) == ("publish", "400")
    assert "status" not in third.raw  # of a server's span that is the caller's error
    assert collector.of(own, 1)[0].name == "publish b2"


def test_each_line_has_a_span(collector, traced):
    trace = new_trace()
    lines = "".join(json.dumps({"channel": f"l{i}", "message": i}) + "\n" for i in range(20))
    answer = request(traced.port, post(lines, ["traceparent: " + parent_of(trace)], content_type="application/x-ndjson",
                                       path="/messages")) if not DIRECT else None
    if DIRECT:
        with Connection(traced.port) as connection:
            connection.send(post(lines, ["traceparent: " + parent_of(trace)], content_type="application/x-ndjson"))
            connection.read_until(b"0\r\n\r\n")
    else:
        assert answer.status == 202
    assert {span.name for span in collector.of(trace, 20)} == {f"publish l{i}" for i in range(20)}


def test_a_chunked_body_and_one_that_comes_late_keep_their_trace(collector, traced):
    trace = new_trace()
    data = post('{"channel":"late","message":1}', ["traceparent: " + parent_of(trace)])
    with Connection(traced.port) as connection:
        connection.send(data[:-5])
        time.sleep(0.1)
        assert connection.send(data[-5:]).read_answer().status == 202
        connection.send(post('{"channel":"late","message":1}'))  # the next request is not of that trace
        assert connection.read_answer().status == 202
    collector.of(trace, 1)


def test_a_websocket_client_names_its_trace(collector, traced):
    trace = new_trace()
    with WebSocket(traced.port, "wire") as client:
        client.read_frame()
        said = {"event": "publish", "data": {"channel": "wire", "message": 1, "traceparent": parent_of(trace)}}
        client.send(frame(TEXT, json.dumps(said).encode()))
        deliver, publish_ = collector.of(trace, 2)
    assert deliver.parent == publish_.id and publish_.parent == PARENT


def test_who_waits_has_a_span_until_all_is_written(collector, traced):
    trace = new_trace()
    stream = EventStream(traced.port, "waits")
    stream.raw()
    answer = send(traced, {"channel": "waits", "message": 1}, "traceparent: " + parent_of(trace),
                  path="/messages?wait=written")
    assert answer.json == {"subscribers": 1, "written": 1}
    deliver, publish_ = collector.of(trace, 2)
    assert publish_.attributes["push.written"] == 1 and publish_.end >= deliver.start
    assert "push.written" not in deliver.attributes
    stream.close()


def test_what_clients_get_is_the_same_and_names_are_escaped(collector, traced):
    trace, name = new_trace(), 'a"b\\ü'
    with WebSocket(traced.port, "a%22b%5C%C3%BC") as client:
        client.read_frame()
        send(traced, {"channel": name, "message": {"a": "\n"}}, "traceparent: " + parent_of(trace))
        assert client.message() == (name, {"a": "\n"})
    assert [span.name for span in collector.of(trace, 2)] == ["deliver " + name, "publish " + name]


def test_a_preflight_allows_the_headers_that_browser_agents_add(traced):
    for path in ("/messages", "/sse/messages"):
        answer = get(traced.port, path, "OPTIONS", ["Origin: http://a", "Access-Control-Request-Method: POST"])
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert {"traceparent", "tracestate", "baggage"} <= set(allowed)


def test_the_ratio_draws_of_those_without_a_traceparent(collector):
    with Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="0.5", PUSH_TRACE_SERVICE="drawn", **FAST) as server:
        with Connection(server.port) as connection:
            for i in range(400):
                connection.send(post(json.dumps({"channel": "drawn", "message": i})))
                assert connection.read_answer().status == 202
    spans = [span for span in collector.spans if span.resource["service.name"] == "drawn"]
    assert 120 < len(spans) < 280  # eight standard deviations
    assert len({span.trace for span in spans}) == len(spans) == len({span.id for span in spans})
    assert all(span.parent is None and span.raw["flags"] == 3 for span in spans)


def test_the_last_spans_are_sent_before_the_end(collector):
    trace = new_trace()
    with Server(PUSH_TRACE_URL=collector.url, **FAST) as server:
        publish(server.port, "x", 1)
        send(server, {"channel": "end", "message": 1}, "traceparent: " + parent_of(trace))
    collector.of(trace, 1)


def test_off_there_is_nothing(collector):
    count = len(collector.requests)
    with Server(**FAST) as server:
        before = len(os.listdir(f"/proc/{server.worker()}/fd"))
        assert send(server, {"channel": "off", "message": 1}, "traceparent: " + parent_of(new_trace())).status == 202
        # an agent adds them whether or not the server traces
        answer = get(server.port, "/messages", "OPTIONS", ["Origin: http://a"])
        assert "traceparent" in answer.headers["access-control-allow-headers"]
        assert server.metric('push_trace_spans_total{result="dropped"}') == 0
        assert len(os.listdir(f"/proc/{server.worker()}/fd")) <= before + 2
    assert len(collector.requests) == count


# --- collectors that are no good ---

def exported(server):
    return {result: server.metric(f'push_trace_spans_total{{result="{result}"}}')
            for result in ("exported", "dropped", "failed")}


def spans_of(server, count, channel="x"):
    with Connection(server.port) as connection:
        for i in range(count):
            connection.send(post(json.dumps({"channel": channel, "message": i})))
            start = time.monotonic()
            assert connection.read_answer().status == 202
            assert time.monotonic() - start < 2


def test_a_busy_collector_is_asked_again_when_it_says_so():
    answers = [(503, {"Retry-After": "1"}, b"busy"), (429, {}, b""), (200, {}, b"{}")]
    with Collector(lambda number: answers[min(number, 2)]) as collector, \
            Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", **FAST) as server:
        spans_of(server, 3)
        collector.wait(3)
        assert len({body for _, _, body in collector.requests}) == 1 and len(collector.requests) == 3
        server.wait_metric('push_trace_spans_total{result="exported"}', 3)
        server.process.wait_for("does not accept spans: it answers with status 503")
        server.process.wait_for("accepts spans")
        assert server.process.output().count("accepts spans") == 1


def test_what_a_collector_refuses_has_failed_and_is_not_sent_again():
    with Collector((400, {}, b"no")) as collector, \
            Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", **FAST) as server:
        spans_of(server, 2)
        server.wait_metric('push_trace_spans_total{result="failed"}', 2)
        assert len(collector.requests) == 1


def test_what_a_collector_takes_in_part_is_counted():
    body = b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}'
    with Collector((200, {}, body)) as collector, \
            Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", **FAST) as server:
        spans_of(server, 5)
        server.wait_metric('push_trace_spans_total{result="failed"}', 2)
        assert exported(server) == {"exported": 3, "failed": 2, "dropped": 0}


def test_a_collector_is_reached_over_tls_if_the_system_trusts_it(tmp_path):
    certificate = make_certificate(tmp_path)
    with Collector(certificate=certificate) as collector:
        with Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", SSL_CERT_FILE=str(certificate[0]),
                    **FAST) as server:
            spans_of(server, 2)
            server.wait_metric('push_trace_spans_total{result="exported"}', 2)
        with Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", **FAST) as server:
            spans_of(server, 1)
            server.process.wait_for("does not accept spans: .*certificate")
        assert len(collector.requests) == 1


def test_a_body_of_ten_megabytes_is_not_read_to_its_end():
    with Collector((200, {}, b" " * (10 << 20))) as collector, \
            Server(PUSH_TRACE_URL=collector.url, PUSH_TRACE_RATIO="1", **FAST) as server:
        spans_of(server, 2)
        server.wait_metric('push_trace_spans_total{result="exported"}', 2)
        spans_of(server, 2)
        server.wait_metric('push_trace_spans_total{result="exported"}', 4)


@pytest.mark.parametrize("says", [b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200", b"", None, "refuses", "no such name"])
def test_a_dead_or_mad_collector_is_said_once_and_costs_nobody_anything(says):
    """None: it accepts and says nothing, for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
        if says == "no such name":
            url = "http://no-such-host.invalid:4318/v1/traces"
        elif says != "refuses":
            listener.listen(50)
            listener.settimeout(0.2)
        over, kept = threading.Event(), []

        def serve():
            while not over.is_set():
                try:
                    client = listener.accept()[0]
                except OSError:
                    continue
                kept.append(client)
                if says is not None:
                    client.recv(65536)
                    client.sendall(says)
                    client.close()

        if isinstance(says, bytes) or says is None:
            threading.Thread(target=serve, daemon=True).start()
        with Server(PUSH_TRACE_URL=url, PUSH_TRACE_RATIO="1", **FAST) as server:
            with WebSocket(server.port, "x") as client:
                client.read_frame()
                for i in range(30):
                    assert publish(server.port, "x", i).json == {"subscribers": 1}
                    assert client.message() == ("x", i)
                if says is not None:
                    server.process.wait_for("does not accept spans")
            start = time.monotonic()
            server.stop()
            assert time.monotonic() - start < 6
            assert server.process.output().count("does not accept spans") <= 1
        over.set()


def test_what_does_not_fit_is_dropped_and_counted():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Server(PUSH_TRACE_URL=f"http://127.0.0.1:{closed.getsockname()[1]}/", PUSH_TRACE_RATIO="1",
                    **FAST) as server:
            for _ in range(12):
                assert send(server, [{"channel": "x", "message": i} for i in range(1000)]).status == 202
            assert 3000 < exported(server)["dropped"] < 9000


def test_what_publishers_ask_for_is_limited(collector, traced):
    before = exported(traced)["dropped"]
    trace = new_trace()
    body = [{"channel": "flood", "message": i} for i in range(1000)]
    for _ in range(4):
        assert send(traced, body, "traceparent: " + parent_of(trace)).status == 202
    assert exported(traced)["dropped"] - before > 1500
    time.sleep(1)  # the bucket fills again, for tests that follow


@pytest.mark.parametrize("options,words", [
    ({"PUSH_TRACE_URL": "http://u:secret@c:4318/"}, "push.trace.url=...@...: a user and a password"),
    ({"PUSH_TRACE_URL": "http://c:0/"}, "the port must be from 1 to 65535"),
    ({"PUSH_TRACE_URL": "http://c/a b"}, "must be percent-encoded"),
    ({"PUSH_TRACE_RATIO": "1.5"}, "PUSH_TRACE_RATIO=1.5: not a share from 0 to 1"),
])
def test_a_wrong_option_stops_the_start(options, words):
    server = Server(wait=False, **options)
    try:
        assert server.process.wait() != 0
        assert words in server.process.output() and "secret" not in server.process.output()
    finally:
        server.process.kill()


def test_a_url_of_a_free_port_costs_no_start():
    with Server(PUSH_TRACE_URL=f"http://[::1]:{free_port()}", PUSH_TRACE_RATIO="1", **FAST) as server:
        assert publish(server.port, "x", 1).status == 202
