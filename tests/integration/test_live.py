"""Channels that come and go while the client is open, on both transports."""

import itertools
import json
import re
import ssl

import pytest

from h2client import H2, make_certificate
from http1 import Connection, get, post, publish, request
from redis_servers import RedisServer
from resuming import WsReader, gap, message, resumed
from ports import free_port
from server import Server
from sseclient import HEARTBEAT, EventStream
from test_http2 import VHOST
from wsclient import TEXT, WebSocket, frame

names = (f"live-{i}" for i in itertools.count())


def subscribed(channel, **more):
    return "subscribed", {"channel": channel, **more}


def unsubscribed(channel, **more):
    return "unsubscribed", {"channel": channel, **more}


@pytest.fixture
def room():
    return next(names)


@pytest.fixture
def other():
    return next(names)


@pytest.fixture(scope="module")
def kept():
    """With history of all channels but some."""
    with Server(PUSH_HISTORY_SIZE=20, PUSH_HISTORY_RULES="off:=0 short:=2",
                PUSH_RECONNECT_DITHER_MIN_DURATION="1h", PUSH_RECONNECT_DITHER_MAX_DURATION="1h") as running:
        yield running


@pytest.fixture
def ws(server):
    opened = []

    def come(channels, port=None):
        opened.append(WsReader(port or server.port, channels))
        return opened[-1]

    yield come
    for client in opened:
        client.close()


def test_a_websocket_subscribes_and_unsubscribes_while_it_is_open(server, ws, room, other):
    client = ws(room)
    client.say("subscribe", channels=[other], ref="x")
    assert client.next() == subscribed(other, ref="x")
    assert publish(server.port, other, 1).json == {"subscribers": 1}
    assert client.next() == message(other, 1)
    client.say("unsubscribe", channels=[other, room], ref=7)
    assert [client.next(), client.next()] == [unsubscribed(other, ref=7), unsubscribed(room, ref=7)]
    for channel in room, other:
        assert publish(server.port, channel, 2).json == {"subscribers": 0}
    client.say("ping")
    client.say("subscribe", channels=[room])
    assert client.next() == subscribed(room)


def test_each_bad_name_has_an_error_of_its_own(server, ws, room, other):
    client = ws(room)
    client.say("subscribe", channels=["", other, "a\u0000b", "n" * 256])
    answers = [client.next() for _ in range(4)]
    assert [(event, data["channel"]) for event, data in answers] == [
        ("error", ""), ("subscribed", other), ("error", "a\u0000b"), ("error", "n" * 256)]
    assert ["empty", "control", "256 bytes"] == [
        next(word for word in ("empty", "control", "256 bytes") if word in data["error"])
        for event, data in answers if event == "error"]


def test_no_more_channels_than_push_channels_max(ws, room):
    with Server(PUSH_CHANNELS_MAX=2) as small:
        client = ws(room, small.port)
        client.say("subscribe", channels=["b", "c"])
        assert client.next() == subscribed("b")
        event, data = client.next()
        assert (event, data["channel"]) == ("error", "c") and "over the 2 allowed" in data["error"]
        client.say("unsubscribe", channels=[room])
        client.say("subscribe", channels=["c"])
        assert [client.next(), client.next()] == [unsubscribed(room), subscribed("c")]
        client.close()


@pytest.mark.parametrize("data", [None, {}, {"channels": "a"}, {"channels": [1]}, {"channels": ["a"], "ref": {}}])
def test_what_is_no_request_is_an_error_and_the_connection_stays(ws, room, data):
    client = ws(room)
    client.socket.send(frame(TEXT, json.dumps({"event": "subscribe", "data": data})))
    event, answer = client.next()
    assert event == "error" and answer["error"]
    client.say("subscribe", channels=["still"])
    assert client.next() == subscribed("still")


def test_a_websocket_without_channels_is_refused_as_ever(server):
    with WebSocket(server.port) as client:
        assert client.event() == {"error": "'channels' query parameter required"}
        assert client.close_code() == 1008


def test_a_flood_of_changes_disturbs_nobody_else(server, ws, room, other):
    flooder, client = ws(room), ws(other)
    data = frame(TEXT, json.dumps({"event": "subscribe", "data": {"channels": ["x", "y"]}})) + \
        frame(TEXT, json.dumps({"event": "unsubscribe", "data": {"channels": ["x", "y"]}}))
    flooder.socket.send(data * 500)
    publish(server.port, other, 1)
    assert client.next() == message(other, 1)
    assert sum(flooder.next()[0] == "unsubscribed" for _ in range(2000)) == 1000


