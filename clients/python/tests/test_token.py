"""Tokens: how the Python client shows and renews them, and what is final."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from push_client import Push, PushError
from server import Server
from tokens import Key, write_jwks

KEY = Key()
PATIENCE_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    write_jwks(file, KEY)
    with Server(PUSH_AUTH_KEYS=str(file), PUSH_AUTH_LEEWAY="0", PUSH_HISTORY_SIZE=10) as running:
        yield running


def token(**claims):
    return KEY.token(**{"subscribe": ["news"], "publish": ["news"], "history": ["news"], **claims})


def test_the_readme_shows_a_program_that_shows_a_token(server, tmp_path):
    package = Path(__file__).resolve().parent.parent
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", (package / "README.md").read_text(), re.S) if "token=" in code]
    (tmp_path / "program.py").write_text(code.replace("http://localhost:8080", f"http://127.0.0.1:{server.port}"))
    for shown, expected in ((token(), "subscribed\n"), (token(subscribe=[]), "refused: no right to subscribe to 'news'\n")):
        (tmp_path / "token.txt").write_text(shown + "\n")
        with subprocess.Popen([sys.executable, "-u", "program.py"], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": str(package)}) as process:
            try:
                assert process.stdout.readline() == expected
            finally:
                process.kill()


class Source:
    """A function that returns these, the last one again and again."""

    def __init__(self, *tokens):
        self.tokens, self.asked = tokens, 0

    async def __call__(self):
        self.asked += 1
        found = self.tokens[min(self.asked, len(self.tokens)) - 1]
        if isinstance(found, Exception):
            raise found
        return found


def run(server, source, test, *channels, **handlers):
    async def body():
        async with asyncio.timeout(PATIENCE_S), Push(f"http://127.0.0.1:{server.port}", token=source) as push:
            await test(push, push.subscribe(*(channels or ("news",)), **handlers))
    asyncio.run(body())


def test_too_many_connections_of_one_user_are_waited_for(tmp_path):
    write_jwks(tmp_path / "keys.json", KEY)
    waiting = asyncio.Event()

    def note(state, _why):
        if state == "waiting":
            waiting.set()

    async def test(push, subscription):
        async with subscription:
            await subscription.opened()
            second = push.subscribe("news", state=note)
            async with second:
                await waiting.wait()
                await subscription.close()
                await second.opened()

    with Server(PUSH_AUTH_KEYS=str(tmp_path / "keys.json"), PUSH_LIMIT_USER_CONNECTIONS=1) as server:
        run(server, token(sub="ann"), test)


@pytest.mark.parametrize("kind", ["a string", "a function", "a coroutine", "another one after a refusal", "later"])
def test_a_token_is_shown_by_subscriptions_and_requests(server, kind):
    async def test(push, subscription):
        await subscription.opened()
        assert (await push.publish("news", kind)).subscribers == 1
        assert (await anext(subscription)).message == kind
        assert (await push.history("news")).messages[-1].message == kind
    run(server, {"a string": token(), "a function": token, "a coroutine": Source(token()),
                 "another one after a refusal": Source("junk", token()), "later": Source(OSError("away"), token())}[kind], test)


@pytest.mark.parametrize("source, asked, code, why", [
    ("junk", None, 4401, "not a signed JWT"), (Source("junk"), 2, 4401, "not a signed JWT"),
    (Source(token(subscribe=["other"])), 1, 4403, "no right to subscribe to 'news'"),
    (Source(token(exp=-60), "junk"), 2, 4401, "not a signed JWT")], ids=["a string", "twice", "no right", "expired"])
def test_refusals_that_are_final_are_raised(server, source, asked, code, why):
    async def test(push, subscription):
        with pytest.raises(PushError, match=why) as raised:
            await subscription.opened()
        assert raised.value.code == code
        assert asked is None or source.asked == asked
    run(server, source, test)


def test_a_request_asks_for_another_token_once(server):
    source = Source("junk", token(), "junk")

    async def test(push, subscription):
        await push.publish("news", 1)
        await push.publish("news", 2)
        assert source.asked == 2
        with pytest.raises(PushError, match="no right to publish to 'other'") as raised:
            await push.publish("other", 1)
        assert raised.value.status == 403
    run(server, source, test)


def test_a_token_is_renewed_before_it_expires_and_channels_that_are_not_granted_are_left(server):
    states, errors = [], []

    async def test(push, subscription):
        await subscription.opened()
        renewal = asyncio.ensure_future(anext(subscription))
        while not errors:
            await asyncio.sleep(0.01)
        await push.publish("news", "later")
        assert (await renewal).message == "later"
        assert errors == [("no right to subscribe to 'more'", ["more"])]
        assert states == ["connecting", "open"]
    run(server, Source(token(subscribe=["news", "more"], exp=6), token()), test, "news", "more",
        error=lambda error, channels: errors.append((error, channels)), state=lambda state, why: states.append(state))


def test_a_token_that_cannot_change_ends_the_loop_when_it_expires(server):
    async def test(push, subscription):
        with pytest.raises(PushError, match="the token has expired"):
            await anext(subscription)
    run(server, token(exp=2), test)


def test_a_token_is_a_text_or_a_function():
    with pytest.raises(TypeError, match="token must be a str or a function"):
        Push("http://localhost", token=7)
