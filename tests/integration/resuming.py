"""Clients that know their position: one interface for both transports, and for reading what each event brings."""

import json

from sseclient import EventStream
from wsclient import TEXT, WebSocket, frame


class SseReader:
    transport = "sse"

    def __init__(self, port, channels, last_id=None, header=True, more="", **options):
        headers = [f"Last-Event-ID: {last_id}"] if last_id is not None and header else []
        query = f"&last_event_id={last_id}" if last_id is not None and not header else ""
        self.stream = EventStream(port, f"{channels}{query}{more}", headers=headers, **options)
        assert self.stream.status == 200, self.stream.status
        self.id = None

    def next(self):
        """(event, data) of the next event, heartbeats left out; its id becomes self.id."""
        while True:
            raw = self.stream.raw()
            if raw is None:
                return None
            fields = dict(line.split(":", 1) for line in raw.decode().rstrip("\n").split("\n"))
            self.id = fields.get("id", self.id)
            if fields["event"] != "heartbeat":
                return fields["event"], json.loads(fields["data"])
            self.first = getattr(self, "first", fields)

    def position(self):
        """The id that the next heartbeat or message brings."""
        raw = self.stream.raw().decode()
        self.id = raw.split("\nid:", 1)[1].split("\n", 1)[0]
        return self.id

    def close(self):
        self.stream.close()


class WsReader:
    transport = "ws"

    def __init__(self, port, channels, last_id=None, header=True, more="", **options):
        query = f"&last_event_id={last_id}" if last_id is not None else ""
        self.socket = WebSocket(port, f"{channels}{query}{more}", **options)
        assert self.socket.status == 101, self.socket.status
        self.id = None

    def _event(self):
        while True:
            got = self.socket.read_frame()
            if got is None or got[0] == 8:
                return None
            if got[0] == TEXT:
                return json.loads(got[1])

    def next(self):
        while True:
            event = self._event()
            if event is None:
                return None
            name, data = event["event"], event["data"]
            self.id = data.get("id", self.id)
            if name == "ping":
                self.say("pong")
            elif name != "pong":
                return name, {k: v for k, v in data.items() if name != "message" or k != "id"}

    def position(self):
        return self.first_ping()["id"]

    def first_ping(self):
        data = self._event()["data"]
        self.id = data["id"]
        self.say("pong")
        return data

    def say(self, event, **data):
        self.socket.send(frame(TEXT, json.dumps({"event": event, "data": data})))

    def close(self):
        self.socket.close()


READERS = {"sse": SseReader, "ws": WsReader}


def message(channel, value):
    return "message", {"channel": channel, "message": value}


def gap(channel, missed="unknown"):
    return "gap", {"channel": channel, "missed": missed}


def resumed(replayed):
    return "resumed", {"replayed": replayed}