def test_the_position_of_subscribed_is_one_to_come_back_with(kept, ws, room, other):
    client = ws(room, kept.port)
    client.position()
    kept.publish(other, "before")
    client.say("subscribe", channels=[other])
    event, data = client.next()
    assert event == "subscribed" and data["id"] == client.id
    client.close()
    kept.publish(other, "between")
    again = WsReader(kept.port, f"{room},{other}", data["id"])
    assert [again.next(), again.next()] == [message(other, "between"), resumed(1)]
    again.close()


def test_with_an_id_what_came_since_is_replayed_and_then_it_goes_on(kept, ws, room, other):
    client = ws(room, kept.port)
    position = client.position()
    for i in range(3):
        kept.publish(other, i)
    client.say("subscribe", channels=[other], id=position)
    kept.publish(other, 3)
    assert client.next() == subscribed(other, id=position)
    got = [client.next() for _ in range(5)]
    assert [event for event in got if event[0] == "message"] == [message(other, i) for i in range(4)]
    assert [data["replayed"] for event, data in got if event == "resumed"] in ([3], [4])


def test_gaps_are_told_for_each_channel(kept, ws, room):
    client = ws(room, kept.port)
    position = client.position()
    short, off = f"short:{room}", f"off:{room}"
    for i in range(4):
        kept.publish(short, i)
    client.say("subscribe", channels=[off, short], id=position)
    assert [client.next() for _ in range(6)] == [
        subscribed(off), gap(off), subscribed(short, id=position), gap(short, 2), message(short, 2), message(short, 3)]


def redis_node(redis):
    return Server(PUSH_REDIS_URL=redis.url(), PUSH_DRAIN_DURATION="100ms")


def test_with_redis_nothing_is_missed_from_subscribed_on():
    with RedisServer() as redis, redis_node(redis) as one, redis_node(redis) as two:
        client = WsReader(one.port, "first")
        for i in range(30):
            channel = f"later-{i}"
            client.say("subscribe", channels=[channel])
            assert client.next() == subscribed(channel)
            assert publish(two.port, channel, i).status == 202
            assert client.next() == message(channel, i)
        client.close()


def test_without_redis_a_subscription_does_not_wait():
    with RedisServer() as redis, redis_node(redis) as node:
        client = WsReader(node.port, "first")
        assert client._event()["event"] == "ping"
        redis.kill()
        client.say("subscribe", channels=["later"])
        while (answer := client.next()) == ("gap", {}):
            pass
        assert answer == subscribed("later")
        client.close()


# --- event streams, by a token ---

class Controlled:
    """An event stream with a token."""

    def __init__(self, port, channels, **options):
        self.port, self.options = port, options
        self.stream = EventStream(port, f"{channels}&control=true", **options)
        assert self.stream.status == 200
        comment, self.first = self.stream.raw().split(b"\n", 1)
        self.token = re.fullmatch(rb":control ([0-9a-z]{16}\.[0-9a-f]{32})", comment).group(1).decode()

    @property
    def path(self):
        return f"/sse/messages/{self.token}"

    def change(self, headers=None, path=None, **body):
        return request(self.port, post(json.dumps(body), path=path or self.path, headers=headers), **self.options)

    def event(self):
        fields = dict(line.split(":", 1) for line in self.stream.next().decode().rstrip("\n").split("\n"))
        return fields["event"], json.loads(fields["data"])


@pytest.fixture
def controlled(server):
    opened = []

    def come(channels, port=None, **options):
        opened.append(Controlled(port or server.port, channels, **options))
        return opened[-1]

    yield come
    for client in opened:
        client.stream.close()


def test_a_token_changes_the_channels_of_its_event_stream(server, controlled, room, other):
    client, bystander = controlled(room), controlled(room)
    assert client.first == HEARTBEAT
    answer = client.change(subscribe=[other, ""], unsubscribe=[room])
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json == {"subscribed": [other], "unsubscribed": [room],
                           "errors": [{"channel": "", "error": "bad channel name '': empty"}]}
    assert [client.event(), client.event()] == [unsubscribed(room), subscribed(other)]
    assert publish(server.port, room, 1).json == {"subscribers": 1}
    assert publish(server.port, other, 2).json == {"subscribers": 1}
    assert client.event() == message(other, 2)
    assert bystander.event() == message(room, 1)


def test_without_control_no_byte_changes(server, room):
    with EventStream(server.port, room) as stream:
        assert stream.raw() == HEARTBEAT


def test_tokens_differ_and_control_can_only_be_true(server, controlled, room):
    assert len({controlled(room).token for _ in range(5)}) == 5
    for value in "false", "", "1", "true&control=true":
        answer = get(server.port, f"/sse/messages?channels={room}&control={value}")
        assert answer.status == 400, value


