"""Each day's movements at the provider against the ledger, both ways (DOMAIN Y6)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from contracts.ids import PledgeId
from contracts.payment import PaymentCaptured, PaymentRefunded
from payment import queries_cases
from payment.cases import CaseRow, CaseState
from payment.domain_events import Kind
from payment.gateway import LookupFailedError, Movement, MovementKind, Succeeded
from payment.match import CASES_MAX, SETTLE, DailyMatch, midnight
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.house import START, House
from tests.integration.payment.answers import answer, platform_of
from tests.integration.payment.platform import Platform, euros
from tests.integration.served import Served

TODAY = START.date()


class Provider:
    """Its movements, as a test says; it may be away."""

    def __init__(self) -> None:
        self.all: list[Movement] = []
        self.asked: list[date] = []
        self.away = False

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Movement]]:
        self.asked.append((since + timedelta(hours=1)).date())
        for movement in self.all:
            if since <= movement.created < until:
                yield [movement]
        if self.away:
            raise LookupFailedError("connection refused")


def charge(number: int, at: datetime, amount: int = 5000) -> Movement:
    return Movement(
        movement_id=f"txn_{number}",
        kind=MovementKind.CHARGE,
        type="charge",
        amount=amount,
        fee=100,
        currency="EUR",
        source=f"ch_{number}",
        payment=f"pi_{number}",
        campaign_id=None,
        pledge_id=None,
        created=at,
    )


def matching(core: House, provider: Provider) -> DailyMatch:
    return DailyMatch(core.pool, core.commit, core.clock, provider.movements)


def now(core: House) -> datetime:
    assert core.clock.frozen_at is not None
    return core.clock.frozen_at


async def launched(core: House) -> Platform:
    platform = platform_of(core)
    await platform.tell(platform.launched())
    return platform


async def captured(core: House, platform: Platform, number: int) -> PledgeId:
    placed = platform.placed()
    await platform.tell(placed, platform.capture(placed))
    await answer(core, placed.pledge_id, Kind.AUTHORIZE, Succeeded(f"pi_{number}"))
    await answer(core, placed.pledge_id, Kind.CAPTURE, Succeeded(f"pi_{number}", fee=euros(100)))
    return placed.pledge_id


async def drift(core: House, state: CaseState = CaseState.OPEN) -> list[CaseRow]:
    found, _ = await queries_cases.listed(core.pool, state=state, kind=None, after=None, limit=200)
    return found


class TestDay:
    async def test_what_agrees_opens_no_case(self, core: House) -> None:
        platform, provider = await launched(core), Provider()
        await captured(core, platform, 1)
        payout_to_our_bank = replace(charge(2, now(core)), kind=MovementKind.OWN, type="payout", amount=-9000)
        provider.all = [charge(1, now(core) - timedelta(seconds=2)), payout_to_our_bank]
        found = await matching(core, provider).match(TODAY)
        assert (found.movements, found.postings, found.differences) == (2, 1, [])
        assert await drift(core) == []
        row = await core.pool.fetchrow("SELECT state, movements, postings, differences FROM daily_match")
        assert row is not None
        assert tuple(row) == ("agreed", 2, 1, 0)

    async def test_each_way_to_differ_opens_a_case_once(self, core: House) -> None:
        platform, provider = await launched(core), Provider()
        pledges = [await captured(core, platform, number) for number in range(1, 5)]
        at = now(core)
        twice = replace(charge(4, at), movement_id="txn_4b")
        strange = replace(charge(6, at), kind=MovementKind.OTHER, type="anticipation_repayment")
        provider.all = [charge(1, at), charge(2, at, 4000), charge(4, at), twice, charge(5, at), strange]
        for _ in range(2):
            found = await matching(core, provider).match(TODAY)
            assert (found.movements, found.postings, len(found.differences)) == (6, 4, 5)
        cases = {case.about.partition(":")[2]: case for case in await drift(core)}
        [alone] = set(cases) - {"txn_2", "txn_4b", "txn_5", "txn_6"}
        assert "is booked as 4900 EUR" in cases["txn_2"].summary
        assert "is booked once, but moved twice: by txn_4 as well" in cases["txn_4b"].summary
        assert [cases[name].summary.endswith("is not in the ledger") for name in ("txn_5", "txn_6")] == [True, True]
        assert cases[alone].summary.endswith("moved nothing at the provider")
        assert cases[alone].pledge_id == pledges[2]

    async def test_either_side_of_midnight_is_the_same_movement(self, core: House) -> None:
        platform, provider = await launched(core), Provider()
        core.clock.frozen_at = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(days=1, seconds=3)
        await captured(core, platform, 1)
        provider.all = [charge(1, now(core) - timedelta(seconds=6))]
        first = await matching(core, provider).match(TODAY)
        second = await matching(core, provider).match(TODAY + timedelta(days=1))
        assert [(day.movements, day.postings, day.differences) for day in (first, second)] == [(1, 0, []), (0, 1, [])]

    async def test_many_differences_are_a_bounded_number_of_cases(self, core: House) -> None:
        provider = Provider()
        provider.all = [charge(number, now(core)) for number in range(CASES_MAX + 20)]
        found = await matching(core, provider).match(TODAY)
        assert len(found.differences) == CASES_MAX + 20
        cases = await drift(core)
        assert len(cases) == CASES_MAX + 1
        assert [case.summary for case in cases if case.about.endswith(":more")] == [f"20 more differences on {TODAY}"]


class TestTimer:
    async def test_each_day_is_matched_once_by_one_replica_and_days_that_were_missed_follow(self, core: House) -> None:
        provider = Provider()
        replicas = [matching(core, provider) for _ in range(3)]
        await asyncio.gather(*(one.run_once() for one in replicas))
        assert provider.asked == [TODAY - timedelta(days=1)]
        core.pass_time(timedelta(days=3))
        while any([await one.run_once() for one in replicas]):
            pass
        assert provider.asked == [TODAY + timedelta(days=days) for days in (-1, 0, 1, 2)]
        core.pass_time(timedelta(hours=11))
        await replicas[0].run_once()
        assert len(provider.asked) == 4

    async def test_what_agrees_later_closes_its_case_by_itself(self, core: House) -> None:
        platform, provider = await launched(core), Provider()
        provider.all = [charge(1, now(core))]
        one = matching(core, provider)
        core.clock.frozen_at = midnight(now(core)) + timedelta(days=1) + SETTLE
        while await one.run_once():
            pass
        assert [case.about for case in await drift(core)] == [f"{TODAY}:txn_1"]
        await captured(core, platform, 1)  # our own answer comes a day late
        core.pass_time(timedelta(days=1))
        while await one.run_once():
            pass
        assert await drift(core) == []
        [case] = await drift(core, CaseState.RESOLVED)
        whole = await queries_cases.whole(core.pool, case.case_id)
        assert whole is not None
        assert (case.resolved_by, [comment.author for comment in whole.comments]) == (None, [None])
        assert "it agrees" in whole.comments[0].text
        states = await core.pool.fetch("SELECT state FROM daily_match ORDER BY day")
        assert {row["state"] for row in states} == {"agreed"}

    async def test_a_provider_that_says_only_half_changes_no_case_and_the_day_comes_again(self, core: House) -> None:
        provider = Provider()
        provider.all = [charge(1, now(core) - timedelta(days=1))]
        provider.away = True
        one = matching(core, provider)
        assert not await one.run_once()
        assert await drift(core) == []
        provider.away = False
        core.pass_time(timedelta(minutes=10))
        await one.run_once()
        assert [case.about for case in await drift(core)] == [f"{TODAY - timedelta(days=1)}:txn_1"]


async def test_a_day_of_real_movements_agrees_and_one_that_is_not_ours_is_found(
    platform: Platform, service: Served
) -> None:
    placed = platform.placed()
    await platform.tell(placed, platform.capture(placed))
    await platform.until_said(placed.pledge_id, PaymentCaptured)
    await platform.tell(platform.void(placed))
    await platform.until_said(placed.pledge_id, PaymentRefunded)
    runtime = service.runtime
    provider = StripeProvider(API_KEY, platform.sandbox.address, timeout_seconds=5)
    one = DailyMatch(runtime.pool, runtime.commit, runtime.clock, provider.movements)
    try:
        today = datetime.now(UTC).date()
        found = await one.match(today)
        assert (found.movements, found.postings, found.differences) == (2, 2, [])
        form = {"amount": "700", "currency": "eur", "confirm": "true", "payment_method": "pm_card_visa"}
        form |= {"automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never"}
        (await platform.sandbox.raw.post("/v1/payment_intents", data=form)).raise_for_status()
        found = await one.match(today)
        assert (found.movements, found.postings, len(found.differences)) == (3, 2, 1)
    finally:
        await provider.close()
