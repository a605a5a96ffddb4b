"""The ledger and the payout that rests on it (DOMAIN M3, Y10), and what creators and operators see of them."""

from collections.abc import Iterable

import asyncpg
import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import new_id
from contracts.payment import PaymentCaptured, PayoutSent
from contracts.pledge import PledgePlaced
from eventing.tokens import Role
from tests.integration.house import names
from tests.integration.payment.platform import Platform, euros, until
from tests.integration.served import Served


async def captured(platform: Platform, amounts: Iterable[int]) -> list[PledgePlaced]:
    placed = [platform.placed(minor, strategy=PaymentStrategy.IMMEDIATE) for minor in amounts]
    await platform.tell(*placed)
    for one in placed:
        await platform.until_said(one.pledge_id, PaymentCaptured)
    return placed


async def doubt(platform: Platform, expected: str) -> None:
    async def stands() -> bool:
        found = await platform.pool.fetchval("SELECT doubt FROM payout WHERE campaign_id = $1", platform.campaign_id)
        return bool(found == expected)

    await until(stands)


class TestPayout:
    async def test_is_what_was_captured_less_fees(self, platform: Platform) -> None:
        await captured(platform, (10_000, 5_001))
        await platform.tell(platform.payout(15_001))
        sent = await platform.until_said(platform.campaign_id, PayoutSent)
        provider_fee = (150 + 25) + (75 + 25)
        assert sent.captured == euros(15_001)
        assert sent.platform_fee == euros(750)  # 750.05 rounded down
        assert sent.provider_fee == euros(provider_fee)
        assert sent.amount == euros(15_001 - 750 - provider_fee)
        assert sent.creator_id == platform.creator_id
        assert await platform.sandbox.line(platform.campaign_id, "transferred") == (1, sent.amount.amount)
        transfer = (await platform.sandbox.raw.get(f"/v1/transfers/{sent.transfer_id}")).json()
        assert transfer["destination"] == f"acct_{platform.creator_id.hex}"
        await platform.books_agree()
        assert await platform.balances() == {
            "campaign_payable": -sent.amount.amount,
            "payouts": sent.amount.amount,
            "platform_fees": -750,
            "provider_receivable": 750,
        }

    async def test_is_made_once_however_often_it_is_asked_for(self, platform: Platform) -> None:
        await captured(platform, (10_000,))
        await platform.sandbox.fault("drop", when="after", path="/v1/transfers", method="POST")
        wanted = platform.payout(10_000)
        await platform.tell(wanted, wanted)
        await platform.until_said(platform.campaign_id, PayoutSent)
        await platform.tell(wanted)
        await platform.until_quiet()
        assert names(await platform.said(platform.campaign_id)) == ["PayoutSent"]
        assert (await platform.sandbox.line(platform.campaign_id, "transferred"))[0] == 1
        await platform.books_agree()

    async def test_waits_while_the_ledger_says_otherwise_and_goes_once_it_agrees(self, platform: Platform) -> None:
        await captured(platform, (10_000,))
        await platform.tell(platform.payout(12_000))
        await doubt(platform, "captured_differs")
        assert await platform.said(platform.campaign_id) == []
        await captured(platform, (2_000,))
        assert (await platform.until_said(platform.campaign_id, PayoutSent)).captured == euros(12_000)
        await platform.books_agree()

    async def test_waits_for_a_campaign_that_is_not_known(self, platform: Platform) -> None:
        strange = platform.payout(10_000).model_copy(update={"campaign_id": new_id()})
        await platform.tell(strange)

        async def doubted() -> bool:
            query = "SELECT doubt FROM payout WHERE campaign_id = $1"
            return bool(await platform.pool.fetchval(query, strange.campaign_id) == "campaign_unknown")

        await until(doubted)

    async def test_does_not_follow_a_request_with_other_terms(self, platform: Platform) -> None:
        await captured(platform, (10_000,))
        await platform.tell(platform.payout(10_000).model_copy(update={"platform_fee_bps": 0}))
        await doubt(platform, "terms_differ")
        assert await platform.sandbox.line(platform.campaign_id, "transferred") == (0, 0)

    async def test_a_refused_transfer_is_tried_again_under_a_new_key(self, platform: Platform) -> None:
        """Stripe keeps the refusal under the key; that it was refused proves that nothing moved."""
        await captured(platform, (10_000,))
        drained = {"amount": 9_825, "currency": "eur", "destination": "acct_other"}
        (await platform.sandbox.raw.post("/v1/transfers", data=drained)).raise_for_status()
        await platform.tell(platform.payout(10_000))
        await doubt(platform, "no effect: balance_insufficient")
        more = platform.placed(20_000, strategy=PaymentStrategy.IMMEDIATE, campaign_id=new_id())
        await platform.tell(more)
        sent = await platform.until_said(platform.campaign_id, PayoutSent)
        assert sent.amount == euros(10_000 - 500 - 175)
        attempts = await platform.operations(platform.campaign_id)
        assert attempts[-1] == ("payout", len(attempts), "done")


