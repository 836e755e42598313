"""Rights, patterns, users and names at random: each way in, on two nodes, opens what a naive matcher says, and nothing else."""

import contextlib
import itertools
import json
import random
import re
import urllib.parse

import pytest

from http1 import Connection, get, post, request
from redis_nodes import node
from redis_servers import RedisServer, wait_until
from resuming import WsReader
from sseclient import EventStream
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import WebSocket

KEY = Key()
RIGHTS = ("subscribe", "publish", "history")
USERS = ["ann", "ann:b", "*", "**", "{sub}", "a*", "é", "e\u0301", "ann\u202e", " ", None]
PARTS = ["", "*", "**", "{sub}", "user:{sub}:*", "user:{sub}", ":", "chat", "Chat", "ann", "b", "7", "é", "e\u0301", "сhat",
         "x" * 80, "{", "sub}", "%2A", "%00", "+", " ", ".", "?"]
BAD = ["", "a,b", "a\u0000", "chat\u0000:7", "\n", "\u007f", "x" * 256, ",", "chat,secret"]


@pytest.fixture(scope="module")
def redis():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(redis, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_jwks(path, KEY)
    options = {"PUSH_AUTH_KEYS": str(path), "PUSH_HISTORY_SIZE": "10", "PUSH_CHANNELS_MAX": "1000",
               "PUSH_CLIENT_MESSAGE_MAX_SIZE": "64kb", "PUSH_WS_PUBLISH": "on"}
    with node(redis.url(), **options) as one, node(redis.url(), **options) as other:
        for each in one, other:
            each.wait_metric("push_redis_peers", 1)
        yield one, other


def some(chance, count):
    return ["".join(chance.choice(PARTS) for _ in range(chance.randint(1, 4)))[:250] for _ in range(count)]


def may(user, patterns, name):
    """As the manual's words say it."""
    def expression(part):
        return {"**": ".*", "*": "[^:]*", "{sub}": re.escape(user or "")}.get(part, re.escape(part))

    if not name or len(name.encode()) > 255 or re.search("[,\x00-\x1f\x7f-\x9f]", name):
        return False
    return any(re.fullmatch("".join(expression(part) for part in re.split(r"(\*\*|\*|\{sub\})", pattern)), name, re.S)
               for pattern in patterns if user or "{sub}" not in pattern)


def of_queries(server, headers, path, names):
    """The names whose request is answered with 200."""
    found = set()
    with Connection(server.port) as connection:
        for name in names:
            connection.send("\r\n".join([f"HEAD {path}{urllib.parse.quote(name, safe='')} HTTP/1.1", "Host: t", *headers])
                            + "\r\n\r\n")
            status, _, _ = connection.read_head()
            assert status in (200, 400, 401, 403, 404), (status, name)
            if status in (200, 404):  # 404: a channel that was never published to has no history
                found.add(name)
    return found


def of_controls(server, other, headers, names):
    client = Controlled(server.port, "public", headers=headers)
    with client.stream:
        client.port, client.options = other.port, {}
        answer = client.change(subscribe=names).json
        assert len(answer["subscribed"]) + len(answer["errors"]) == len(names)
        return set(answer["subscribed"])


def of_publishes(server, headers, names):
    body = json.dumps([{"channel": name, "message": 1} for name in names])
    answer = request(server.port, post(body, headers=headers))
    return {name for name, part in zip(names, answer.json) if "error" not in part}


def of_lines(server, headers, names):
    body = "".join(json.dumps({"channel": name, "message": 1}) + "\n" for name in names)
    with Connection(server.port) as connection:
        connection.send(post(body, headers=headers, content_type="application/x-ndjson"))
        connection.read_stream_head()
        return {name for name in names if b'"error"' not in connection.read_until(b"\n")}


def of_sockets(server, headers, names):
    with contextlib.closing(WsReader(server.port, "public", headers=headers)) as ws:
        heard, published = set(), set()
        for name in names:
            ws.say("subscribe", channels=[name], ref="s")
            ws.say("publish", channel=name, message=2, ref="p")
            for event, data in itertools.islice(((e, d) for e, d in iter(ws.next, None) if "ref" in d), 2):
                if event != "error":
                    (heard if data["ref"] == "s" else published).add(name)
        return heard, published


@pytest.mark.parametrize("seed", range(8))
def test_each_way_in_opens_what_the_patterns_match_and_nothing_else(nodes, seed):
    chance = random.Random(seed)
    one, other = chance.sample(nodes, 2)
    user = chance.choice(USERS) if seed else "ann"
    patterns = {right: [p for p in some(chance, 4) if p] + ["chat:*"] for right in RIGHTS}
    names = list(dict.fromkeys([*BAD, *some(chance, 30), "chat:7", "chat:7:8", f"user:{user}:7", "user:ann:7",
                                *(p.replace("{sub}", user or "").replace("*", "7") for p in sum(patterns.values(), []))]))
    headers = bearer(KEY.token(**{**patterns, "subscribe": [*patterns["subscribe"], "public"]}, sub=user))
    expected = {right: {name for name in names if may(user, patterns[right], name)} for right in RIGHTS}
    heard, published = of_sockets(one, headers, names[:25])
    found = {
        "query": of_queries(one, headers, "/sse/messages?channels=", [name for name in names if "," not in name]),
        "control": of_controls(one, other, headers, names),
        "live": heard,
        "array": of_publishes(other, headers, names), "lines": of_lines(one, headers, names), "socket": published,
        "history": of_queries(other, headers, "/messages?channel=", names),
    }
    wanted = {way: expected[right] for way, right in [
        ("query", "subscribe"), ("control", "subscribe"), ("live", "subscribe"), ("array", "publish"), ("lines", "publish"),
        ("socket", "publish"), ("history", "history")]}
    wanted["live"], wanted["socket"] = wanted["live"] & set(names[:25]), wanted["socket"] & set(names[:25])
    assert {way: found[way] ^ wanted[way] for way in wanted} == {way: set() for way in wanted}, (user, patterns)


# --- ways around ---

def opened(server, query, headers):
    with EventStream(server.port, path=f"/sse/messages?{query}", headers=headers) as stream:
        return stream.status


@pytest.mark.parametrize("query", [
    "channels=mine,secret", "channels=mine%2Csecret", "channels=mine%2csecret", "channels=mine&channels=secret",
    "channels=mine,,secret", "channels=secret,", "channels=s%65cret", "channels=mine%00,secret", "channels=secret&client=mine",
    "channels=mine%0Asecret", "channels=,secret", "%63hannels=secret", "channels=%73ecret&channels=mine", "channels=mine+secret"])
def test_no_spelling_of_a_query_opens_a_channel_that_is_not_granted(nodes, query):
    headers = bearer(KEY.token(subscribe=["mine"], history=["mine"], sub="ann"))
    assert opened(nodes[0], "channels=mine", headers) == 200
    assert opened(nodes[0], query, headers) in (400, 403)
    with WebSocket(nodes[0].port, path=f"/ws/messages?{query}", headers=headers) as ws:
        assert "error" in json.loads(ws.next()[1]) and ws.close_code() in (1008, 4403)
    assert get(nodes[0].port, f"/messages?{query.replace('channels', 'channel')}", headers=headers).status in (400, 403)


def test_channels_of_a_token_are_names_and_open_nothing_else(nodes):
    for name in "mine,secret", "**", "mine\u0000", "", "secret,":
        headers = bearer(KEY.token(subscribe=["mine"], channels=[name] if name else ["mine", ""], sub="ann"))
        assert opened(nodes[0], "channels=mine", headers) == 401, name


def test_a_control_request_has_the_rights_of_its_stream_whoever_sends_it(nodes):
    headers, more = (bearer(KEY.token(subscribe=patterns, sub=user)) for patterns, user in ((["mine"], "ann"), (["**"], "root")))
    client = Controlled(nodes[0].port, "mine", headers=headers)
    with client.stream:
        for client.port in nodes[0].port, nodes[1].port:
            client.options = {}
            answer = client.change(headers=more, subscribe=["secret"])
            assert answer.json["subscribed"] == [] and "secret" in str(answer.json["errors"])
            assert client.change(headers=more, auth={"token": KEY.token(subscribe=["**"], sub="root")}).status == 403


def test_a_client_name_of_one_user_is_another_one_of_any_other_on_every_node(redis, nodes):
    def come(node, user):
        return contextlib.closing(WsReader(node.port, "mine", more="&client=tab",
                                           headers=bearer(KEY.token(subscribe=["mine"], sub=user))))

    with come(nodes[0], "ann") as ws:
        assert ws.first_ping()["new"]
        assert request(nodes[1].port, post('{"channel":"mine","message":1}', headers=bearer(KEY.token(publish=["mine"])))
                       ).status == 202
        assert ws.next() == ("message", {"channel": "mine", "message": 1})
        ws.say("ack", id=ws.id)
        wait_until(lambda: any(not redis.command("GET", key).endswith(b" new") for key in redis.command("KEYS", "*client-of*tab")),
                   "her position is kept")
    for user in "bob", ":ann", "u:ann", "ann:", "an", None:
        with come(nodes[1], user) as ws:
            assert ws.first_ping()["new"], user
    with come(nodes[1], "ann") as ws:
        assert "new" not in ws.first_ping()


def test_a_token_with_less_ends_what_a_resume_and_an_id_can_bring(nodes):
    key = bearer(KEY.token(publish=["**"]))
    ws = WsReader(nodes[0].port, "mine,secret", headers=bearer(KEY.token(subscribe=["mine", "secret"], sub="ann")))
    start = ws.first_ping()["id"]
    for channel in "secret", "mine":
        assert request(nodes[1].port, post(json.dumps({"channel": channel, "message": channel}), headers=key)).status == 202
    assert {ws.next()[1]["message"], ws.next()[1]["message"]} == {"mine", "secret"}
    ws.say("auth", token=KEY.token(subscribe=["mine"], sub="ann"))
    assert ws.next()[0] == "authenticated" and ws.next()[1]["channel"] == "secret"
    ws.say("subscribe", channels=["secret"], id=start)
    assert ws.next()[0] == "error"
    ws.say("resume", id=start)
    ws.say("unsubscribe", channels=["mine"])
    ws.say("subscribe", channels=["mine"], id=start)
    seen = []
    while seen.count("resumed") < 2:  # one for each id
        event, data = ws.next()
        assert data.get("channel") != "secret" and data.get("message") != "secret", (event, data)
        seen.append(event)
    assert "message" in seen
    for more in f"&last_event_id={start}", f"&last_event_id={start}&acks=true&client=x":
        assert opened(nodes[1], f"channels=secret{more}", bearer(KEY.token(subscribe=["mine"], sub="ann"))) in (400, 403)
    ws.close()
