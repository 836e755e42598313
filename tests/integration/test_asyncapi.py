"""docs/reference/asyncapi.yaml describes each event that a WebSocket client sends and gets, of a real session."""

import json
import re

import pytest

from server import SOURCE, Server
from tokens import Key, bearer, write_jwks
from wsclient import CLOSE, PING, PONG, TEXT, WebSocket, frame

jsonschema = pytest.importorskip("jsonschema")
yaml = pytest.importorskip("yaml")

DOCUMENT = yaml.safe_load((SOURCE / "docs/reference/asyncapi.yaml").read_text())


def messages_of(operation):
    """The schemas of an operation's messages, by the name in `event`; None: without."""
    schemas = {}
    for message in DOCUMENT["operations"][operation]["messages"]:
        name = message["$ref"].rsplit("/", 1)[1]
        payload = DOCUMENT["components"]["messages"][name]["payload"]
        if "$ref" in payload:
            payload = DOCUMENT["components"]["schemas"][payload["$ref"].rsplit("/", 1)[1]]
        event = payload["properties"].get("event", {"const": None})["const"]
        schemas[event] = {**payload, "components": DOCUMENT["components"]}
    return schemas


SENT, ACCEPTED = messages_of("toClients"), messages_of("fromClients")


def check(frame_data, schemas):
    event = frame_data.get("event")
    assert event in schemas, f"the document does not have {frame_data}"
    jsonschema.Draft202012Validator(schemas[event]).validate(frame_data)
    return event


class Client(WebSocket):
    """Each frame in either direction holds against the document; `seen` and `used` have the events."""

    seen, used = set(), set()

    def say(self, event, data=None):
        text = {"event": event} if data is None else {"event": event, "data": data}
        self.used.add(check(text, ACCEPTED))
        self.send(frame(TEXT, json.dumps(text)))

    def hear(self, event=None):
        """The data of the next event of that name; of any before it nothing but the form matters."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == PING:
                self.send(frame(PONG, payload))
                continue
            assert opcode == TEXT, (opcode, payload)
            got = json.loads(payload)
            self.seen.add(check(got, SENT))
            if got.get("event") == event:
                return got.get("data", got)


def session_with_tokens(folder):
    key = Key()
    write_jwks(folder / "keys.json", key)
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_AUTH_LEEWAY="0") as server:
        with Client(server.port, "a,b") as client:
            client.say("subscribe", {"channels": ["a"]})
            assert client.hear("error")["error"] == "send 'auth' with a token first"
            client.say("auth", {"token": key.token(subscribe=["a", "b"], exp=3)})
            client.hear("expiring")
            client.say("auth", {"token": key.token(subscribe=["a"])})
            assert client.hear("authenticated")["expires_in"] > 0
            assert client.hear("unsubscribed")["reason"] == "no right to subscribe to 'b'"
        with Client(server.port, "b", headers=bearer(key.token(subscribe=["a"]))) as refused:
            refused.hear(None)
            assert refused.close_code() == 4403


def test_every_event_of_a_session_is_as_the_document_says(tmp_path):
    Client.seen, Client.used = set(), set()
    session_with_tokens(tmp_path)
    with Server(PUSH_HISTORY_SIZE=2, PUSH_WS_PUBLISH="on", PUSH_RECONNECT_DITHER_MIN_DURATION="2h",
                PUSH_RECONNECT_DITHER_MAX_DURATION="2h", PUSH_DRAIN_DURATION="100ms",
                PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="1s") as server:
        client = Client(server.port, "news")
        start = client.hear("ping")["id"]
        client.say("pong")
        client.say("ping")
        client.hear("pong")
        for number in range(3):
            client.say("publish", {"channel": "news", "message": {"number": number}, "ref": number})
            client.hear("published")
        client.say("publish", {"channels": ["news", "sport"], "message": None, "ttl": "30s"})
        client.hear("published")
        client.say("subscribe", {"channels": ["sport"], "id": start, "ref": "a"})
        assert client.hear("subscribed")["ref"] == "a"
        client.hear("resumed")
        client.say("unsubscribe", {"channels": ["sport"]})
        client.hear("unsubscribed")
        client.say("resume", {"id": start})
        while client.hear("gap")["channel"] != "news":
            pass
        client.say("ack", {"id": start, "ref": 7})  # acks are not on here
        assert client.hear("error")["ref"] == 7
        client.say("subscribe", {"channels": ["x" * 255] + [str(number) for number in range(150)]})
        while "channels" not in client.hear("error"):
            pass

        with Client(server.port, "news&client=warehouse-7") as named:
            assert named.hear("ping")["new"]
            server.publish("news", "book")
            named.say("ack", {"id": named.hear("message")["id"]})
            named.say("ping")
            named.hear("pong")
        with Client(server.port) as refused:
            refused.hear(None)
            assert refused.read_frame()[0] == CLOSE

        server.process.process.terminate()
        client.hear("reconnect")
        client.socket.close()
        server.ended = True
        assert server.process.wait() == 0
    assert Client.seen == set(SENT)
    assert Client.used == set(ACCEPTED)


def test_the_document_has_each_event_that_the_sources_have():
    sources = "\n".join(path.read_text() for path in (SOURCE / "plugins").rglob("*.c"))
    events = set(re.findall(r'\{\\"event\\":\\"(\w+)\\"', sources))
    events |= set(re.findall(r'(?:send_event|send_answer|push_subscriber_tell)\([^;]*?"(\w+)"', sources))
    events |= set(re.findall(r'push_encoding\)subscriber->encoding,\s*"(\w+)"', sources))
    assert len(events) > 5 and events - set(SENT) == set()


def test_each_reference_of_the_document_leads_somewhere():
    def references(part):
        if isinstance(part, dict):
            yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            part = part.values()
        for inner in part if isinstance(part, (list, type({}.values()))) else ():
            yield from references(inner)

    found = list(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        place = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
