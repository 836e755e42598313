"""What the tests with Redis do with Push itself: impatient nodes, clients that miss nothing, readiness."""

import re

from http1 import get
from server import SOURCE, Server
from sseclient import EventStream
from wsclient import PONG, WebSocket, frame

IMPATIENT = {"PUSH_REDIS_TIMEOUT": "2s", "PUSH_REDIS_PUBLISH_WAIT": "300ms", "PUSH_DRAIN_DURATION": "100ms",
             "PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION": "1s"}


def node(url, **more):
    return Server(**{**IMPATIENT, "PUSH_REDIS_URL": url, **more})


def rights(*cases):
    """What docs/redis.md gives Push's user in Redis, and adds in these cases of its table."""
    page = (SOURCE / "docs/redis.md").read_text()
    words = re.search(r"^ACL SETUSER push on >PASSWORD (.*)$", page, re.M)[1]
    table = re.findall(r"^\| `(\+.*)` \| (.*) \|$", page, re.M)
    assert all(any(case in when for _, when in table) for case in cases)
    added = (more.replace("\\|", "|") for more, when in table if any(case in when for case in cases))
    return " ".join([words, *added]).split()


def two(url, **more):
    return node(url, **more), node(url, **more)


def ws(server, channels):
    """Past its first heartbeat, which says that it misses nothing from now on; for 30 s it need not read."""
    client = WebSocket(server.port, channels)
    assert client.read_frame()[1]
    # what the ping brings: lws drops a pong without payload, and the client would be closed after the grace period
    return client.send(frame(PONG, "push"))


def sse(server, channels):
    client = EventStream(server.port, channels)
    assert client.raw() == b"event:heartbeat\ndata:{}\n\n"
    return client


def readiness(server):
    return get(server.management, "/actuator/health/readiness").status
