"""Keys and tokens of the libraries that applications use: Push takes them as they are, at the first try.

A program for each library.  PROGRAM <CLAIMS prints a list of {"alg", "token", "jwk", "pem", "private", "private_pem"}: for
each algorithm that it knows, a token with these claims, and its key as the library exports it.
"""

import json
import subprocess
import time
from pathlib import Path

import jwt
import pytest

from http1 import post, request
from server import BUILD, TOOLS, Server
from tokens import bearer

HERE = Path(__file__).resolve().parent
HOME = TOOLS / "clients"
SLACK_S = 100
ALL = ["ES256", "ES384", "EdDSA", "RS256", "PS256", "HS256"]
LIBRARIES = {
    "jwcrypto": ("python", "keys_jwcrypto.py", ALL),
    "joserfc": ("python", "keys_joserfc.py", ALL),
    "python-jose": ("python", "keys_python_jose.py", ["ES256", "ES384", "RS256", "HS256"]),
    "jose": ("node", "keys_jose.mjs", ALL),
    "openssl": (None, None, ["ES256", "ES384", "EdDSA", "RS256"]),
}
# as in any answer to "how do I make a key"
OPENSSL = {"ES256": "ecparam -name prime256v1 -genkey -noout", "ES384": "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
           "EdDSA": "genpkey -algorithm ed25519", "RS256": "genrsa 2048"}


def openssl_keys(claims):
    """openssl makes the keys; PyJWT, which reads its PEM, the tokens."""
    made = []
    for algorithm, command in OPENSSL.items():
        private = subprocess.run(["openssl", *command.split()], capture_output=True, text=True, check=True).stdout
        public = subprocess.run(["openssl", "pkey", "-pubout"], input=private, capture_output=True, text=True, check=True).stdout
        made.append({"alg": algorithm, "token": jwt.encode(claims, private, algorithm), "jwk": None, "private": None,
                     "pem": public, "private_pem": private})
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What each library has made; those that are not on this machine are not in it."""
    subprocess.run([HERE / "fetch", "python", "node"], check=True)
    folder = tmp_path_factory.mktemp("node")  # a module is looked for where the importing file lies
    (folder / "keys_jose.mjs").write_text((HERE / "node/keys_jose.mjs").read_text())
    (folder / "node_modules").symlink_to(HOME / "node/node_modules")
    claims = {"sub": "ann", "iat": int(time.time()), "exp": int(time.time()) + 3600, "push": {"publish": ["news"]}}
    running = {}
    for name, (language, program, _) in LIBRARIES.items():
        if language and (HOME / language / ".done").exists():
            command = ["node", folder / program] if language == "node" else [HOME / "python/bin/python", HERE / "python" / program]
            running[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            running[name].stdin.write(json.dumps(claims))
            running[name].stdin.close()
    found = {"openssl": openssl_keys(claims)}
    for name, program in running.items():
        found[name] = json.loads(program.stdout.read())
        assert program.wait(SLACK_S) == 0
    return found


@pytest.fixture(scope="module")
def jwks(made, tmp_path_factory):
    """A server with a JWK set of each library."""
    folder = tmp_path_factory.mktemp("jwks")
    for name, rows in made.items():
        if rows[0]["jwk"]:
            (folder / f"{name}.json").write_text(json.dumps({"keys": [row["jwk"] for row in rows]}))
    with Server(PUSH_AUTH_KEYS=str(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def pem(made, tmp_path_factory):
    """A server with a file of each library in which its keys stand one after the other; an RSA key in PEM is for RS256."""
    folder = tmp_path_factory.mktemp("pem")
    for name, rows in made.items():
        (folder / f"{name}.pem").write_text("\n".join(row["pem"] for row in rows if row["pem"] and row["alg"] != "PS256"))
    with Server(PUSH_AUTH_KEYS=str(folder)) as server:
        yield server


def rows_of(made, name):
    if name not in made:
        pytest.skip(f"no {name}: tests/clients/fetch gets it")
    assert [row["alg"] for row in made[name]] == LIBRARIES[name][2]
    return made[name]


def publish(server, row):
    return request(server.port, post('{"channel":"news","message":1}', headers=bearer(row["token"])))


@pytest.mark.parametrize("name", [name for name in LIBRARIES if name != "openssl"])
def test_tokens_are_verified_by_the_keys_that_a_library_exports_as_jwk(made, jwks, name):
    rows = rows_of(made, name)
    assert {row["alg"]: publish(jwks, row).status for row in rows} == {row["alg"]: 202 for row in rows}


@pytest.mark.parametrize("name", LIBRARIES)
def test_tokens_are_verified_by_the_keys_that_a_library_exports_as_pem(made, pem, name):
    rows = [row for row in rows_of(made, name) if row["pem"]]
    assert {row["alg"]: publish(pem, row).status for row in rows} == {
        row["alg"]: 401 if row["alg"] == "PS256" else 202 for row in rows}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_private_key_is_refused_by_its_name(made, tmp_path, name):
    """Of both forms: whoever gives Push one has taken the wrong file."""
    for row in rows_of(made, name):
        for form, text in ("jwk", row["private"] and json.dumps(row["private"])), ("pem", row["private_pem"]):
            if not text or row["alg"] == "HS256":
                continue
            file = tmp_path / f"{row['alg']}.{form}"
            file.write_text(text)
            run = subprocess.run([BUILD / "server/push", "token", "check", row["token"], "--keys", file],
                                 capture_output=True, text=True, timeout=SLACK_S)
            assert run.returncode != 0 and "a private key; Push must have the public key only" in run.stderr, run.stderr
