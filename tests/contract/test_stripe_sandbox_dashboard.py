"""What happens beside the platform's own requests: disputes, and a person at the dashboard."""

import pytest
import stripe

from tests.contract.stripe_openapi import validate_component
from tests.contract.stripe_sandbox_server import Sandbox
from tests.contract.test_stripe_sandbox import CAMPAIGN, charge_of, event_types, hold

CHARGED = 5_000
DISPUTE_FEE = 1_500


async def charged(sandbox: Sandbox, **more: object) -> stripe.PaymentIntent:
    return await hold(sandbox, capture_method="automatic", **more)


async def lever(sandbox: Sandbox, path: str, **body: object) -> dict[str, object]:
    answer = await sandbox.raw.post(f"/sandbox/{path}", json=body)
    return dict(answer.raise_for_status().json())


async def dispute(sandbox: Sandbox, intent: str, **more: object) -> stripe.Dispute:
    opened = await lever(sandbox, "dispute", payment_intent=intent, **more)
    validate_component("dispute", opened)
    return await sandbox.sdk.v1.disputes.retrieve_async(str(opened["id"]))


async def balance(sandbox: Sandbox) -> int:
    return (await sandbox.sdk.v1.balance.retrieve_async()).available[0].amount


async def movements(sandbox: Sandbox) -> list[tuple[str, str, int, int]]:
    """Type, category, amount and fee of all, oldest first."""
    listed = await sandbox.sdk.v1.balance_transactions.list_async({"limit": 100})
    return [(row.type, row.reporting_category, row.amount, row.fee) for row in reversed(listed.data)]


