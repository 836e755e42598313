"""An SSE client that shows the bytes of each event."""

import json

from http1 import Connection

HEARTBEAT = b"event:heartbeat\ndata:{}\n\n"
RECONNECT = b"event:reconnect\ndata:{}\n\n"


class EventStream(Connection):
    def __init__(self, port, channels=None, path="/sse/messages", headers=(), **options):
        super().__init__(port, **options)
        if channels is not None:
            path += f"?channels={channels}"
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: test", "Accept: text/event-stream", *headers])
                  + "\r\n\r\n")
        self.status, self.reason, self.headers = self.read_stream_head()

    def raw(self):
        """The bytes of the next event; None at the end of the stream."""
        try:
            return self.read_until(b"\n\n")
        except EOFError:
            return None

    def next(self):
        """The bytes of the next event that is no heartbeat."""
        event = HEARTBEAT
        while event == HEARTBEAT:
            event = self.raw()
        return event

    def message(self):
        event = self.next()
        assert event and event.startswith(b"event:message\ndata:"), event
        data = json.loads(event[len(b"event:message\ndata:"):])
        return data["channel"], data["message"]
