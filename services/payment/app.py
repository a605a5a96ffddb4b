"""Composition root of the payment service."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter
from pydantic import Field, SecretStr

from eventing.house import House, Rooms
from eventing.runtime import Job, Runtime
from eventing.settings import HttpAddress, ServiceSettings
from payment import api_money, cli_cases, cli_ledger, switches_cli, worker
from payment.api import WebhookDoor, router
from payment.buckets import Budget, BudgetMetrics
from payment.budget import limits_of
from payment.calls import Meter, MeteredClient
from payment.handlers import DEFINITION
from payment.inbox import Inbox, LookUp, PaymentLookUp
from payment.janitor import Janitor
from payment.jobs import Payouts, Renewals
from payment.look_ups import DisputeLookUp, RefundLookUp
from payment.match import DailyMatch
from payment.metrics import CaseMetrics
from payment.stripe_gateway import API_VERSION, StripeProvider
from payment.sweeps import EventSweep, HoldSweep
from payment.switches_api import switch_router
from payment.turns import Turns
from payment.webhooks import Ours
from payment.worker import Worker

INBOX_SECONDS = 1.0
JANITOR_SECONDS = 15.0
SWEEPS_SECONDS = 5.0  # How often a replica looks whether it is its turn.
PAYOUTS_SECONDS = 0.5
RENEWALS_SECONDS = 5.0


class Settings(ServiceSettings):
    service: ClassVar[str] = "payment"

    stripe_api_key: SecretStr = Field(description="Stripe's secret key, or the sandbox's")
    stripe_api_base: HttpAddress | None = Field(None, description="The sandbox's address; empty: the real Stripe")
    stripe_webhook_secrets: SecretStr = Field(description="Active signing secrets of webhooks, comma separated")
    stripe_timeout_seconds: float = Field(15, ge=1, le=20, description="Longest wait for an answer of Stripe")
    provider_concurrency: int = Field(48, ge=1, le=256, description="Calls to the provider at once, per replica")
    event_sweep_seconds: float = Field(
        300, gt=0, description="How often the provider is asked for events that no webhook has brought (DOMAIN Y6)"
    )
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
    payout_reserve_bps: int = Field(
        0, ge=0, le=5_000, description="Part of the main payout kept back for disputes, in basis points of the captures"
    )
    payout_reserve_days: int = Field(90, ge=1, le=365, description="The reserve is paid out after so many days")


def webhook_secrets(settings: Settings) -> Sequence[str]:
    return [
        secret.strip() for secret in settings.stripe_webhook_secrets.get_secret_value().split(",") if secret.strip()
    ]


def ours(settings: Settings) -> Ours:
    return Ours(live="_live_" in settings.stripe_api_key.get_secret_value(), api_version=API_VERSION)


def look_ups(runtime: Runtime, provider: StripeProvider) -> Mapping[str, LookUp]:
    """Who knows an object of the provider's, by the prefix of its id."""
    payments = PaymentLookUp(runtime.commit, provider)
    refunds, disputes = RefundLookUp(runtime.commit, provider), DisputeLookUp(runtime.commit, provider)
    return {
        "pi": payments,
        "seti": payments,
        **dict.fromkeys(("re", "pyr", "ch", "py"), refunds),
        **dict.fromkeys(("du", "dp"), disputes),
    }


def provider_of(settings: Settings, meter: Meter | None = None) -> StripeProvider:
    """`meter` counts the calls of a service; a command's few are not counted."""
    key, seconds = settings.stripe_api_key.get_secret_value(), settings.stripe_timeout_seconds
    return StripeProvider(key, settings.stripe_api_base, seconds, MeteredClient(meter, seconds) if meter else None)


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    meter = Meter()
    provider = provider_of(settings, meter)
    wake = asyncio.Event()

    def routers(runtime: Runtime) -> Sequence[APIRouter]:
        door = WebhookDoor(webhook_secrets(settings), ours(settings))
        return [switch_router(runtime, wake), router(runtime, door, provider), api_money.router(runtime)]

    def jobs(runtime: Runtime) -> Iterable[Job]:
        core = (runtime.pool, runtime.commit, runtime.clock)
        key = settings.stripe_api_key.get_secret_value()
        limits = limits_of(settings.stripe_api_base, key, settings.provider_rate, settings.provider_endpoint_rate)
        meter.gate = budget = Budget(runtime.pool, runtime.clock, limits, meter, BudgetMetrics(runtime.registry))
        operations = Worker(
            *core,
            provider,
            settings.provider_concurrency,
            wake,
            settings.payout_destination,
            settings.stripe_timeout_seconds,
            budget,
        )
        payouts = Payouts(*core, settings.payout_reserve_bps, settings.payout_reserve_days)
        turns = Turns(runtime.pool, runtime.clock)
        every = timedelta(seconds=settings.event_sweep_seconds)
        events = EventSweep(runtime.commit, turns, provider.events, ours(settings), every)
        return (
            Job("operations", operations.run_once, 0),  # it waits for its wake-up itself
            Job("renewals", Renewals(*core).run_once, RENEWALS_SECONDS),
            Job("payouts", payouts.run_once, PAYOUTS_SECONDS),
            Job("webhooks", Inbox(*core, look_ups(runtime, provider)).run_once, INBOX_SECONDS),
            Job("event sweep", events.run_once, SWEEPS_SECONDS),
            Job("match", DailyMatch(*core, provider.movements).run_once, SWEEPS_SECONDS),
            Job("hold sweep", HoldSweep(runtime.commit, turns).run_once, SWEEPS_SECONDS),
            Job("janitor", Janitor(*core, CaseMetrics(runtime.registry)).run_once, JANITOR_SECONDS),
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
cli_cases.add_commands(cli, Settings, provider_of)
cli_ledger.add_commands(cli, Settings, provider_of)
switches_cli.add_commands(cli, Settings)
