"""push token: keys and tokens that other libraries take, and what it says of those that others have made."""

import hashlib
import json
import re
import stat
import subprocess
import time

import jwt
import pytest

from push_command import DONE, NO, USAGE, run
from server import SOURCE

ALGORITHMS = ("ES256", "ES384", "EdDSA", "RS256", "PS256", "HS256")
CURVES = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}


class Key:
    """A key of `push token key`, as Push's own command and as another library see it."""

    def __init__(self, folder, algorithm, suffix=".jwk", *more):
        self.algorithm, self.path = algorithm, folder / f"{algorithm}{suffix}"
        self.public_path = self.path if algorithm == "HS256" else self.path.with_name(self.path.name + ".pub")
        assert run(None, "token", "key", "--alg", algorithm, "--out", self.path, *more)[0] == DONE
        document = json.loads(self.public_path.read_text())
        self.jwk = document["keys"][0] if "keys" in document else document
        self.public = jwt.PyJWK.from_dict(self.jwk).key

    def make(self, *arguments):
        code, lines, errors = run(None, "token", "make", "--key", self.path, *arguments)
        assert code == DONE and len(lines) == 1, errors
        return lines[0]

    def read(self, token, **options):
        """The header and the claims, by PyJWT."""
        return jwt.get_unverified_header(token), jwt.decode(token, self.public, algorithms=[self.algorithm], **options)

    def check(self, token, *arguments):
        return run(None, "token", "check", "-", "--keys", self.public_path, *arguments, stdin=token + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def keys(folder):
    return {algorithm: Key(folder, algorithm) for algorithm in ALGORITHMS}


@pytest.fixture(scope="module")
def key(keys):
    return keys["ES256"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def foreign_token(key, claims, **header):
    """As PyJWT makes it with the private key."""
    document = json.loads(key.path.read_text())
    private = jwt.PyJWK.from_dict(document).key
    return jwt.encode(claims, private, algorithm=key.algorithm, headers={"kid": document["kid"], **header})


# Keys


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_is_for_its_owner_and_its_public_part_for_a_server(keys, algorithm):
    key = keys[algorithm]
    private = json.loads(key.path.read_text())
    assert mode(key.path) == 0o600 and private["alg"] == key.jwk["alg"] == algorithm and private["kid"] == key.jwk["kid"]
    assert private.get("crv") == CURVES.get(algorithm)
    if algorithm == "HS256":
        assert not key.path.with_name(key.path.name + ".pub").exists()
    else:
        assert mode(key.public_path) & 0o444 and set(private) - set(key.jwk) >= {"d"} and key.jwk["use"] == "sig"
        assert not set(key.jwk) & {"d", "p", "q", "dp", "dq", "qi", "k"}
        members = {name: key.jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in key.jwk}
        digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
        assert jwt.utils.base64url_encode(digest).decode() == key.jwk["kid"], "RFC 7638"


def test_no_key_is_overwritten(key, tmp_path):
    before = key.path.read_bytes()
    code, lines, errors = run(None, "token", "key", "--out", key.path)
    assert (code, lines) == (NO, []) and errors == f"push: {key.path}: exists already, and a key is not overwritten\n"
    assert key.path.read_bytes() == before
    (tmp_path / "new.jwk.pub").write_text("")
    assert run(None, "token", "key", "--out", tmp_path / "new.jwk")[0] == NO
    assert not (tmp_path / "new.jwk").exists(), "neither half is left alone"


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "HS256"])
def test_a_key_in_pem_is_the_same_to_openssl(tmp_path, algorithm):
    key = Key(tmp_path, algorithm, ".pem")
    assert mode(key.path) == 0o600
    text = subprocess.run(["openssl", "pkey", "-in", key.path, "-pubout"], capture_output=True, text=True, check=True).stdout
    public = tmp_path / "public.pem"
    public.write_text(text)
    token = key.make("--sub", "ann")
    assert key.read(token)[0] == {"alg": algorithm, "typ": "JWT", "kid": key.jwk["kid"]}
    for keys in (public, key.public_path):
        code, lines, errors = run(None, "token", "check", token, "--keys", keys)
        assert (code, lines[0]) == (DONE, "valid"), errors


def test_a_key_may_have_a_name(tmp_path):
    key = Key(tmp_path, "EdDSA", ".jwk", "--kid", "2026-11")
    assert key.jwk["kid"] == "2026-11" and key.read(key.make())[0]["kid"] == "2026-11"