class TestDispute:
    async def test_takes_the_money_back_with_a_fee(self, sandbox: Sandbox) -> None:
        intent = await charged(sandbox)
        before = await balance(sandbox)
        opened = await dispute(sandbox, intent.id, reason="product_not_received")
        listed = await sandbox.sdk.v1.disputes.list_async({"payment_intent": intent.id})
        by_charge = await sandbox.sdk.v1.disputes.list_async(
            {"charge": charge_of(intent).id, "expand": ["data.charge"]}
        )
        assert (opened.status, opened.reason, opened.amount) == ("needs_response", "product_not_received", CHARGED)
        assert (opened.charge, opened.payment_intent) == (charge_of(intent).id, intent.id)
        assert [row.net for row in opened.balance_transactions] == [-CHARGED - DISPUTE_FEE]
        assert await balance(sandbox) == before - CHARGED - DISPUTE_FEE
        assert (await movements(sandbox))[-1] == ("adjustment", "dispute", -CHARGED, DISPUTE_FEE)
        assert [row.id for row in listed.data] == [opened.id]
        assert isinstance(by_charge.data[0].charge, stripe.Charge)
        assert by_charge.data[0].charge.disputed is True
        assert (await event_types(sandbox))[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
        assert await sandbox.line(CAMPAIGN, "disputed") == (1, CHARGED)
        assert await sandbox.line(CAMPAIGN, "dispute_fees") == (1, DISPUTE_FEE)

    @pytest.mark.parametrize(("returned", "kept"), [(False, DISPUTE_FEE), (True, 0)])
    async def test_won_gives_it_back(self, sandbox: Sandbox, *, returned: bool, kept: int) -> None:
        intent = await charged(sandbox)
        before = await balance(sandbox)
        opened = await dispute(sandbox, intent.id)
        closed = await lever(sandbox, f"dispute/{opened.id}", outcome="won", fee_returned=returned)
        assert closed["status"] == "won"
        assert await balance(sandbox) == before - kept
        assert (await movements(sandbox))[-1] == ("adjustment", "dispute_reversal", CHARGED, kept - DISPUTE_FEE)
        assert (await event_types(sandbox))[-2:] == ["charge.dispute.funds_reinstated", "charge.dispute.closed"]
        assert await sandbox.line(CAMPAIGN, "reinstated") == (1, CHARGED)
        refunded = await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id})
        assert refunded.amount == CHARGED

    @pytest.mark.parametrize("way", ["bank", "accepted"])
    async def test_lost_keeps_it_and_nothing_can_be_refunded(self, sandbox: Sandbox, way: str) -> None:
        intent = await charged(sandbox)
        opened = await dispute(sandbox, intent.id)
        after_opening = await balance(sandbox)
        with pytest.raises(stripe.InvalidRequestError) as early:
            await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id})
        if way == "bank":
            await lever(sandbox, f"dispute/{opened.id}", outcome="lost")
        else:
            await sandbox.sdk.v1.disputes.close_async(opened.id)
        closed = await sandbox.sdk.v1.disputes.retrieve_async(opened.id)
        with pytest.raises(stripe.InvalidRequestError) as late:
            await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id})
        with pytest.raises(stripe.InvalidRequestError, match="already closed"):
            await sandbox.sdk.v1.disputes.close_async(opened.id)
        assert (closed.status, early.value.code, late.value.code) == ("lost", "charge_disputed", "charge_disputed")
        assert await balance(sandbox) == after_opening
        assert (await event_types(sandbox))[-1] == "charge.dispute.closed"

    async def test_is_about_what_was_not_refunded(self, sandbox: Sandbox) -> None:
        intent = await charged(sandbox)
        await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 2_000})
        too_much = await sandbox.raw.post("/sandbox/dispute", json={"payment_intent": intent.id, "amount": 3_001})
        opened = await dispute(sandbox, intent.id)
        twice = await sandbox.raw.post("/sandbox/dispute", json={"payment_intent": intent.id})
        assert (too_much.status_code, opened.amount, twice.status_code) == (400, 3_000, 400)

    async def test_of_a_part_leaves_the_rest_after_it_is_won(self, sandbox: Sandbox) -> None:
        intent = await charged(sandbox)
        opened = await dispute(sandbox, intent.id, amount=1_000)
        assert opened.amount == 1_000
        await lever(sandbox, f"dispute/{opened.id}", outcome="won")
        assert (await sandbox.sdk.v1.refunds.create_async({"payment_intent": intent.id})).amount == CHARGED

    async def test_an_inquiry_takes_no_money(self, sandbox: Sandbox) -> None:
        intent = await charged(sandbox)
        before = await balance(sandbox)
        opened = await dispute(sandbox, intent.id, inquiry=True)
        closed = await lever(sandbox, f"dispute/{opened.id}", outcome="won")
        assert (opened.status, closed["status"]) == ("warning_needs_response", "warning_closed")
        assert (await balance(sandbox), opened.balance_transactions) == (before, [])
        assert opened.is_charge_refundable is True

    async def test_does_not_happen_to_a_hold(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        answer = await sandbox.raw.post("/sandbox/dispute", json={"payment_intent": intent.id})
        assert (answer.status_code, await sandbox.line(CAMPAIGN, "held")) == (400, (1, CHARGED))

    @pytest.mark.parametrize(
        ("card", "status", "reason"),
        [
            ("pm_card_createDispute", "needs_response", "fraudulent"),
            ("pm_card_createDisputeProductNotReceived", "needs_response", "product_not_received"),
            ("pm_card_createDisputeInquiry", "warning_needs_response", "fraudulent"),
        ],
    )
    @pytest.mark.parametrize("method", ["manual", "automatic"])
    async def test_follows_from_stripes_test_cards(
        self, sandbox: Sandbox, card: str, status: str, reason: str, method: str
    ) -> None:
        intent = await hold(sandbox, payment_method=card, capture_method=method)
        if method == "manual":
            assert (await sandbox.sdk.v1.disputes.list_async()).data == []
            await sandbox.sdk.v1.payment_intents.capture_async(intent.id)
        listed = await sandbox.sdk.v1.disputes.list_async({"payment_intent": intent.id})
        assert [(row.status, row.reason) for row in listed.data] == [(status, reason)]

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("dispute", {}, 400),
            ("dispute", {"payment_intent": "pi_none"}, 400),
            ("dispute", {"charge": "ch_none"}, 400),
            ("dispute", {"charge": "ch_none", "reason": "bored"}, 400),
            ("dispute/du_none", {"outcome": "won"}, 404),
            ("dispute/du_none", {"outcome": "drawn"}, 400),
            ("refund", {"payment_intent": "pi_none"}, 400),
            ("capture", {"payment_intent": "pi_none"}, 404),
            ("cancel", {}, 400),
        ],
    )
    async def test_a_lever_pulled_wrongly_is_refused(
        self, sandbox: Sandbox, path: str, body: dict[str, str], status: int
    ) -> None:
        answer = await sandbox.raw.post(f"/sandbox/{path}", json=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


class TestDashboard:
    async def test_a_refund_has_nothing_of_ours(self, sandbox: Sandbox) -> None:
        intent = await charged(sandbox)
        made = await lever(sandbox, "refund", payment_intent=intent.id, amount=1_200, reason="duplicate")
        validate_component("refund", made)
        listed = await sandbox.sdk.v1.refunds.list_async({"payment_intent": intent.id})
        events = await sandbox.sdk.v1.events.list_async({"type": "refund.created"})
        assert made["metadata"] == {}
        assert [(row.amount, row.reason) for row in listed.data] == [(1_200, "duplicate")]
        assert events.data[0].request is not None
        assert (events.data[0].request.id, events.data[0].request.idempotency_key) == (None, None)
        assert await sandbox.line(CAMPAIGN, "refunded") == (1, 1_200)

    async def test_a_hold_may_be_cancelled(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        await lever(sandbox, "cancel", payment_intent=intent.id)
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        again = await sandbox.raw.post("/sandbox/cancel", json={"payment_intent": intent.id})
        assert (after.status, after.cancellation_reason) == ("canceled", "requested_by_customer")
        assert again.status_code == 400
        assert await sandbox.line(CAMPAIGN, "voided") == (1, CHARGED)

    async def test_or_captured(self, sandbox: Sandbox) -> None:
        intent = await hold(sandbox)
        await lever(sandbox, "capture", payment_intent=intent.id, amount=4_000)
        after = await sandbox.sdk.v1.payment_intents.retrieve_async(intent.id)
        assert (after.status, after.amount_received) == ("succeeded", 4_000)


class TestReversal:
    async def test_takes_a_transfer_back_in_parts(self, sandbox: Sandbox) -> None:
        await charged(sandbox)
        transfers = sandbox.sdk.v1.transfers
        sent = await transfers.create_async(
            {"amount": 4_000, "currency": "eur", "destination": "acct_creator", "transfer_group": CAMPAIGN}
        )
        before = await balance(sandbox)
        part = await transfers.reversals.create_async(sent.id, {"amount": 1_500, "metadata": {"operation_id": "o-1"}})
        between = await transfers.retrieve_async(sent.id)
        with pytest.raises(stripe.InvalidRequestError, match="greater than unreversed"):
            await transfers.reversals.create_async(sent.id, {"amount": 2_501})
        rest = await transfers.reversals.create_async(sent.id)
        with pytest.raises(stripe.InvalidRequestError, match="already been fully reversed"):
            await transfers.reversals.create_async(sent.id)
        after = await transfers.retrieve_async(sent.id)
        listed = await transfers.reversals.list_async(sent.id, {"expand": ["data.balance_transaction"]})
        one = await transfers.reversals.retrieve_async(sent.id, part.id)
        assert (between.amount_reversed, between.reversed) == (1_500, False)
        assert (after.amount_reversed, after.reversed) == (4_000, True)
        assert [row.id for row in listed.data] == [rest.id, part.id] == [row.id for row in after.reversals.data]
        assert isinstance(listed.data[1].balance_transaction, stripe.BalanceTransaction)
        assert listed.data[1].balance_transaction.net == 1_500
        assert one.metadata is not None
        assert one.metadata["operation_id"] == "o-1"
        assert await balance(sandbox) == before + 4_000
        assert (await event_types(sandbox))[-1] == "transfer.reversed"
        assert await sandbox.line(CAMPAIGN, "reversed") == (2, 4_000)

    async def test_belongs_to_its_transfer(self, sandbox: Sandbox) -> None:
        await charged(sandbox)
        transfers = sandbox.sdk.v1.transfers
        one, other = [
            await transfers.create_async({"amount": 1_000, "currency": "eur", "destination": "acct_creator"})
            for _ in range(2)
        ]
        reversal = await transfers.reversals.create_async(one.id)
        for transfer, asked in ((other.id, reversal.id), (one.id, "trr_none"), ("tr_none", reversal.id)):
            with pytest.raises(stripe.InvalidRequestError) as missing:
                await transfers.reversals.retrieve_async(transfer, asked)
            assert missing.value.http_status == 404
        with pytest.raises(stripe.InvalidRequestError):
            await transfers.reversals.create_async("tr_none")


class TestMovements:
    async def test_of_every_kind_are_listed_by_time_and_type(self, sandbox: Sandbox) -> None:
        first = await charged(sandbox)
        await sandbox.advance(3_600)
        second = await charged(sandbox)
        await sandbox.sdk.v1.refunds.create_async({"payment_intent": first.id, "amount": 100})
        opened = await dispute(sandbox, second.id)
        await lever(sandbox, f"dispute/{opened.id}", outcome="won")
        transfers = sandbox.sdk.v1.transfers
        sent = await transfers.create_async({"amount": 500, "currency": "eur", "destination": "acct_creator"})
        await transfers.reversals.create_async(sent.id, {"amount": 200})
        rows = sandbox.sdk.v1.balance_transactions
        late = await rows.list_async({"created": {"gte": second.created}, "limit": 2, "expand": ["data.source"]})
        ids = [row.id async for row in late.auto_paging_iter()]
        disputes = await rows.list_async({"type": "adjustment"})
        early = await rows.list_async({"created": {"lt": second.created}})
        assert [row[:3] for row in await movements(sandbox)] == [
            ("charge", "charge", CHARGED),
            ("charge", "charge", CHARGED),
            ("refund", "refund", -100),
            ("adjustment", "dispute", -CHARGED),
            ("adjustment", "dispute_reversal", CHARGED),
            ("transfer", "transfer", -500),
            ("transfer_refund", "transfer_reversal", 200),
        ]
        assert len(ids) == len(set(ids)) == 6
        assert [row.source for row in disputes.data] == [opened.id, opened.id]
        assert [row.source for row in early.data] == [charge_of(first).id]
        assert isinstance(late.data[0].source, stripe.StripeObject)
        assert late.data[0].source.to_dict()["object"] == "transfer_reversal"
