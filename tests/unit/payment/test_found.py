"""Refunds that are ordered and found, and disputes: what follows from them (DOMAIN Y8, Y9)."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, PledgeId, new_id
from contracts.money import Money
from contracts.payment import PaymentCaptured, PaymentDisputeClosed, PaymentDisputeOpened, PaymentRefunded
from eventing.refusal import Refusal
from payment import domain, domain_disputes, domain_fold, domain_refunds
from payment.domain_events import Kind, PaymentOrdered, RefundFailed, RefundOrdered, ReleaseOrdered, StepStarted
from payment.domain_fold import NOTHING
from payment.domain_refunds import Progress
from payment.domain_state import Payment
from payment.gateway_found import DisputeStatus, RefundStatus, SeenDispute, SeenRefund

PLEDGE, CAMPAIGN = PledgeId(new_id()), CampaignId(new_id())
ABOUT: dict[str, Any] = {"pledge_id": PLEDGE, "campaign_id": CAMPAIGN}
AT = datetime(2027, 3, 1, tzinfo=UTC)


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


ORDERED = PaymentOrdered(**ABOUT, amount=euros(5_000), payment_method="pm_1", strategy=PaymentStrategy.IMMEDIATE)
CAPTURED = PaymentCaptured(**ABOUT, amount=euros(5_000), hold_id="pi_1", provider_fee=euros(100))
RELEASE = ReleaseOrdered(pledge_id=PLEDGE, reason="backer")


def payment(*events: Event) -> Payment:
    state = NOTHING
    for event in (ORDERED, CAPTURED, *events):
        state = domain_fold.evolve(state, event)
    return state


def wish(minor: int) -> RefundOrdered:
    return RefundOrdered(pledge_id=PLEDGE, refund_id=new_id(), amount=euros(minor), reason="other")


def step(wanted: RefundOrdered) -> StepStarted:
    return StepStarted(pledge_id=PLEDGE, kind=Kind.REFUND, attempt=1, amount=wanted.amount, refund_id=wanted.refund_id)


def given(minor: int, refund_id: str = "re_1") -> PaymentRefunded:
    return PaymentRefunded(**ABOUT, amount=euros(minor), hold_id="pi_1", refund_id=refund_id)


def seen(minor: int, refund_id: str = "re_9", status: RefundStatus = RefundStatus.GIVEN) -> SeenRefund:
    return SeenRefund(refund_id, euros(minor), status)


def dispute(status: DisputeStatus, **more: Any) -> SeenDispute:
    about: dict[str, Any] = {
        "dispute_id": "du_1",
        "pledge_id": PLEDGE,
        "payment_id": "pi_1",
        "reason": "fraudulent",
        "taken": euros(5_000),
        "fee": euros(1_500),
        "returned": euros(5_000) if status is DisputeStatus.WON else None,
        "fee_returned": euros(0),
    }
    return SeenDispute(status=status, **(about | more))


def order(p: Payment, minor: int | None) -> RefundOrdered:
    return domain_refunds.order(p, PLEDGE, new_id(), None if minor is None else euros(minor), "other")


class TestOrder:
    def test_all_that_is_left_less_what_is_on_its_way(self) -> None:
        assert order(payment(), None).amount == euros(5_000)
        assert order(payment(wish(1_000)), None).amount == euros(4_000)

    @pytest.mark.parametrize(
        ("p", "minor", "code"),
        [
            (NOTHING, 1, "pledge-not-found"),
            (domain_fold.evolve(None, ORDERED), 1, "not-captured"),
            (payment(), 5_001, "more-than-is-left"),
            (payment(wish(5_000)), 1, "nothing-left"),
            (payment(RELEASE), 1, "nothing-left"),
            (payment(*domain_disputes.facts(payment(), dispute(DisputeStatus.OPEN), opened=False, closed=False)), 1,
             "disputed"),
        ],
    )  # fmt: skip
    def test_refusals(self, p: Payment, minor: int, code: str) -> None:
        with pytest.raises(Refusal) as refused:
            order(p, minor)
        assert refused.value.code == code

    def test_another_currency(self) -> None:
        with pytest.raises(domain_refunds.WrongCurrency):
            domain_refunds.order(payment(), PLEDGE, new_id(), Money(amount=1, currency="USD"), "other")


class TestFound:
    def test_is_a_fact_once(self) -> None:
        facts = domain_refunds.found(payment(), seen(700))
        assert isinstance(facts[1], PaymentRefunded)
        assert (facts[1].amount, facts[1].refunded) == (euros(700), euros(700))
        assert domain_refunds.found(payment(*facts), seen(700)) == ()

    @pytest.mark.parametrize("status", [RefundStatus.FAILED, RefundStatus.UNDECIDED])
    def test_only_what_was_given_counts(self, status: RefundStatus) -> None:
        assert domain_refunds.found(payment(), seen(700, status=status)) == ()

    def test_ends_no_step_of_ours(self) -> None:
        wanted = wish(1_000)
        p = payment(wanted, step(wanted))
        after = payment(wanted, step(wanted), *domain_refunds.found(p, seen(700)))
        assert after.running == p.running
        assert after.refunds == (wanted,)
        assert after.refunded == 700

    def test_more_than_was_captured_is_for_a_person(self) -> None:
        assert "more than was captured" in domain_refunds.wrong(payment(), seen(5_001))
        assert domain_refunds.wrong(payment(), seen(5_000)) == ""

    def test_in_any_order_with_ours_the_sum_is_the_same(self) -> None:
        for amounts in permutations((700, 800, 900)):
            p = payment()
            for minor in amounts:
                for fact in domain_refunds.found(p, seen(minor, f"re_{minor}")):
                    p = domain_fold.evolve(p, fact)
            assert p.refunded == 2_400


class TestList:
    def test_says_what_became_of_each(self) -> None:
        first, second = wish(1_000), wish(9_000)
        outside = domain_refunds.found(payment(), seen(700))
        failed = RefundFailed(pledge_id=PLEDGE, refund_id=second.refund_id, reason="above_captured")
        events = (first, second, step(first), *outside, given(1_000), failed, given(300, "re_2"))
        listed = domain_refunds.listed((event, AT) for event in events)
        assert [(one.refund_id, one.progress, one.provider_id, one.failure) for one in listed[:3]] == [
            (first.refund_id, Progress.GIVEN, "re_1", ""),
            (second.refund_id, Progress.FAILED, "", "above_captured"),
            (None, Progress.GIVEN, "re_9", ""),
        ]


class TestDispute:
    def test_opens_once_and_closes_once(self) -> None:
        (opened,) = domain_disputes.facts(payment(), dispute(DisputeStatus.OPEN), opened=False, closed=False)
        assert isinstance(opened, PaymentDisputeOpened)
        assert domain_disputes.facts(payment(), dispute(DisputeStatus.OPEN), opened=True, closed=False) == ()
        (lost,) = domain_disputes.facts(payment(), dispute(DisputeStatus.LOST), opened=True, closed=False)
        assert isinstance(lost, PaymentDisputeClosed)
        assert not lost.won
        assert domain_disputes.facts(payment(), dispute(DisputeStatus.LOST), opened=True, closed=True) == ()

    def test_heard_of_at_its_end_gives_both(self) -> None:
        facts = domain_disputes.facts(payment(), dispute(DisputeStatus.WON), opened=False, closed=False)
        assert [type(fact).__name__ for fact in facts] == ["PaymentDisputeOpened", "PaymentDisputeClosed"]

    def test_an_inquiry_is_nothing(self) -> None:
        inquiry = dispute(DisputeStatus.INQUIRY, taken=None)
        assert domain_disputes.facts(payment(), inquiry, opened=False, closed=False) == ()
        assert not domain_disputes.waits(payment(), inquiry)

    def test_waits_for_the_capture_and_for_the_money_to_move(self) -> None:
        assert domain_disputes.waits(domain_fold.evolve(None, ORDERED), dispute(DisputeStatus.OPEN))
        assert domain_disputes.waits(payment(), dispute(DisputeStatus.OPEN, taken=None))
        assert domain_disputes.waits(payment(), dispute(DisputeStatus.WON, returned=None))
        assert not domain_disputes.waits(payment(), dispute(DisputeStatus.WON))

    @pytest.mark.parametrize(
        ("seen_dispute", "text"),
        [
            (dispute(DisputeStatus.OPEN, fee=Money(amount=15, currency="USD")), "moved EUR, USD"),
            (dispute(DisputeStatus.WON, returned=euros(4_000)), "took 50.00 EUR and gave 40.00 EUR back"),
        ],
    )
    def test_what_does_not_fit_is_for_a_person(self, seen_dispute: SeenDispute, text: str) -> None:
        assert text in domain_disputes.wrong(payment(), seen_dispute)
        assert domain_disputes.wrong(payment(), dispute(DisputeStatus.WON)) == ""

    def test_a_release_waits_for_it_to_be_won(self) -> None:
        (opened,) = domain_disputes.facts(payment(), dispute(DisputeStatus.OPEN), opened=False, closed=False)
        assert domain.advance(payment(opened, RELEASE)) == ()
        (won,) = domain_disputes.facts(payment(), dispute(DisputeStatus.WON), opened=True, closed=False)
        (started,) = domain.advance(payment(opened, RELEASE, won))
        assert isinstance(started, StepStarted)
        assert (started.kind, started.amount) == (Kind.REFUND, euros(5_000))