def test_a_websocket_has_no_token(server, room):
    with WebSocket(server.port, f"{room}&control=true") as client:
        assert client.read_frame()[1] == b'{"event":"ping","data":{}}'


def test_a_token_that_nobody_has_is_not_found(server, controlled, room):
    client = controlled(room)
    node, secret = client.token.split(".")
    for token in f"{node}.{secret[::-1]}", f"{'0' * 16}.{secret}", f"{node}.{secret}0", f"{node}.{secret[:-1]}", secret, \
            client.token.upper(), f"{client.token}/", f"x/{client.token}", "a%20b":
        assert client.change(path=f"/sse/messages/{token}", subscribe=["x"]).status == 404, token
    assert client.change(subscribe=["x"]).status == 200
    client.stream.close()
    server.wait_metric('push_connections{transport="sse"}', server.metric('push_connections{transport="sse"}'))
    while client.change(subscribe=["x"]).status != 404:
        pass


def test_what_a_change_may_be(server, controlled, room):
    client = controlled(room)

    def status(data):
        return request(server.port, data).status

    assert status(post("{", path=client.path)) == 400
    assert status(post("{}", path=client.path)) == 400
    assert status(post('{"subscribe":"a"}', path=client.path)) == 400
    assert status(post('{"subscribe":["a"]}', path=client.path, content_type="text/plain")) == 415
    assert status(post('{"subscribe":["a"]}', path=client.path, content_type="application/x-ndjson")) == 415
    assert status(post('{"subscribe":["a"]}', path=client.path, length=False)) == 411
    answer = request(server.port, post(json.dumps({"subscribe": ["a" * 5000]}), path=client.path))
    assert answer.status == 413 and "push.client.message.max.size" in answer.error
    for method in "GET", "DELETE", "PUT":
        answer = get(server.port, client.path, method=method, headers=["Content-Length: 0"])
        assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"
    answer = get(server.port, client.path, method="OPTIONS",
                 headers=["Origin: https://example.com", "Access-Control-Request-Method: POST"])
    assert answer.status == 204 and answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert server.metric('push_publishes_total{status="405"}') == 0
    assert status(post('{"subscribe":["a"]}', path=client.path)) == 200


def test_changes_follow_one_another_on_a_connection_that_publishes_too(server, controlled, room, other):
    client = controlled(room)
    with Connection(server.port) as connection:
        for i in range(5):
            connection.send(post(json.dumps({"subscribe": [other]}), path=client.path))
            assert connection.read_answer().json == {"subscribed": [other], "unsubscribed": [], "errors": []}
            assert client.event() == subscribed(other)
            connection.send(post(json.dumps({"channel": other, "message": i})))
            assert connection.read_answer().json == {"subscribers": 1}
            assert client.event() == message(other, i)
    with Connection(server.port) as connection:
        connection.send(post('{"unsubscribe":["nothing"]}', path=client.path, headers=["Expect: 100-continue"])[:-5])
        assert connection.read_head()[0] == 100
        connection.send(b'ng"]}')
        assert connection.read_answer().json["unsubscribed"] == ["nothing"]


def test_an_event_stream_with_history_comes_back_where_it_was(kept, controlled, room, other):
    client = controlled(room, kept.port)
    position = re.search(rb"\nid:(.*)\n", client.first).group(1).decode()
    kept.publish(other, 1)
    assert client.change(subscribe=[other], id=position).status == 200
    assert [client.event() for _ in range(3)] == [subscribed(other), message(other, 1), resumed(1)]


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    port = free_port()
    with Server(conf_d={"30-tls": VHOST % (port, certificate, key, "push.broker.vhost")}) as running:
        running.tls_port, running.certificate = port, certificate
        context = ssl.create_default_context(cafile=certificate)
        running.wrap = lambda plain: context.wrap_socket(plain, server_hostname="localhost")
        yield running


def test_over_tls_it_is_the_same(secure, controlled, room, other):
    client = controlled(room, secure.tls_port, wrap=secure.wrap)
    assert client.change(subscribe=[other]).json["subscribed"] == [other]
    assert client.event() == subscribed(other)


def test_over_http2_it_is_the_same(secure, room, other):
    with H2(secure.tls_port, secure.certificate) as connection:
        stream = connection.get(f"/sse/messages?channels={room}&control=true")
        token = re.match(rb":control (\S+)\n", stream.event()).group(1).decode()
        answer = connection.post(json.dumps({"subscribe": [other]}).encode(), path=f"/sse/messages/{token}").whole()
        assert json.loads(answer) == {"subscribed": [other], "unsubscribed": [], "errors": []}
        assert stream.event() == f'event:subscribed\ndata:{{"channel":"{other}"}}\n\n'.encode()
