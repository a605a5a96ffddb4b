"""What no webhook has brought is found in the provider's own list (DOMAIN Y6)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.ids import PledgeId
from contracts.payment import PaymentAuthorized
from payment.domain_events import Kind
from payment.gateway import LookupFailedError, Succeeded
from payment.stripe_events import PAGE, EventPage
from payment.stripe_gateway import API_VERSION, StripeProvider
from payment.sweeps import HOLDS_EVERY, EventSweep, HoldSweep
from payment.turns import LEASE, TurnLostError, Turns
from payment.webhooks import Ours
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.house import House
from tests.integration.payment.answers import answer, platform_of
from tests.integration.payment.platform import Platform, Sandbox, until
from tests.integration.served import Served

OURS = Ours(live=False, api_version=API_VERSION)
EVERY = timedelta(minutes=5)


@pytest.fixture
async def provider(sandbox: Sandbox) -> AsyncIterator[StripeProvider]:
    made = StripeProvider(API_KEY, sandbox.address, timeout_seconds=5)
    yield made
    await made.close()


async def happen(sandbox: Sandbox, payments: int) -> None:
    """So many holds at the provider that nobody tells us of."""
    form = {
        "amount": "500",
        "currency": "eur",
        "capture_method": "manual",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    for _ in range(payments):
        (await sandbox.raw.post("/v1/payment_intents", data=form)).raise_for_status()


async def swept(core: House) -> set[str]:
    return {row["object_id"] for row in await core.pool.fetch("SELECT object_id FROM webhook")}


async def all_holds(sandbox: Sandbox) -> set[str]:
    found: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = (await sandbox.raw.get("/v1/payment_intents", params={"limit": 100, **after})).json()
        found |= {intent["id"] for intent in page["data"]}
        if not page["has_more"]:
            return found
        after = {"starting_after": page["data"][-1]["id"]}


class Watched:
    """The provider's list, with what was asked of it; `fails` counts down to a page that cannot be had."""

    def __init__(self, provider: StripeProvider) -> None:
        self._provider = provider
        self.asked: list[tuple[datetime, str]] = []
        self.fails = -1

    async def events(self, since: datetime, after: str) -> EventPage:
        self.asked.append((since, after))
        self.fails -= 1
        if self.fails == -1:
            raise LookupFailedError("connection refused")
        return await self._provider.events(since, after)


def sweep(core: House, listed: Watched) -> EventSweep:
    return EventSweep(core.commit, Turns(core.pool, core.clock), listed.events, OURS, EVERY)


class TestEventSweep:
    async def test_all_are_found_once_though_it_stops_between_two_pages_and_two_replicas_run(
        self, core: House, sandbox: Sandbox, provider: StripeProvider
    ) -> None:
        core.clock.frozen_at = datetime.now(UTC)
        await happen(sandbox, PAGE + 20)
        first, second = Watched(provider), Watched(provider)
        first.fails = 1
        await sweep(core, first).run_once()
        assert len(await swept(core)) == PAGE
        await happen(sandbox, 1)  # while it waits

        core.pass_time(timedelta(minutes=1))
        await asyncio.gather(sweep(core, first).run_once(), sweep(core, second).run_once())
        asked = [*first.asked[2:], *second.asked]
        assert len(asked) == 1  # one of the two, and only the page that was missing
        assert asked[0] == first.asked[1]
        assert len(await swept(core)) == PAGE + 20

        core.pass_time(EVERY)
        third = Watched(provider)
        await sweep(core, third).run_once()
        since, after = third.asked[0]
        assert (after, since > datetime.now(UTC) - timedelta(minutes=15)) == ("", True)  # not from the beginning again
        assert await swept(core) == await all_holds(sandbox)
        assert await core.pool.fetchval("SELECT count(*) FROM webhook") == PAGE + 21

    async def test_a_place_that_the_provider_has_forgotten_begins_anew(
        self, core: House, sandbox: Sandbox, provider: StripeProvider
    ) -> None:
        core.clock.frozen_at = datetime.now(UTC)
        await core.pool.execute("UPDATE sweep SET after = 'evt_forgotten' WHERE name = 'events'")
        await happen(sandbox, 2)
        await sweep(core, Watched(provider)).run_once()
        assert await swept(core) == await all_holds(sandbox)

    async def test_a_payment_whose_answer_and_webhook_were_both_lost_is_known_in_the_end(
        self, platform: Platform, service: Served, provider: StripeProvider
    ) -> None:
        await platform.sandbox.fault("error", when="after", path="/v1/payment_intents", method="POST")
        for _ in range(20):
            await platform.sandbox.fault("html", path="/v1/payment_intents", method="GET")
        placed = platform.placed()
        await platform.tell(placed)
        runtime = service.runtime
        sweeping = EventSweep(
            runtime.commit, Turns(runtime.pool, runtime.clock), provider.events, OURS, timedelta(seconds=0)
        )

        async def found() -> bool:  # the service's own has the turn at its start
            await runtime.pool.execute("UPDATE sweep SET due_at = '1970-01-01Z' WHERE name = 'events'")
            await sweeping.run_once()
            return bool(await runtime.pool.fetchval("SELECT EXISTS (SELECT FROM webhook)"))

        await until(found)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        await platform.books_agree()


class TestHoldSweep:
    async def test_one_that_should_be_nearly_over_is_looked_at_at_the_provider_and_no_other(self, core: House) -> None:
        platform = platform_of(core)
        await platform.tell(platform.launched())
        assert core.clock.frozen_at is not None
        early, late = core.clock.frozen_at + timedelta(days=4, hours=18), core.clock.frozen_at + timedelta(days=7)
        short, long = await held(core, platform, "pi_1", early), await held(core, platform, "pi_2", late)
        sweeping = HoldSweep(core.commit, Turns(core.pool, core.clock))

        core.pass_time(timedelta(days=4, hours=16))
        await sweeping.run_once()
        assert [kind for kind, _, _ in await platform.operations(short)] == ["authorize"]

        core.pass_time(timedelta(hours=1))
        for _ in range(2):
            await sweeping.run_once()
            core.pass_time(HOLDS_EVERY)
        assert await platform.operations(short) == [("authorize", 1, "done"), ("follow", 1, "waiting")]
        assert await platform.operations(long) == [("authorize", 1, "done")]


async def held(core: House, platform: Platform, hold_id: str, capture_before: datetime) -> PledgeId:
    """A pledge with a hold that lapses then."""
    placed = platform.placed()
    await platform.tell(placed)
    await answer(core, placed.pledge_id, Kind.AUTHORIZE, Succeeded(hold_id, capture_before=capture_before))
    return placed.pledge_id


class TestTurns:
    async def test_one_that_dies_loses_its_turn_and_the_next_goes_on_from_its_place(self, core: House) -> None:
        turns = Turns(core.pool, core.clock)
        dead = await turns.take("events")
        assert dead is not None
        assert await turns.take("events") is None
        assert await turns.take("match") is not None  # another matter
        await core.pool.execute("UPDATE sweep SET lease_until = lease_until - $1::interval", LEASE)
        heir = await turns.take("events")
        assert heir is not None
        with pytest.raises(TurnLostError):
            await turns.keep(dead, dead.place)
        await turns.end(dead, dead.place, dead.now)  # not its to end
        assert await turns.take("events") is None
        await turns.keep(heir, heir.place)
