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
from payment import cli_ledger, worker
from payment.api import router
from payment.handlers import DEFINITION
from payment.jobs import Payouts
from payment.stripe_gateway import StripeProvider
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
    payout_destination: str = Field(
        "",
        pattern="^(acct_[A-Za-z0-9]+)?$",
        description="Connected account that gets all payouts; empty: `acct_` and the creator's id without hyphens",
    )
    payout_reserve_bps: int = Field(
        0, ge=0, le=5_000, description="Part of the main payout kept back for disputes, in basis points of the captures"
    )
    payout_reserve_days: int = Field(90, ge=1, le=365, description="The reserve is paid out after so many days")


def webhook_secrets(settings: Settings) -> Sequence[str]:
    return [
        secret.strip() for secret in settings.stripe_webhook_secrets.get_secret_value().split(",") if secret.strip()
    ]


def provider_of(settings: Settings) -> StripeProvider:
    return StripeProvider(
        settings.stripe_api_key.get_secret_value(), settings.stripe_api_base, settings.stripe_timeout_seconds
    )


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    provider = provider_of(settings)
    wake = asyncio.Event()

    def routers(runtime: Runtime) -> Sequence[APIRouter]:
        return [router(runtime, webhook_secrets(settings))]

    def jobs(runtime: Runtime) -> Iterable[Job]:
        core = (runtime.pool, runtime.commit, runtime.clock)
        operations = Worker(
            *core,
            provider,
            settings.provider_concurrency,
            wake,
            settings.payout_destination,
            settings.stripe_timeout_seconds,
        )
        return (
            Job("operations", operations.run_once, 0),  # it waits for its wake-up itself
            Job(
                "payouts",
                Payouts(*core, settings.payout_reserve_bps, settings.payout_reserve_days).run_once,
                PAYOUTS_SECONDS,
            ),
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
cli_ledger.add_commands(cli, Settings, provider_of)
