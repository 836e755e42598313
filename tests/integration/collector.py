"""A collector of OTLP/HTTP's spans that keeps what it is sent, and can be made to behave badly."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Span:
    def __init__(self, span, resource):
        self.trace, self.id, self.parent = span["traceId"], span["spanId"], span.get("parentSpanId")
        self.name, self.kind, self.raw, self.resource = span["name"], span["kind"], span, resource
        self.attributes = attributes(span["attributes"])
        self.start, self.end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])

    def __repr__(self):
        return f"{self.name} {self.trace} {self.id} <{self.parent} {self.attributes}"


def attributes(pairs):
    found = {}
    for pair in pairs:
        (kind, value), = pair["value"].items()
        assert kind in ("stringValue", "intValue") and isinstance(value, str), pair
        assert pair["key"] not in found, pair
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


class Collector:
    """
    with Collector() as collector: ... Server(PUSH_TRACE_URL=collector.url)

    answer: (status, headers, body) of every request, or a function of its number, from 0 on.
    """

    def __init__(self, answer=(200, {}, b"{}"), port=0, certificate=None):
        self.answer = answer if callable(answer) else lambda number: answer
        self.spans, self.requests, self.refused = [], [], []
        self.lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.take(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{self.port}/v1/traces"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.lock:
            number = len(self.requests)
            self.requests.append((handler.path, dict(handler.headers), body))
        status, headers, text = self.answer(number)
        with self.lock:
            (self.spans if status == 200 else self.refused).extend(read(body))
        handler.send_response(status)
        for name, value in {"Content-Length": len(text), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            handler.wfile.write(text)
        except OSError:
            pass  # who has read enough may close

    def wait(self, count, seconds=30, where=lambda span: True):
        """Until there are so many spans, of those that are meant; returns these."""
        end = time.monotonic() + seconds
        while True:
            with self.lock:
                found = [span for span in self.spans if where(span)]
            if len(found) >= count or time.monotonic() > end:
                break
            time.sleep(0.02)
        assert len(found) == count, found
        return found

    def of(self, trace, count):
        """The spans of a trace, by name."""
        spans = self.wait(count, where=lambda span: span.trace == trace)
        return sorted(spans, key=lambda span: (span.name, span.start))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def read(body):
    document = json.loads(body)
    for group in document["resourceSpans"]:
        resource = attributes(group["resource"]["attributes"])
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                yield Span(span, resource)
