"""Filling the broker before something is measured."""

import asyncio
from collections.abc import Sequence
from typing import Final

import aio_pika

IN_FLIGHT: Final = 500


async def publish(url: str, exchange: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Put messages on the broker, several hundred unconfirmed at a time."""
    room = asyncio.Semaphore(IN_FLIGHT)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange) if exchange else channel.default_exchange

        async def send(key: str, body: bytes) -> None:
            async with room:
                content = "application/json"
                message = aio_pika.Message(body, content_type=content, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await target.publish(message, key)

        await asyncio.gather(*(send(key, body) for key, body in messages))
