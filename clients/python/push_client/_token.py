"""The token that a client shows."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Union

Token = Union[str, Callable[[], Union[str, Awaitable[str]]]]
"""A token, or a function that returns one, also a coroutine: it is called on the loop."""


class Tokens:
    """Keeps what the function has returned until it is about to expire, or was refused."""

    def __init__(self, token: Token | None) -> None:
        if token is not None and not isinstance(token, str) and not callable(token):
            raise TypeError("token must be a str or a function")
        self._token = token
        self._kept: str | None = None

    @property
    def can_change(self) -> bool:
        return callable(self._token)

    def forget(self) -> bool:
        """Returns whether there may be another one."""
        self._kept = None
        return self.can_change

    async def get(self) -> str | None:
        if self._kept is None:
            given: Any = self._token() if callable(self._token) else self._token
            self._kept = await given if inspect.isawaitable(given) else given
        return self._kept
