"""Putting on the broker what a row needs there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel

IN_FLIGHT: Final = 500


@dataclass(frozen=True)
class Publisher:
    channel: AbstractChannel

    async def publish(self, exchange: str, messages: Sequence[tuple[str, bytes]]) -> None:
        """Several hundred unconfirmed at a time."""
        room = asyncio.Semaphore(IN_FLIGHT)
        target = await self.channel.get_exchange(exchange) if exchange else self.channel.default_exchange

        async def send(key: str, body: bytes) -> None:
            async with room:
                content = "application/json"
                message = aio_pika.Message(body, content_type=content, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await target.publish(message, key)

        await asyncio.gather(*(send(key, body) for key, body in messages))


@asynccontextmanager
async def publisher(url: str) -> AsyncIterator[Publisher]:
    """For a row that publishes while it measures: a connection costs the broker more than a message."""
    async with await aio_pika.connect(url) as connection:
        yield Publisher(await connection.channel())


async def publish(url: str, exchange: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Fill the broker before something is measured."""
    async with publisher(url) as own:
        await own.publish(exchange, messages)
