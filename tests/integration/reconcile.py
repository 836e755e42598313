"""
Reconciles what was acknowledged with what arrived, while a test breaks things.

Publishers send numbers to channels of their own, one after another, each through the next node; clients that stay
connected throughout write down what comes.  At the end each acknowledged number must have reached each client of its
channel, or there was a `gap`: between the last number before it and the first one behind it, or after it was
acknowledged, so that who refetches then has it.  Nothing comes twice or out of order (unless exact=False).
"""

import http.client
import json
import threading
import time

from sseclient import EventStream
from wsclient import TEXT, WebSocket

GAP = object()
END = -1


class Publisher(threading.Thread):
    def __init__(self, nodes, channel, pause=0.002):
        super().__init__(daemon=True)
        self.nodes, self.channel, self.pause = nodes, channel, pause
        self.acknowledged, self.refused, self.uncertain = [], 0, 0
        self.longest = 0.0
        self.statuses = set()
        self.stopping = threading.Event()
        self.connections = [http.client.HTTPConnection("127.0.0.1", node.port, timeout=30) for node in nodes]

    def post(self, connection, number):
        connection.request("POST", "/messages", json.dumps({"channel": self.channel, "message": number}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def run(self):
        number = 0
        while not self.stopping.wait(self.pause):
            started = time.monotonic()
            status, body, headers = self.post(self.connections[number % len(self.connections)], number)
            self.longest = max(self.longest, time.monotonic() - started)
            self.statuses.add(status)
            if status == 202:
                self.acknowledged.append((number, time.monotonic()))
            else:
                assert status == 503 and int(headers["retry-after"]) >= 1, (status, body)
                self.refused += 1
                self.uncertain += b"may have been" in body
            number += 1

    def wait_for(self, count, seconds=30):
        """Until so many more were acknowledged."""
        wanted, end = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < end, f"only {len(self.acknowledged)} of {wanted} acknowledged"
            time.sleep(0.01)


class Listener(threading.Thread):
    """Reads a client's events until END comes in each of its channels."""

    def __init__(self, client, channels):
        super().__init__(daemon=True)
        self.client, self.left = client, set(channels)
        self.seen = {channel: [] for channel in channels}
        self.gaps, self.last_gap = 0, 0.0
        self.failure = None

    def one(self):
        if isinstance(self.client, WebSocket):
            got = self.client.next()
            assert got and got[0] == TEXT, f"disconnected: {got}"
            event = json.loads(got[1])
            return event["event"], event["data"]
        raw = self.client.next()
        assert raw, "disconnected"
        name, data = raw.decode().split("\n")[:2]
        return name.removeprefix("event:"), json.loads(data.removeprefix("data:"))

    def run(self):
        try:
            while self.left:
                name, data = self.one()
                if name == "gap":
                    self.gaps += 1
                    self.last_gap = time.monotonic()
                    for numbers in self.seen.values():
                        numbers.append(GAP)
                elif name == "message" and data["message"] == END:
                    self.left.discard(data["channel"])
                elif name == "message":
                    self.seen[data["channel"]].append(data["message"])
        except Exception as error:  # noqa: BLE001 - shown by the test's own thread
            self.failure = error


def check(acknowledged, seen, last_gap_time, who, exact):
    """Returns how many were missed with a gap."""
    numbers = [n for n in seen if n is not GAP]
    assert numbers == sorted(set(numbers)) or not exact, f"{who}: twice or out of order"
    received, missed = set(numbers), 0
    position = 0  # in seen: behind all that are smaller than the number looked at
    last_gap = -1
    for number, when in acknowledged:
        while position < len(seen) and (seen[position] is GAP or seen[position] < number):
            if seen[position] is GAP:
                last_gap = position
            elif seen[position] is not GAP:
                last_gap = -1
            position += 1
        if number in received:
            continue
        missed += 1
        assert last_gap >= 0 or last_gap_time > when, f"{who}: {number} was acknowledged and is lost without a gap"
    return missed


class Reconciliation:
    """
    with Reconciliation([one, two], channels=4) as load:
        load.settle(); break_something(); load.settle()

    On leaving everything is checked.  settle() waits until each publisher got 50 more acknowledged.
    """

    def __init__(self, nodes, channels=4, channel="load-%d", pause=0.002, exact=True):
        self.exact = exact
        names = [channel % i for i in range(channels)]
        self.nodes = nodes
        self.listeners = []
        for node in nodes:
            for name in names:
                self.listeners.append(Listener(self._first(WebSocket(node.port, name)), [name]))
            self.listeners.append(Listener(self._first(EventStream(node.port, ",".join(names))), names))
        self.publishers = [Publisher(nodes, name, pause) for name in names]

    @staticmethod
    def _first(client):
        """Past the first heartbeat."""
        assert client.read_frame() if isinstance(client, WebSocket) else client.raw()
        return client

    def settle(self, count=30, seconds=30):
        for publisher in self.publishers:
            publisher.wait_for(count, seconds)

    def __enter__(self):
        for thread in self.listeners + self.publishers:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        for publisher in self.publishers:
            publisher.stopping.set()
        for publisher in self.publishers:
            publisher.join(40)
        if kind:
            for listener in self.listeners:
                listener.client.close()
            return
        for publisher in self.publishers:
            end, status = time.monotonic() + 30, 0
            while status != 202 and time.monotonic() < end:
                status = publisher.post(publisher.connections[0], END)[0]
            assert status == 202
        self.missed = 0
        for listener in self.listeners:
            listener.join(30)
            assert not listener.failure, listener.failure
            assert not listener.is_alive(), f"the end has not come in {listener.left}"
            listener.client.close()
            for publisher in self.publishers:
                if publisher.channel in listener.seen:
                    self.missed += check(publisher.acknowledged, listener.seen[publisher.channel], listener.last_gap,
                                         publisher.channel, self.exact)

    @property
    def gaps(self):
        return [listener.gaps for listener in self.listeners]

    @property
    def refused(self):
        return sum(publisher.refused for publisher in self.publishers)

    @property
    def longest(self):
        """Seconds of the slowest publish."""
        return max(publisher.longest for publisher in self.publishers)
