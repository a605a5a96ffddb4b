"""A payout that stops, or stays in doubt, is a case, and a person may let it go on (DOMAIN Y2, Y6, Y10)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from contracts.campaign import PaymentStrategy
from contracts.ids import new_id
from contracts.payment import PaymentCaptured, PayoutSent
from eventing.clock import DatabaseClock
from payment import domain_payout, operations, queries_cases, switches
from payment.cases import CaseKind, CaseRow, CaseState, case_id_of
from payment.domain_events import Kind
from payment.gateway import Mismatch, NoEffect, Succeeded, Unknown
from payment.handlers import DEFINITION
from payment.handlers_cases import NotResumable, OpenCase, ResolveCase
from payment.handlers_payout import CheckPayout
from payment.janitor import UNKNOWN_CASE, Janitor
from payment.leasing import READ_BACK_FROM_SEND
from payment.metrics import CaseMetrics
from payment.operations import account_of
from payment.stripe_gateway import StripeProvider
from payment.tables import OPERATIONS, OperationRow
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.house import House, names
from tests.integration.payment.answers import answer, platform_of
from tests.integration.payment.platform import Platform, Sandbox, euros, until
from tests.integration.served import Served

STRANGE = Mismatch("tr_1 is about 1 eur, not 9325 eur")
PERSON = new_id()


@dataclass
class Creator:
    """A campaign with 100.00 captured whose payout was asked for. The test gives the provider's answers."""

    core: House
    platform: Platform
    janitor: Janitor = field(init=False)

    def __post_init__(self) -> None:
        metrics = CaseMetrics(CollectorRegistry())
        self.janitor = Janitor(self.core.pool, self.core.commit, self.core.clock, metrics)

    @property
    def campaign_id(self) -> UUID:
        return self.platform.campaign_id

    async def check(self) -> None:
        """The timer's look at the payout, later than it was ever put off."""
        self.core.pass_time(timedelta(hours=2))
        await self.core.execute(CheckPayout(self.campaign_id, self.platform.creator_id, "EUR", 0, 0))

    async def answer(self, outcome: Any) -> UUID:
        return await answer(self.core, self.campaign_id, Kind.PAYOUT, outcome)

    async def resume(self, kind: CaseKind, about: object) -> None:
        await self.core.execute(ResolveCase(case_id_of(kind, str(about)), PERSON, "Go on", resume=True))

    async def case(self, kind: CaseKind, about: object) -> CaseRow | None:
        found = await queries_cases.whole(self.core.pool, case_id_of(kind, str(about)))
        return found.case if found else None

    async def state(self, kind: CaseKind, about: object) -> CaseState | None:
        found = await self.case(kind, about)
        return found.state if found else None

    async def attempts(self) -> list[tuple[int, str]]:
        return [(attempt, state) for _, attempt, state in await self.platform.operations(self.campaign_id)]


