"""Exchanges, queues and bindings, declared from contracts by every service's `migrate` before any relay runs."""

from typing import Final

import aio_pika
from aio_pika.abc import AbstractRobustConnection

from contracts.subscriptions import SUBSCRIPTIONS

EXCHANGE: Final = "events"
DEAD_EXCHANGE: Final = "events.dead"
CONNECT_SECONDS: Final = 10.0
DELIVERY_LIMIT: Final = 1_000  # RabbitMQ 4.x only. High: crashes of a consumer must not dead-letter healthy messages.


def queue_of(service: str) -> str:
    return service


def dead_queue_of(service: str) -> str:
    return f"{service}.dead"


async def declare(broker_url: str) -> None:
    """Declare everything, as often as wanted. The user needs configure rights on all of it.

    Raises:
        aio_pika.exceptions.AMQPError, OSError: The broker is away or refuses.
    """
    connection = await aio_pika.connect_robust(broker_url, timeout=CONNECT_SECONDS)
    async with connection:
        limits = {"x-delivery-limit": DELIVERY_LIMIT} if _major_version(connection) >= 4 else {}
        channel = await connection.channel()
        events = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        dead = await channel.declare_exchange(DEAD_EXCHANGE, aio_pika.ExchangeType.DIRECT, durable=True)
        for service, wanted in SUBSCRIPTIONS.items():
            queue = await channel.declare_queue(
                queue_of(service),
                durable=True,
                arguments={
                    "x-queue-type": "quorum",
                    "x-dead-letter-exchange": DEAD_EXCHANGE,
                    "x-dead-letter-routing-key": service,
                    **limits,
                },
            )
            for event in wanted:
                await queue.bind(events, routing_key=event.type)
            graveyard = await channel.declare_queue(
                dead_queue_of(service), durable=True, arguments={"x-queue-type": "quorum"}
            )
            await graveyard.bind(dead, routing_key=service)


def _major_version(connection: AbstractRobustConnection) -> int:
    transport = connection.transport
    assert transport is not None  # connected just now
    version = transport.connection.server_properties.get("version", b"3")
    text = version.decode() if isinstance(version, bytes) else str(version)
    return int(text.split(".")[0])
