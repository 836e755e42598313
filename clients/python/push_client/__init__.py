"""
Client of the Push server, for asyncio.

    async with Push("http://localhost:8080") as push:
        await push.publish("news", {"hello": "world"})
        async with push.subscribe("news") as subscription:
            async for message in subscription:
                print(message.channel, message.message)

A subscription reconnects, resumes where it was, and reports what is missing (`gap`). With `acks=True` it acknowledges
each message once the loop has asked for the next one; with `client="NAME"` the server remembers how far that was.
"""

from ._push import Push
from ._subscription import Subscription
from ._types import Gap, History, Message, Published, PushError, State, Why

__all__ = ["Gap", "History", "Message", "Published", "Push", "PushError", "State", "Subscription", "Why"]