@pytest.fixture
async def creator(core: House) -> Creator:
    platform = platform_of(core)
    placed = platform.placed(10_000, strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(platform.launched(), placed)
    await answer(core, placed.pledge_id, Kind.CHARGE, Succeeded("pi_1", fee=euros(175)))
    await platform.tell(platform.payout(10_000))
    made = Creator(core, platform)
    await made.check()
    return made


async def operation(platform: Platform) -> OperationRow:
    columns = ", ".join(column.name for column in OPERATIONS.columns)
    row = await platform.pool.fetchrow(f"SELECT {columns} FROM operation WHERE kind = 'payout'")
    assert row is not None
    return OPERATIONS.load(row)


class TestStopped:
    async def test_goes_on_as_the_same_operation_which_is_looked_for_first(self, creator: Creator) -> None:
        operation_id = await creator.answer(STRANGE)
        found = await creator.case(CaseKind.MISMATCH, operation_id)
        assert found is not None
        assert (found.state, found.campaign_id, found.pledge_id) == (CaseState.OPEN, creator.campaign_id, None)
        assert await creator.attempts() == [(1, "stopped")]
        before = await operation(creator.platform)

        await creator.resume(CaseKind.MISMATCH, operation_id)
        again = await operation(creator.platform)
        assert (again.operation_id, again.key, again.amount) == (before.operation_id, before.key, before.amount)
        assert (again.first_sent_at, again.sends + 1) == (before.first_sent_at, READ_BACK_FROM_SEND)
        assert await creator.attempts() == [(1, "waiting")]
        assert await creator.state(CaseKind.MISMATCH, operation_id) is CaseState.RESOLVED

        await creator.answer(Succeeded("tr_1"))
        sent = await creator.platform.until_said(creator.campaign_id, PayoutSent)
        assert (sent.amount, sent.transfer_id) == (euros(9_325), "tr_1")
        assert (await creator.platform.balances())["payouts"] == 9_325

    async def test_that_still_does_not_fit_is_the_same_case_again(self, creator: Creator) -> None:
        operation_id = await creator.answer(STRANGE)
        await creator.resume(CaseKind.MISMATCH, operation_id)
        assert await creator.answer(STRANGE) == operation_id
        assert await creator.state(CaseKind.MISMATCH, operation_id) is CaseState.OPEN
        assert await creator.attempts() == [(1, "stopped")]

    async def test_that_is_proven_to_have_moved_nothing_gets_a_new_attempt(self, creator: Creator) -> None:
        operation_id = await creator.answer(STRANGE)
        await creator.resume(CaseKind.MISMATCH, operation_id)
        await creator.answer(NoEffect("the provider has no such transfer"))
        await creator.check()
        assert await creator.attempts() == [(1, "done"), (2, "waiting")]

    async def test_by_itself_is_a_case_and_may_try_as_often_again(
        self, creator: Creator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(domain_payout, "ATTEMPTS_MAX", 2)
        for _ in range(2):
            await creator.answer(NoEffect("balance_insufficient"))
            await creator.check()
        found = await creator.case(CaseKind.STOPPED, creator.campaign_id)
        assert found is not None
        assert (found.state, found.campaign_id, found.pledge_id) == (CaseState.OPEN, creator.campaign_id, None)
        assert "too_many_attempts" in found.summary
        await creator.check()
        assert await creator.attempts() == [(1, "done"), (2, "done")]

        await creator.resume(CaseKind.STOPPED, creator.campaign_id)
        for _ in range(2):
            await creator.check()
            await creator.answer(NoEffect("balance_insufficient"))
        await creator.check()
        assert await creator.attempts() == [(number, "done") for number in (1, 2, 3, 4)]
        assert await creator.state(CaseKind.STOPPED, creator.campaign_id) is CaseState.OPEN

    async def test_one_that_has_not_stopped_is_not_touched(self, creator: Creator) -> None:
        row = await operation(creator.platform)
        command = OpenCase(CaseKind.DRIFT, "x", "x differs", creator.campaign_id, operation_id=row.operation_id)
        await creator.core.execute(command)
        with pytest.raises(NotResumable):
            await creator.resume(CaseKind.DRIFT, "x")
        assert await creator.attempts() == [(1, "waiting")]

    async def test_a_difference_of_the_campaigns_books_lets_no_payout_go_on(self, creator: Creator) -> None:
        await creator.answer(STRANGE)
        await creator.core.execute(OpenCase(CaseKind.DRIFT, "txn_1", "txn_1 differs", creator.campaign_id))
        with pytest.raises(NotResumable):
            await creator.resume(CaseKind.DRIFT, "txn_1")
        assert await creator.attempts() == [(1, "stopped")]


class TestInDoubt:
    async def test_unknown_for_six_hours_is_a_case_until_it_is_known(self, creator: Creator) -> None:
        operation_id = await creator.answer(Unknown("time-out"))
        creator.core.pass_time(UNKNOWN_CASE - timedelta(seconds=1))
        await creator.janitor.run_once()
        assert await creator.case(CaseKind.UNKNOWN_OPERATION, operation_id) is None
        creator.core.pass_time(timedelta(seconds=1))
        await creator.janitor.run_once()
        found = await creator.case(CaseKind.UNKNOWN_OPERATION, operation_id)
        assert found is not None
        assert (found.state, found.campaign_id, found.pledge_id) == (CaseState.OPEN, creator.campaign_id, None)

        await creator.answer(Succeeded("tr_1"))
        await creator.janitor.run_once()
        assert await creator.state(CaseKind.UNKNOWN_OPERATION, operation_id) is CaseState.RESOLVED

    async def test_one_that_was_resumed_and_is_unknown_for_long_is_a_case_too(self, creator: Creator) -> None:
        operation_id = await creator.answer(STRANGE)
        creator.core.pass_time(UNKNOWN_CASE)
        await creator.resume(CaseKind.MISMATCH, operation_id)
        await creator.janitor.run_once()
        assert await creator.case(CaseKind.UNKNOWN_OPERATION, operation_id) is None
        await creator.answer(Unknown("time-out"))
        await creator.janitor.run_once()
        assert await creator.state(CaseKind.UNKNOWN_OPERATION, operation_id) is CaseState.OPEN


class TestAtTheProvider:
    """By the service's own worker, on the sandbox."""

    @pytest.fixture
    async def provider(self, sandbox: Sandbox) -> AsyncIterator[StripeProvider]:
        made = StripeProvider(API_KEY, sandbox.address, timeout_seconds=5)
        yield made
        await made.close()

    @pytest.mark.parametrize("arrived", [True, False])
    async def test_a_resumed_payout_moves_money_once(
        self, platform: Platform, service: Served, provider: StripeProvider, *, arrived: bool
    ) -> None:
        row = await self._stopped(platform, service, provider if arrived else None)
        case_id = case_id_of(CaseKind.MISMATCH, str(row.operation_id))
        await platform.commit.execute(ResolveCase(case_id, PERSON, "Looked at", resume=True))
        assert await switches.go(platform.pool, "payout")

        sent = await platform.until_said(platform.campaign_id, PayoutSent)
        assert await platform.sandbox.line(platform.campaign_id, "transferred") == (1, sent.amount.amount)
        assert await platform.operations(platform.campaign_id) == [("payout", 1, "done")]
        assert names(await platform.said(platform.campaign_id)) == ["PayoutSent"]
        await platform.books_agree()

    @staticmethod
    async def _stopped(platform: Platform, service: Served, provider: StripeProvider | None) -> OperationRow:
        """A payout whose answer made no sense; the provider, if given, has made the transfer all the same."""
        placed = platform.placed(10_000, strategy=PaymentStrategy.IMMEDIATE)
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        await switches.stop(platform.pool, service.runtime.clock, "payout", "a test", "held back")
        await platform.tell(platform.payout(10_000))

        async def waits() -> bool:
            return await platform.operations(platform.campaign_id) == [("payout", 1, "waiting")]

        await until(waits)
        row = await operation(platform)
        if provider is not None:
            made = await provider.transfer(operations.request_of(row), account_of(platform.creator_id))
            assert isinstance(made, Succeeded)
        clock = DatabaseClock(frozen_at=datetime.now(UTC))
        inside = House(platform.pool, DEFINITION, clock, (platform.commit,))
        await answer(inside, platform.campaign_id, Kind.PAYOUT, STRANGE)
        assert await platform.operations(platform.campaign_id) == [("payout", 1, "stopped")]
        return row
