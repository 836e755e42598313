"""How the command `push` shows who it is, renews that, and what it says of refusals."""

import hashlib
import json
import time

import pytest

from http1 import post, request
from push_command import DONE, REFUSED, TRANSPORTS, USAGE, Running, run
from server import Server
from tokens import Key, bearer, write_jwks

KEY = Key()
PUBLISH_KEY = "push_0123456789abcdef"
transports = pytest.mark.parametrize("how", TRANSPORTS.values(), ids=TRANSPORTS.keys())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    write_jwks(folder / "keys.json", KEY)
    (folder / "publish.keys").write_text(f"shop {hashlib.sha256(PUBLISH_KEY.encode()).hexdigest()} orders\n")
    with Server(PUSH_AUTH_KEYS=str(folder / "keys.json"), PUSH_PUBLISH_KEYS=str(folder / "publish.keys"),
                PUSH_AUTH_LEEWAY="0", PUSH_HISTORY_SIZE="10", PUSH_CLIENT_CLOSE_GRACE_PERIOD_DURATION="1s") as running:
        yield running


def token(**claims):
    return KEY.token(**{"subscribe": ["news"], "publish": ["news"], "history": ["news"], **claims})


def tell(server, channel, message):
    body = json.dumps({"channel": channel, "message": message})
    assert request(server.port, post(body, headers=bearer(KEY.token(publish=["**"])))).status == 202


def test_a_token_comes_from_the_command_line_a_file_stdin_and_the_environment(server, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"Bearer {token()}\n")
    for options, stdin, env in ((["--token", token()], "", {}), (["--token", f"@{file}"], "", {}),
                                (["--token", "-"], token(), {}), ([], "", {"PUSH_TOKEN": token()}),
                                ([], "", {"PUSH_TOKEN": f"@{file}"}), ([], "", {"PUSH_TOKEN": "bad", "PUSH_KEY": token()}),
                                (["--header", f"Authorization: Bearer {token()}"], "", {"PUSH_TOKEN": "bad"})):
        code, _, errors = run(server, "pub", "news", "hello", *options, stdin=stdin, **env)
        assert (code, errors) == (DONE, ""), (options, env)
    assert run(server, "history", "news", "--token", token())[:2] == (DONE, ["hello"] * 7)
    assert run(server, "pub", "news", "-", "--token", token(), stdin="a\nb\n")[0] == DONE


def test_a_publish_key_publishes(server):
    assert run(server, "pub", "orders", "1", PUSH_KEY=PUBLISH_KEY)[0] == DONE
    assert run(server, "pub", "orders", "1", "--token", PUBLISH_KEY)[0] == DONE


@transports
def test_sub_shows_its_token(server, how):
    with Running(server, "sub", "news", *how, "--token", token()) as sub:
        sub.connected()
        tell(server, "news", "hello")
        assert sub.wait_lines(1) == ["hello"]


@pytest.mark.parametrize("command", [("pub", "news", "m"), ("pub", "news", "-"), ("history", "news"), ("sub", "news"),
                                     ("sub", "news", "--sse"), ("sub", "news", "--retry")], ids=" ".join)
def test_refusals_are_final_and_say_why_and_no_token_is_shown(server, command):
    for shown, why in ((token(exp=-60), "the token has expired"), ("junk", "the token is not a signed JWT"),
                       (KEY.token(subscribe=["other"]), "no right to ")):
        code, lines, errors = run(server, *command, stdin="m\n", PUSH_TOKEN=shown)
        assert (code, lines) == (REFUSED, []) and why in errors, errors
        assert shown not in errors
    code, _, errors = run(server, *command, stdin="m\n")
    assert code == REFUSED and "push: show a token with --token or PUSH_TOKEN\n" in errors, errors


def test_the_file_is_read_again_before_the_token_expires_and_nothing_is_lost(server, tmp_path):
    file = tmp_path / "token"
    file.write_text(token(exp=5))
    end = time.monotonic() + 6
    command = ("sub", "news", "--token", f"@{file}")
    with Running(server, *command) as socket, Running(server, *command, "--sse") as stream:
        both = socket.connected(), stream.connected()
        file.write_text(token())
        socket.error("^push: the token was renewed$")
        time.sleep(max(0, end - time.monotonic()))
        tell(server, "news", "later")
        for sub in both:
            assert sub.wait_lines(1) == ["later"]
            assert not [line for line in sub.errors if "lost" in line], sub.errors


def test_a_file_with_another_token_is_tried_when_one_is_refused(server, tmp_path):
    file = tmp_path / "token"
    file.write_text(token(sub="ann", exp=4))
    with Running(server, "sub", "news", "--token", f"@{file}") as sub:
        sub.connected()
        file.write_text(token(sub="bob"))
        sub.error("^push: error: the token is another user's$")
        sub.error("^push: connected again to ")


def test_a_stream_that_expires_ends_with_the_reason(server):
    with Running(server, "sub", "news", "--token", token(exp=3)) as sub:
        sub.error("the token has expired")
        assert sub.wait() == REFUSED


def test_what_cannot_be_a_token_is_refused_before_anything_is_sent(server, tmp_path):
    for options, why in ((["--token", "a b"], "the token has spaces or other characters that no token has"),
                         (["--token", "x" * 5000], "the token is longer than 4096 bytes"),
                         (["--token", f"@{tmp_path}/none"], "No such file or directory"),
                         (["--token", ""], "there is no token"),
                         (["--token", "a", "--header", "authorization: Bearer b"], "--token is not supported with --header")):
        code, _, errors = run(server, "pub", "news", "hello", *options)
        assert code == USAGE and why in errors, errors
    assert run(server, "pub", "news", "-", "--token", "-", stdin="x")[0] == USAGE
