"""A look at the broker's queues from outside, with a deadline on everything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import aio_pika

from contracts.envelope import BATCH_CONTENT_TYPE, batch, decode, decode_batch

WAIT_SECONDS = 30.0


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition lives in another process
            await asyncio.sleep(0.05)


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url, timeout=WAIT_SECONDS) as connection:
        yield await connection.channel()


async def read_all(url: str, queue: str) -> list[UUID]:
    """Take everything out of a queue: the subjects of its events, in order."""
    subjects: list[UUID] = []
    async with channel(url) as one:
        mine = await one.get_queue(queue)
        while message := await mine.get(fail=False):
            subjects += [decode(raw).subject for raw in decode_batch(message.body)]
            await message.ack()
    return subjects


async def depth(url: str, queue: str) -> int:
    """Messages that are ready in a queue."""
    async with channel(url) as one:
        declared = await one.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


async def publish(url: str, routing_key: str, body: bytes | Sequence[str]) -> None:
    """Publish one body, or a batch of CloudEvents, to the topic exchange."""
    async with channel(url) as one:
        exchange = await one.get_exchange("events")
        data = body if isinstance(body, bytes) else batch(body)
        message = aio_pika.Message(
            data, content_type=BATCH_CONTENT_TYPE, type=routing_key, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        await exchange.publish(message, routing_key)
