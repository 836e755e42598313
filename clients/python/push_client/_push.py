"""A Push server, by HTTP: publish, and read history."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from types import TracebackType
from typing import Any

from ._subscription import Handlers, Subscription
from ._token import Token, Tokens
from ._types import History, Message, Published, PushError

TIMEOUT_S = 30.0
"""Of an HTTP request; a publish that waits is answered within the server's push.publish.wait.max, 5 s by default."""


class Push:
    """
    A Push server at `url`, which is http(s), with the path in front of Push's own, if there is one.

    token: who you are, where the server asks for it: a token or publish key, or a function (also async) that returns one.
    It is called again before the token expires, and once when one is refused.
    """

    def __init__(self, url: str, *, token: Token | None = None) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} must begin with http:// or https://")
        self._tokens = Tokens(token)
        self._subscriptions: set[Subscription] = set()

    async def __aenter__(self) -> Push:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all its subscriptions."""
        for subscription in list(self._subscriptions):
            await subscription.close()

    def subscribe(self, *channels: str, id: str | None = None, acks: bool = False, client: str | None = None,
                  **handlers: Any) -> Subscription:
        """
        A subscription to channels; it connects when it is entered (`async with`) or iterated.

        id: where to start: the `id` of a message that was kept.
        acks: acknowledge what the loop has done; the server sends the rest again.
        client: a name whose position the server keeps; implies acks. One subscription at a time.

        Handlers are functions that are called in order with the messages, by the loop:
        gap(Gap): messages are missing here.
        resumed(replayed): it was away, and nothing is missing.
        unknown(): the server does not know this client: it starts now.
        error(error, channels): the server refused something; channels that it refused are left.
        state(State, Why): as it changes, called at once.
        """
        subscription = Subscription(self.url, channels, id=id, acks=acks, client=client, handlers=Handlers(**handlers),
                                    tokens=self._tokens)
        self._subscriptions.add(subscription)
        subscription.on_closed(self._subscriptions.discard)
        return subscription

    async def publish(self, channel: str, message: Any, *, ttl: str | int | None = None, key: str | None = None,
                      wait: bool = False) -> Published:
        """
        Publishes any JSON value. Raises PushError.

        ttl: how long it may be replayed, such as "30s", or milliseconds.
        key: an Idempotency-Key: the same publish may be repeated, and is published once.
        wait: until it is written to the sockets of all subscribers, which `written` counts.
        """
        body = {"channel": channel, "message": message} | ({} if ttl is None else {"ttl": ttl})
        answer = await self._request("/messages?wait=written" if wait else "/messages", json.dumps(body),
                                     {"Idempotency-Key": key} if key else {})
        return Published(answer["subscribers"], answer.get("written"))

    async def history(self, channel: str, *, since: str | None = None, limit: int = 100) -> History:
        """Reads what is kept of a channel: at most `limit` messages (1000 at most), after `since`. Raises PushError."""
        query = {"channel": channel, "limit": str(limit)} | ({"since": since} if since else {})
        answer = await self._request("/messages?" + urllib.parse.urlencode(query))
        missed = answer.get("missed")
        return History([Message(channel, each["message"], each.get("id")) for each in answer["messages"]],
                       missed if isinstance(missed, int) else None, answer["id"], answer["more"])

    async def _request(self, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        try:
            return await self._try(path, body, headers or {})
        except PushError as error:
            if error.status != 401 or not self._tokens.forget():
                raise
        return await self._try(path, body, headers or {})

    async def _try(self, path: str, body: str | None, headers: dict[str, str]) -> Any:
        token = await self._tokens.get()
        if token:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.url + path, data=None if body is None else body.encode(),
                                         headers={"Content-Type": "application/json", **headers})
        return await asyncio.to_thread(_fetch, request)


def _fetch(request: urllib.request.Request) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise PushError(_words(error.read()) or f"status {error.code}", status=error.code) from error
    except urllib.error.URLError as error:
        raise PushError(f"no connection to {request.full_url}: {error.reason}") from error
    except (OSError, ValueError) as error:
        raise PushError(f"no answer from {request.full_url}: {error}") from error


def _words(body: bytes) -> str | None:
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError):
        return None
    return error if isinstance(error, str) else None
