"""No token that is not good gets in on any way, and no right is good for more than what it names."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import forged
from http1 import Connection, get, post, request
from server import Server
from sseclient import EventStream
from test_live import Controlled
from tokens import Key, bearer, write_jwks
from wsclient import CLOSE, TEXT, WebSocket, frame

KEY, RSA, OTHER = Key(kid="k1"), Key("RS256", kid="r1"), Key(kid="k1")
ISSUER, AUDIENCE, ORIGIN = "https://issuer.test", "push", "https://app.test"
ALL = {"subscribe": ["secret"], "publish": ["secret"], "history": ["secret"]}
COMMON = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    write_jwks(folder / "keys.json", KEY, RSA)
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_AUTH_ISSUER=ISSUER, PUSH_AUTH_AUDIENCE=AUDIENCE,
                PUSH_AUTH_QUERY="on", PUSH_AUTH_COOKIE="session", PUSH_CORS_ALLOWED_ORIGINS=ORIGIN,
                PUSH_AUTH_ANONYMOUS="public:**", PUSH_WS_PUBLISH="on", PUSH_HISTORY_SIZE="10") as running:
        yield running


# --- tokens ---

def b64(data):
    data = data if isinstance(data, bytes) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def good(**claims):
    return KEY.token(**{**COMMON, **ALL, **claims})


def signed(header, payload, key=KEY):
    """Any header over any payload, both as text, with the right signature."""
    text = f"{b64(header)}.{b64(payload)}"
    algorithm = jwt.get_algorithm_by_name(key.algorithm)
    return f"{text}.{b64(algorithm.sign(text.encode(), key.private))}"


def payload(**claims):
    return json.dumps({**COMMON, "exp": int(time.time()) + 600, "push": ALL, **claims})


def head(**members):
    return json.dumps({"alg": "ES256", "kid": "k1", **members})


def unsigned(algorithm, kid="k1", signature=""):
    return f"{b64(json.dumps({'alg': algorithm, 'kid': kid}))}.{b64(payload())}.{signature}"


def hs256(secret, kid):
    text = f"{b64(json.dumps({'alg': 'HS256', 'kid': kid}))}.{b64(payload())}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def public(key, encoding, form):
    return key.private.public_key().public_bytes(encoding, form)


PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def parts(token=None):
    return (token or good()).split(".")


def of_other_parts():
    header, _, signature = parts()
    return ".".join([header, b64(payload(sub="eve")), signature])


def with_flipped_bit(index):
    found = parts()
    raw = bytearray(unb64(found[index]))
    raw[-1 if index == 2 else len(raw) // 2] ^= 1
    found[index] = b64(bytes(raw))
    return ".".join(found)


def der_signature():
    text = ".".join(parts()[:2])
    return f"{text}.{b64(KEY.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))}"


def unused_bits():
    """The same bytes, written in another way: the last letter has bits that stand for nothing."""
    token = good()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) | 1]


EXP = '"exp":%d' % (time.time() + 600)
FORGED = {
    "alg none": lambda: unsigned("none"),
    "alg NONE": lambda: unsigned("NONE"),
    "alg none with a signature": lambda: unsigned("none", signature=parts()[2]),
    "alg empty": lambda: unsigned(""),
    "no signature": lambda: ".".join(parts()[:2]) + ".",
    "two parts": lambda: ".".join(parts()[:2]),
    "four parts": lambda: good() + ".AA",
    "five parts": lambda: good() + ".AA.AA",
    "HS256 with the public PEM": lambda: hs256(public(KEY, PEM, SPKI), "k1"),
    "HS256 with the public DER": lambda: hs256(public(KEY, DER, SPKI), "k1"),
    "HS256 with RSA's public PEM": lambda: hs256(public(RSA, PEM, SPKI), "r1"),
    "HS256 with its modulus": lambda: hs256(unb64(RSA.jwk()["n"]), "r1"),
    "HS256 with nothing": lambda: hs256(b"", "k1"),
    "alg of another key": lambda: signed(head(kid="r1"), payload()),
    "kid of another key": lambda: signed(json.dumps({"alg": "RS256", "kid": "k1"}), payload(), RSA),
    "PS256 of RS256's key": lambda: signed(json.dumps({"alg": "PS256", "kid": "r1"}), payload(), RSA),
    "kid nobody has": lambda: good(headers={"kid": "other"}),
    "kid a number": lambda: signed('{"alg":"ES256","kid":1}', payload()),
    "another key with the kid": lambda: OTHER.token(**COMMON, **ALL),
    "another payload": of_other_parts,
    "another's signature": lambda: ".".join(parts()[:2] + parts(good(sub="eve"))[2:]),
    "a bit of the header": lambda: with_flipped_bit(0),
    "a bit of the payload": lambda: with_flipped_bit(1),
    "a bit of the signature": lambda: with_flipped_bit(2),
    "unused bits": unused_bits,
    "cut by one": lambda: good()[:-1],
    "cut by half": lambda: good()[:len(good()) // 2],
    "one letter more": lambda: good() + "A",
    "padded": lambda: good() + "==",
    "padded payload": lambda: ".".join([parts()[0], parts()[1] + "=", parts()[2]]),
    "signature of zeros": lambda: ".".join([*parts()[:2], b64(bytes(64))]),
    "signature of the wrong length": lambda: ".".join([*parts()[:2], b64(bytes(63))]),
    "signature in DER": der_signature,
    "crit": lambda: signed(head(crit=["exp"]), payload()),
    "crit b64": lambda: signed(head(crit=["b64"], b64=False), payload()),
    "crit empty": lambda: signed(head(crit=[]), payload()),
    "jwk": lambda: signed(head(jwk=OTHER.jwk()), payload(), OTHER),
    "jwk of the right key": lambda: signed(head(jwk=KEY.jwk()), payload()),
    "jku": lambda: signed(head(jku="http://127.0.0.1:1/"), payload()),
    "x5u": lambda: signed(head(x5u="http://127.0.0.1:1/"), payload()),
    "x5c": lambda: signed(head(x5c=["AA=="]), payload(), OTHER),
    "duplicate alg": lambda: signed('{"alg":"none","alg":"ES256","kid":"k1"}', payload()),
    "duplicate exp": lambda: signed(head(), payload()[:-1] + ',"exp":9999999999}'),
    "duplicate sub": lambda: signed(head(), payload()[:-1] + ',"sub":"eve"}'),
    "duplicate in the claim": lambda: signed(head(), payload().replace(
        '"publish": ["secret"]', '"publish": ["a"], "publish": ["secret"]')),
    "escaped duplicate": lambda: signed(head(), payload()[:-1] + ',"\\u0065xp":9999999999}'),
    "expired": lambda: good(exp=-60),
    "exp 0": lambda: signed(head(), payload(exp=0)),
    "exp negative": lambda: signed(head(), payload(exp=-1)),
    "exp a float": lambda: signed(head(), payload(exp=time.time() + 600.5)),
    "exp in exponents": lambda: signed(head(), payload(exp=0).replace('"exp": 0', '"exp": 1e12')),
    "exp a string": lambda: signed(head(), payload(exp=str(int(time.time()) + 600))),
    "exp null": lambda: signed(head(), payload(exp=None)),
    "exp true": lambda: signed(head(), payload(exp=True)),
    "exp too large": lambda: signed(head(), payload(exp=2**64 + int(time.time()) + 600)),
    "no exp": lambda: good(exp=None),
    "nbf to come": lambda: good(nbf=300),
    "nbf a string": lambda: signed(head(), payload(nbf="0")),
    "iat a float": lambda: signed(head(), payload(iat=1.5)),
    "another issuer": lambda: good(iss="https://other.test"),
    "issuer with more": lambda: good(iss=ISSUER + "/"),
    "no issuer": lambda: good(iss=None),
    "issuer a list": lambda: signed(head(), payload(iss=[ISSUER])),
    "another audience": lambda: good(aud="other"),
    "other audiences": lambda: good(aud=["a", "b"]),
    "no audience": lambda: good(aud=None),
    "payload a list": lambda: signed(head(), "[]"),
    "payload not JSON": lambda: signed(head(), "push"),
    "payload with more behind": lambda: signed(head(), payload() + "x"),
    "payload not UTF-8": lambda: signed(head(), payload()[:-1].encode() + b',"x":"\xff"}'),
    "payload empty": lambda: signed(head(), ""),
    "header a list": lambda: signed("[]", payload()),
    "encrypted": lambda: signed(head(enc="A256GCM"), payload()) + ".AA.AA",
    "over 4 kB": lambda: good(more="x" * 4096),
    "a space within": lambda: good().replace(".", ". ", 1),
    "empty": lambda: "",
}


# --- ways in; each says whether it let the token in ---

def shown(token):
    return {"headers": bearer(token)}


def quoted(token):
    return urllib.parse.quote(token, safe="")


def body(channel="secret"):
    return json.dumps({"channel": channel, "message": 1})


def ok(answer):
    """Anything that is no refusal of the credential is for the test to know of."""
    assert answer.status in (200, 202, 400, 401, 403), (answer.status, answer.body)
    return answer.status in (200, 202)


def post_one(server, token):
    return ok(request(server.port, post(body(), **shown(token))))


def post_written(server, token):
    return ok(request(server.port, post(body(), path="/messages?wait=written", **shown(token))))


def post_array(server, token):
    answer = request(server.port, post(f"[{body()}]", **shown(token)))
    return ok(answer) and "error" not in answer.json[0]


def post_lines(server, token):
    with Connection(server.port) as connection:
        connection.send(post(body() + "\n", content_type="application/x-ndjson", **shown(token)))
        status, _, headers = connection.read_stream_head()
        return status == 202 and b'"error"' not in connection.read_until(b"\n")


def read_history(server, token):
    return ok(get(server.port, "/messages?channel=secret", **shown(token)))


def head_history(server, token):
    return head_of(server, "/messages?channel=secret", token)


def head_stream(server, token):
    return head_of(server, "/sse/messages?channels=secret", token)


def head_of(server, path, token):
    with Connection(server.port) as connection:
        connection.send("\r\n".join([f"HEAD {path} HTTP/1.1", "Host: test", *bearer(token)]) + "\r\n\r\n")
        return connection.read_head()[0] == 200


def stream_of(server, path, headers=()):
    with EventStream(server.port, path=path, headers=headers) as stream:
        return stream.status == 200


def stream(server, token):
    return stream_of(server, "/sse/messages?channels=secret", bearer(token))


def stream_resumed(server, token):
    return stream_of(server, "/sse/messages?channels=secret", bearer(token) + ["Last-Event-ID: 0-0"])


def stream_query(server, token):
    return stream_of(server, f"/sse/messages?channels=secret&token={quoted(token)}")


def stream_cookie(server, token):
    return stream_of(server, "/sse/messages?channels=secret", [f"Cookie: a=b; session={token}", f"Origin: {ORIGIN}"])


def ticket(server, token):
    answer = request(server.port, post("", path="/auth/tickets", **shown(token)))
    return ok(answer) and stream_of(server, f"/sse/messages?channels=secret&ticket={answer.json['ticket']}")


def is_open(ws):
    """Whether the channel is heard: each is told something, and those who may not are closed."""
    if ws.status != 101:
        assert ws.status in (400, 401, 403), ws.status
        return False
    opcode, text = ws.read_frame()
    assert opcode == TEXT
    return json.loads(text).get("event") == "ping"


def ws_header(server, token):
    with WebSocket(server.port, "secret", headers=bearer(token)) as ws:
        return is_open(ws)


def ws_protocol(server, token):
    with WebSocket(server.port, "secret", headers=[f"Sec-WebSocket-Protocol: push.v1, push.token.{token}"]) as ws:
        return is_open(ws)


def ws_query(server, token):
    with WebSocket(server.port, path=f"/ws/messages?channels=secret&token={quoted(token)}") as ws:
        return is_open(ws)


def ws_cookie(server, token):
    with WebSocket(server.port, "secret", headers=[f"Cookie: session={token}", f"Origin: {ORIGIN}"]) as ws:
        return is_open(ws)


def tell(ws, event, **data):
    ws.send(frame(TEXT, json.dumps({"event": event, "data": data})))


def ws_first_message(server, token):
    with WebSocket(server.port, "secret") as ws:
        tell(ws, "auth", token=token)
        opcode, text = ws.read_frame()  # a Close, of a message that is too large
        return opcode == TEXT and json.loads(text).get("event") == "ping"


def ws_later_message(server, token):
    """Whoever is in already gets no more by it."""
    with WebSocket(server.port, "public:a", headers=bearer(KEY.token(**COMMON, subscribe=["public:a"]))) as ws:
        ws.read_frame()
        tell(ws, "auth", token=token)
        opcode, text = ws.next()
        if opcode == CLOSE:  # the message is too large
            return False
        authenticated = json.loads(text)["event"] == "authenticated"
        seen = []
        for event, data in ("subscribe", {"channels": ["secret"]}), ("publish", {"channel": "secret", "message": 1}):
            tell(ws, event, **data)
            seen.append(ws.event()["event"] != "error")
        return authenticated or any(seen)


def control_request(server, token):
    """Likewise, beside an event stream."""
    client = Controlled(server.port, "public:a", headers=bearer(KEY.token(**COMMON, subscribe=["public:a"])))
    client.options = {}
    with client.stream:
        renewed = client.change(auth={"token": token}).status == 200
        return renewed or "secret" in client.change(subscribe=["secret"]).json["subscribed"]


WAYS = [post_one, post_written, post_array, post_lines, read_history, head_history, head_stream, stream, stream_resumed,
        stream_query, stream_cookie, ticket, ws_header, ws_protocol, ws_query, ws_cookie, ws_first_message,
        ws_later_message, control_request]
RENEWING = ws_later_message, control_request


def test_a_good_token_gets_in_on_every_way(server):
    assert [way.__name__ for way in WAYS if not way(server, good())] == []


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_is_not_good_gets_in_on_no_way(server, name):
    token = FORGED[name]()
    # once unknown to the cache of tokens, once known
    assert [way.__name__ for way in WAYS for _ in range(2) if not (name == "empty" and way is ws_protocol)
            if way(server, token)] == []


def test_signatures_and_claims_that_are_almost_right_are_wrong(tmp_path):
    """Whatever way a token has come, it is verified in one place."""
    keys = {name: Key(name, kid=name) for name in ("ES256", "EdDSA", "RS256", "PS256")}
    secret, claims = os.urandom(32), payload().encode()
    jwks = [key.jwk() for key in keys.values()] + [{"kty": "oct", "alg": "HS256", "kid": "HS256", "k": b64(secret)}]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": jwks}))
    text = forged.text_of(keys["ES256"], claims)
    token = f"{text}.{keys['ES256'].sign(text)}"
    kinds = {"ES256": forged.of_ecdsa(keys["ES256"], claims), "EdDSA": forged.of_ed25519(keys["EdDSA"], claims),
             "RS256": forged.of_rsa(keys["RS256"], claims), "PS256": forged.of_pss(keys["PS256"], claims),
             "HS256": forged.of_hmac(secret, "HS256", claims), "text": forged.of_texts(token, keys["ES256"], claims),
             "claim": forged.of_claims(keys["ES256"], claims)}
    with Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json"), PUSH_AUTH_ISSUER=ISSUER, PUSH_AUTH_AUDIENCE=AUDIENCE) as server, \
            Connection(server.port) as connection:
        def status(token):
            # has no body, which would end the connection with a refusal
            return connection.send("\r\n".join(["POST /auth/tickets HTTP/1.1", "Host: test", "Content-Length: 0",
                                                *bearer(token)]) + "\r\n\r\n").read_answer().status

        for key in keys.values():
            text = forged.text_of(key, claims)
            assert status(f"{text}.{key.sign(text)}") == 200
        assert [(kind, name) for kind, tokens in kinds.items() for name, token in tokens if status(token) != 401] == []


# --- each right is good for its ways alone, and for its channel alone ---

BY_RIGHT = {
    "publish": [post_one, post_written, post_array, post_lines],
    "history": [read_history, head_history],
    "subscribe": [head_stream, stream, stream_resumed, stream_query, stream_cookie, ticket, ws_header, ws_protocol,
                  ws_query, ws_cookie, ws_first_message],
    "channels": [],
}
BY_RIGHT["channels"] = BY_RIGHT["subscribe"]


@pytest.mark.parametrize("right", BY_RIGHT)
def test_a_right_opens_its_own_ways_alone(server, right):
    token = KEY.token(**COMMON, **{right: ["secret"]})
    ways = [way for way in WAYS if way not in RENEWING]
    assert [way.__name__ for way in ways if way(server, token)] == [way.__name__ for way in ways
                                                                    if way in BY_RIGHT[right]]


@pytest.mark.parametrize("pattern", ["secre", "secret2", "SECRET", "secret ", "*:*", "{sub}", "s*:t", "secret,secret2"])
def test_a_right_to_another_channel_opens_no_way(server, pattern):
    token = KEY.token(**COMMON, **{right: [pattern] for right in ALL})
    assert [way.__name__ for way in WAYS if way not in RENEWING and way(server, token)] == []


@pytest.mark.parametrize("origin", ["https://evil.test", "null", f"{ORIGIN}.evil.test", "http://app.test"])
def test_a_cookie_does_not_count_from_an_origin_that_is_not_listed(server, origin):
    cookie = [f"Cookie: session={good()}", f"Origin: {origin}"]
    assert not stream_of(server, "/sse/messages?channels=secret", cookie)
    assert request(server.port, post(body(), headers=cookie)).status in (401, 403)
    with WebSocket(server.port, "secret", headers=cookie) as ws:
        assert not is_open(ws)


def test_a_secret_that_is_shown_twice_is_none(server):
    """As a cookie that another host of the same site has planted beside the page's own."""
    cookie, offer = "Cookie: session={}; a=b; session={}", "Sec-WebSocket-Protocol: push.v1, push.token.{}, push.token.{}"
    lines = "Sec-WebSocket-Protocol: push.v1, push.token.{}\r\nSec-WebSocket-Protocol: push.token.{}"
    query = "token={}&token={}"
    for two in (good(), "junk"), ("junk", good()), (good(), good()):
        headers = [cookie.format(*two), f"Origin: {ORIGIN}"]
        assert request(server.port, post(body(), headers=headers)).status == 401
        assert request(server.port, post(body(), path="/messages?" + query.format(*two))).status == 401
        for how in headers, [offer.format(*two)], [lines.format(*two)]:
            with WebSocket(server.port, "secret", headers=how) as ws:
                assert not is_open(ws)


def test_two_credentials_are_one_too_many(server):
    assert request(server.port, post(body(), headers=bearer(good()) + ["Push-Key: a"])).status == 400
    assert request(server.port, post(body(), path=f"/messages?token={good()}", headers=bearer(good()))).status == 400
    assert request(server.port, post(body(), headers=bearer(good()) + bearer("junk"))).status in (400, 401)
    assert request(server.port, post(body(), headers=bearer("junk") + bearer(good()))).status in (400, 401)
