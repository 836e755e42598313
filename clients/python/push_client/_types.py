"""What the client gives to a program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["idle", "connecting", "open", "moving", "waiting", "refused", "closed"]
"""
    idle -> connecting -> open -> moving -> open    asked to reconnect: the new connection opens, then the old one closes
                ^           |
                +- waiting <+    lost: tried again after a random time that doubles
    refused: the server would refuse it again           closed: the program has closed the subscription
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a channel; `id` only if the channel has history."""

    channel: str
    message: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of the channel are missing: so many, or an unknown number (None). Without a channel, it may be any."""

    channel: str | None
    missed: int | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a connection ended: the close code or the HTTP status, the server's words, seconds until the next try."""

    code: int | None = None
    status: int | None = None
    error: str | None = None
    silent: bool = False
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """How many clients a message was accepted for and, if the publish waited, written to."""

    subscribers: int
    written: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What is kept of a channel after `since`. Read on with `since=history.id`, at once if there is `more`."""

    messages: list[Message]
    missed: int | None
    id: str
    more: bool


class PushError(Exception):
    """The server refused a request, or could not be reached: its words, the HTTP status or the close code."""

    def __init__(self, error: str, *, status: int | None = None, code: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.code = code


def channel_names(channels: Iterable[str]) -> list[str]:
    """The names, once each. A URL cannot carry a name with a comma."""
    names = list(dict.fromkeys(channels))
    for name in names:
        if not isinstance(name, str) or not name or "," in name:
            raise ValueError(f"a channel must be a name without a comma, not {name!r}")
    return names