# Tokens


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_library_takes_the_token(keys, algorithm):
    began = int(time.time())
    token = keys[algorithm].make("--sub", "ann", "--subscribe", "news,user:{sub}:*", "--publish", "chat:**", "--history",
                                 "news", "--channels", "user:ann", "--expires", "15m", "--iss", "shop", "--aud", "push")
    header, claims = keys[algorithm].read(token, audience="push", issuer="shop")
    assert header == {"alg": algorithm, "typ": "JWT", "kid": keys[algorithm].jwk["kid"]}
    assert claims["sub"] == "ann" and claims["exp"] - claims["iat"] == 900 and claims["iat"] >= began
    assert claims["push"] == {"subscribe": ["news", "user:{sub}:*"], "publish": ["chat:**"], "history": ["news"],
                              "channels": ["user:ann"]}
    assert keys[algorithm].read(keys[algorithm].make("--sub", "ann"))[1]["jti"] != claims["jti"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_valid_token_is_told_from_one_of_another_key(keys, algorithm, tmp_path):
    code, lines, errors = keys[algorithm].check(keys[algorithm].make("--sub", "ann", "--subscribe", "news"))
    assert (code, lines[0]) == (DONE, "valid"), errors
    assert {"user       ann", "subscribe  news"} <= set(lines)
    other = Key(tmp_path, algorithm, ".jwk", "--kid", keys[algorithm].jwk["kid"])
    code, lines, errors = keys[algorithm].check(other.make("--sub", "ann"))
    assert (code, lines) == (NO, []) and errors.startswith("push: refused: "), errors


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_another_library_is_checked(keys, algorithm):
    token = foreign_token(keys[algorithm], {"sub": "ann", "exp": int(time.time()) + 3600, "push": {"publish": ["a"]}})
    code, lines, errors = keys[algorithm].check(token, "--may", "publish:a")
    assert (code, lines[0], lines[-1]) == (DONE, "valid", "may publish:a"), errors


def test_what_it_may_do_is_said(key):
    token = key.make("--sub", "ann", "--subscribe", "news,user:{sub}:*", "--publish", "chat:*")
    assert key.check(token, "--may", "subscribe:news,publish:chat:7,subscribe:user:ann:in")[:2][1][-3:] == [
        "may subscribe:news", "may publish:chat:7", "may subscribe:user:ann:in"]
    for question, answer in (("publish:news", "no right to publish to 'news'"), ("history:news", "no right to read the history of 'news'"),
                             ("subscribe:user:bob:in", "no right to subscribe to 'user:bob:in'")):
        code, lines, _ = key.check(token, "--may", question)
        assert (code, lines[-1]) == (NO, answer)


def test_time_issuer_and_audience_are_checked(key):
    old = foreign_token(key, {"exp": int(time.time()) - 3600})
    code, lines, errors = key.check(old)
    assert code == NO and "expired" in errors and "valid" not in lines
    assert any(re.fullmatch(r"expires    \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, 1h( \d+\w)? ago", line) for line in lines), lines
    token = key.make("--iss", "shop", "--aud", "push")
    assert key.check(token, "--iss", "shop", "--aud", "push")[0] == DONE
    for wrong in (("--iss", "bank"), ("--aud", "mail")):
        code, _, errors = key.check(token, *wrong)
        assert code == NO and errors.startswith("push: refused: "), errors
    code, _, errors = run(None, "token", "make", "--key", key.path, "--expires", "never")
    assert code == DONE and "push.auth.exp.required=off" in errors
    assert key.check(foreign_token(key, {"sub": "ann"}))[0] == NO, "no exp"


def test_an_explained_token_is_said_not_to_be_verified(key):
    token = key.make("--sub", "ann", "--subscribe", "news", "--expires", "2d")
    for word, stdin in ((token, ""), ("-", f"  {token}\n"), ("-", f"Bearer {token}")):
        code, lines, errors = run(None, "token", "explain", word, stdin=stdin)
        assert code == DONE and errors.startswith("push: not verified: ")
        assert json.loads(lines[0].split(None, 1)[1])["alg"] == "ES256"
        assert json.loads(lines[1].split(None, 1)[1])["sub"] == "ann"
        assert {"user       ann", "subscribe  news"} <= set(lines)
        assert any(re.match(r"expires    .*Z, in (1d 23h|2d)", line) for line in lines), lines
    for broken in ("a.b", "a.b.c.d", "a.b.c", "", "=.=.=", token + "."):
        code, _, errors = run(None, "token", "explain", "-", stdin=broken)
        assert code == NO and errors, broken


def test_keys_of_others_sign_too(tmp_path):
    for name, words in {"EC": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "RSA": ["-algorithm", "RSA"],
                        "ED": ["-algorithm", "ED25519"]}.items():
        path, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        subprocess.run(["openssl", "genpkey", *words, "-out", path], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-out", public], check=True)
        code, lines, errors = run(None, "token", "make", "--key", path, "--sub", "ann")
        assert code == DONE, errors
        jwt.decode(lines[0], public.read_text(), algorithms=["ES256", "RS256", "EdDSA"])
        code, checked, errors = run(None, "token", "check", lines[0], "--keys", public)
        assert (code, checked[0]) == (DONE, "valid"), errors
    code, lines, errors = run(None, "token", "make", "--key", tmp_path / "RSA.pem", "--alg", "PS256")
    assert code == DONE and jwt.get_unverified_header(lines[0])["alg"] == "PS256", errors


def test_one_key_of_a_set_is_chosen(keys, tmp_path):
    several = tmp_path / "keys.json"
    several.write_text(json.dumps({"keys": [json.loads(keys[name].path.read_text()) for name in ("ES256", "EdDSA")]}))
    code, lines, errors = run(None, "token", "make", "--key", several)
    assert (code, lines) == (NO, []) and "choose one with --kid" in errors
    code, lines, _ = run(None, "token", "make", "--key", several, "--kid", keys["EdDSA"].jwk["kid"])
    assert code == DONE and keys["EdDSA"].read(lines[0])
    code, _, errors = run(None, "token", "make", "--key", several, "--kid", "none")
    assert code == NO and "no key of the set" in errors


@pytest.mark.parametrize("content,said", [
    ("", "neither a JWK nor a private key in PEM"), ("{", "not valid JSON"), ("{}", "no kty: not a JWK"),
    ('{"keys":[]}', "a set without keys"), ('{"kty":"EC","crv":"P-256","x":"","y":""}', "a public key: tokens are made with"),
    ('{"kty":"EC","crv":"P-521","d":"AA"}', "crv must be P-256 or P-384"), ('{"kty":"OKP","crv":"X25519","d":"AA"}', "crv must be Ed25519"),
    ('{"kty":"oct","k":"c2VjcmV0"}', "k must be a secret of 32 to 512 bytes"), ('{"kty":"RSA","d":"AA"}', "an RSA key needs the members"),
    ('{"kty":"DSA","d":"AA"}', "kty must be EC, OKP, RSA or oct"), ("-----BEGIN PUBLIC KEY-----\n", "a public key: tokens"),
    ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "encrypted: remove the passphrase first")])
def test_a_file_that_is_no_private_key_is_refused(tmp_path, content, said):
    (tmp_path / "key").write_text(content)
    code, lines, errors = run(None, "token", "make", "--key", tmp_path / "key")
    assert (code, lines) == (NO, []) and errors.startswith(f"push: {tmp_path}/key: {said}"), errors


def test_two_halves_that_are_no_pair_are_refused(keys, tmp_path):
    for name in ("ES256", "EdDSA"):
        other = Key(tmp_path, name)
        mixed = {**json.loads(keys[name].path.read_text()), "d": json.loads(other.path.read_text())["d"]}
        (tmp_path / "mixed").write_text(json.dumps(mixed))
        code, _, errors = run(None, "token", "make", "--key", tmp_path / "mixed")
        assert code == NO and "d is not the private key of x" in errors


# Publish keys


def test_a_publish_key_is_shown_once_and_its_hash_goes_into_the_file(tmp_path):
    code, lines, errors = run(None, "token", "publish-key", "shop", "orders:*,news", "--rate", "100/s", "--bytes", "1mb/s")
    line, key = lines
    assert code == DONE and re.fullmatch(r"push_[\w-]{43}", key) and "shown only this once" in errors
    assert line == f"shop {hashlib.sha256(key.encode()).hexdigest()} orders:*,news rate=100/s bytes=1mb/s"

    path = tmp_path / "publish.keys"
    made = [run(None, "token", "publish-key", name, "**", "--out", path)[1] for name in ("shop", "bank")]
    assert mode(path) == 0o600 and [len(lines) for lines in made] == [1, 1] and made[0] != made[1]
    assert path.read_text() == "".join(f"{name} {hashlib.sha256(lines[0].encode()).hexdigest()} **\n"
                                       for name, lines in zip(("shop", "bank"), made))
    # a line without an end, and one that the server would refuse
    path.write_text("# ours")
    assert run(None, "token", "publish-key", "shop", "**", "--out", path)[0] == DONE
    assert path.read_text().startswith("# ours\nshop ")
    code, lines, errors = run(None, "token", "publish-key", "shop", "**", "--rate", "1/s", "--out", path)
    assert (code, lines) == (NO, []) and "line 3: the same NAME as in line 2, and other limits" in errors
    assert path.read_text().count("\n") == 2


@pytest.mark.parametrize("words,said", [
    (("key",), "--out FILE: say where the private key goes"),
    (("key", "--alg", "none", "--out", "x"), "--alg none: must be ES256, ES384, EdDSA, RS256, PS256 or HS256"),
    (("key", "--alg", "HS256", "--out", "x.pem"), "--out x.pem: a secret has no PEM"),
    (("key", "--out", "x", "--kid", ""), "--kid : must be a text of 1 to 255 bytes"),
    (("make",), "--key FILE: say which private key signs it"),
    (("make", "--key", "KEY", "--subscribe", "a,,b"), "--subscribe: bad pattern '': empty"),
    (("make", "--key", "KEY", "--channels", "a\nb"), "--channels: bad channel name 'a?b': has a control character"),
    (("make", "--key", "KEY", "--channels", "a,b*"), "--channels: must be names, not patterns: 'b*'"),
    (("make", "--key", "KEY", "--channels", "user:{sub}"), "--channels: must be names, not patterns: 'user:{sub}'"),
    (("make", "--key", "KEY", "--expires", "soon"), "--expires soon: must be a duration, such as 90s"),
    (("make", "--key", "KEY", "--expires", "0s"), "--expires 0s: must be a duration"),
    (("make", "--key", "KEY", "--sub", ""), "--sub '': must be a text"),
    (("check", "x"), "--keys PATH: say which keys"), (("check",), "usage: push token check TOKEN|@FILE|- [option...]"),
    (("check", "x", "--keys", "KEY", "--may", "read:a"), "--may read:a: must be subscribe:CHANNEL"),
    (("publish-key", "sh/op", "**"), "NAME must be 1 to 64 letters"), (("publish-key", "shop", "a b"), "PATTERNS 'a b': must be one word"),
    (("publish-key", "shop", "**", "--rate", "fast"), "rate= must be"), (("publish-key", "shop", "{sub}"), "{sub} is the user"),
    (("mkae",), "token mkae: no such command; did you mean token make? (push token --help)")])
def test_a_wrong_command_line_is_said(key, words, said):
    code, lines, errors = run(None, "token", *[key.path if word == "KEY" else word for word in words])
    assert (code, lines) == (USAGE, []) and errors.startswith("push: " + said), errors


def pattern_rows():
    text = (SOURCE / "docs/tokens.md").read_text().split("## Patterns\n")[1].split("\n## ")[0]
    rows = [[re.findall(r"`(.+?)`", cell) for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| `")]
    return [(row[0][0], row[1], row[2] if len(row) > 2 else []) for row in rows]


@pytest.mark.parametrize("pattern,matched,others", pattern_rows())
def test_each_row_of_the_table_of_patterns_is_true(key, pattern, matched, others):
    assert matched or pattern == "**"
    token = key.make("--sub", "ann", "--subscribe", pattern)
    asked = [(channel, DONE) for channel in matched or ["any:channel:at:all"]] + [(channel, NO) for channel in others]
    for channel, expected in asked:
        code, lines, _ = run(None, "token", "check", token, "--keys", key.public_path, "--may", f"subscribe:{channel}")
        assert code == expected, (channel, lines)


def test_a_file_without_an_at_sign_is_hinted_at(key, tmp_path):
    file = tmp_path / "token.txt"
    file.write_text(key.make("--sub", "ann"))
    for words in (("explain",), ("check", "--keys", key.public_path)):
        code, lines, errors = run(None, "token", *words, file)
        assert (code, lines) == (NO, []) and errors.endswith(f"push: to read the token from the file, write @{file}\n")
        assert run(None, "token", *words, f"@{file}")[0] == DONE


def test_the_group_says_what_is_in_it():
    code, lines, _ = run(None, "token", "--help")
    assert code == DONE and run(None, "token")[:2] == (USAGE, lines)
    assert [line.split("  ")[1] for line in lines if line.startswith("  token ")] == [
        "token key", "token make", "token check", "token explain", "token publish-key"]


def test_a_token_that_no_server_would_take_is_not_made(key):
    many = ",".join(f"channel-with-a-long-name:{number}" for number in range(120))
    code, lines, errors = run(None, "token", "make", "--key", key.path, "--subscribe", many)
    assert (code, lines) == (NO, []) and "a server takes 4096 at most" in errors
