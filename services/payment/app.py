"""Composition root of the payment service."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter
from pydantic import Field, SecretStr

from eventing.house import House, Rooms
from eventing.runtime import Job, Runtime
from eventing.settings import HttpAddress, ServiceSettings
from payment import switches_cli, worker
from payment.api import router
from payment.buckets import Budget, BudgetMetrics
from payment.budget import limits_of
from payment.calls import Meter, MeteredClient
from payment.handlers import DEFINITION
from payment.jobs import Payouts
from payment.stripe_gateway import StripeProvider
from payment.switches_api import switch_router
from payment.webhooks import Inbox
from payment.worker import Worker

INBOX_SECONDS = 1.0
PAYOUTS_SECONDS = 0.5


class Settings(ServiceSettings):
    service: ClassVar[str] = "payment"

    stripe_api_key: SecretStr = Field(description="Stripe's secret key, or the sandbox's")
    stripe_api_base: HttpAddress | None = Field(None, description="The sandbox's address; empty: the real Stripe")
    stripe_webhook_secrets: SecretStr = Field(description="Active signing secrets of webhooks, comma separated")
    stripe_timeout_seconds: float = Field(15, ge=1, le=20, description="Longest wait for an answer of Stripe")
    provider_concurrency: int = Field(48, ge=1, le=256, description="Calls to the provider at once, per replica")
    provider_rate: float | None = Field(
        None,
        ge=1,
        description="Calls a second to the provider, all replicas together; empty: what Stripe allows by "
        "default (100 live, 25 test), no limit with `STRIPE_API_BASE`",
    )
    provider_endpoint_rate: float | None = Field(
        None,
        ge=1,
        description="Calls a second to one endpoint of the provider; empty: 25, no limit with `STRIPE_API_BASE`",
    )
    payout_destination: str = Field(
        "",
        pattern="^(acct_[A-Za-z0-9]+)?$",
        description="Connected account that gets all payouts; empty: `acct_` and the creator's id without hyphens",
    )


def webhook_secrets(settings: Settings) -> Sequence[str]:
    return [
        secret.strip() for secret in settings.stripe_webhook_secrets.get_secret_value().split(",") if secret.strip()
    ]


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    key, base, meter = settings.stripe_api_key.get_secret_value(), settings.stripe_api_base, Meter()
    client = MeteredClient(meter, settings.stripe_timeout_seconds)
    provider = StripeProvider(key, base, settings.stripe_timeout_seconds, client)
    wake = asyncio.Event()

    def routers(runtime: Runtime) -> Sequence[APIRouter]:
        return [switch_router(runtime, wake), router(runtime, webhook_secrets(settings))]

    def jobs(runtime: Runtime) -> Iterable[Job]:
        core = (runtime.pool, runtime.commit, runtime.clock)
        limits = limits_of(base, key, settings.provider_rate, settings.provider_endpoint_rate)
        meter.gate = budget = Budget(
            runtime.pool, runtime.clock, limits, meter, BudgetMetrics(runtime.metrics.registry)
        )
        operations = Worker(
            *core,
            provider,
            settings.provider_concurrency,
            wake,
            settings.payout_destination,
            settings.stripe_timeout_seconds,
            budget,
        )
        return (
            Job("operations", operations.run_once, 0),  # it waits for its wake-up itself
            Job("payouts", Payouts(*core).run_once, PAYOUTS_SECONDS),
            Job("webhooks", Inbox(*core, provider).run_once, INBOX_SECONDS),
        )

    try:
        yield Rooms(routers, jobs, (partial(worker.wakes, wake),))
    finally:
        await provider.close()


HOUSE = House(
    title="Groundswell payment",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=open_rooms,
)
cli = HOUSE.cli(Settings)
switches_cli.add_commands(cli, Settings)