class TestOperationsInTheDatabase:
    async def test_a_second_undecided_operation_of_a_pledge_is_refused(self, platform: Platform) -> None:
        await platform.sandbox.fault("delay", seconds=0.5, path="/v1/payment_intents")
        placed = platform.placed()
        await platform.tell(placed)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await platform.pool.execute(
                "INSERT INTO operation (operation_id, subject_id, campaign_id, kind, attempt, amount, currency,"
                " counterpart, due_at, created_at, state, outcome, sends) SELECT $1, subject_id, campaign_id, 'charge',"
                " 1, amount, currency, counterpart, due_at, created_at, 'waiting', '', 0 FROM operation",
                new_id(),
            )
        await platform.until_quiet()


class TestApi:
    async def test_the_creator_and_an_operator_see_the_ledger(self, platform: Platform, service: Served) -> None:
        await captured(platform, (10_000,))
        address = f"/campaigns/{platform.campaign_id}/ledger"
        mine = await service.http.get(address, headers=service.bearer(platform.creator_id, Role.CREATOR))
        assert mine.status_code == 200
        accounts = {a["account"]: (a["side"], a["balance"]) for a in mine.json()["accounts"]}
        assert accounts["campaign_payable"] == ("credit", {"amount": 10_000, "currency": "EUR"})
        assert accounts["provider_fees"] == ("debit", {"amount": 175, "currency": "EUR"})
        operator = await service.http.get(address, headers=service.bearer(new_id(), Role.OPERATOR))
        assert operator.json()["accounts"] == mine.json()["accounts"]

    async def test_nobody_else_does(self, platform: Platform, service: Served) -> None:
        address = f"/campaigns/{platform.campaign_id}/ledger"
        other = await service.http.get(address, headers=service.bearer(new_id(), Role.CREATOR))
        unknown = await service.http.get(
            f"/campaigns/{new_id()}/ledger", headers=service.bearer(platform.creator_id, Role.CREATOR)
        )
        assert (other.status_code, unknown.status_code) == (404, 404)
        assert other.json() == unknown.json()
        assert (await service.http.get(address)).status_code == 401
        backer = await service.http.get(address, headers=service.bearer(new_id(), Role.BACKER))
        assert backer.status_code == 403

    async def test_operators_see_what_is_undecided(self, platform: Platform, service: Served) -> None:
        await captured(platform, (10_000,))
        await platform.sandbox.fault("html", path="/v1/payment_intents", method="POST")
        placed = platform.placed()
        await platform.tell(placed)

        async def unknown() -> bool:
            query = "SELECT outcome FROM operation WHERE subject_id = $1"
            return str(await platform.pool.fetchval(query, placed.pledge_id)).startswith("unknown")

        await until(unknown)
        answer = await service.http.get("/operations", headers=service.bearer(new_id(), Role.OPERATOR))
        body = answer.json()
        assert {"kind": "charge", "state": "done", "operations": 1} in body["counts"]
        assert body["oldest_undecided"]["kind"] == "authorize"
        assert body["oldest_undecided"]["outcome"].startswith("unknown")
        creator = await service.http.get("/operations", headers=service.bearer(platform.creator_id, Role.CREATOR))
        assert creator.status_code == 403
