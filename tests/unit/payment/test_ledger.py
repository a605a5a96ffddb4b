"""Every fact about money is a balanced posting, and a hold is resolved once (DOMAIN M3, M5)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, new_id
from contracts.money import Money
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from contracts.registry import PUBLIC_EVENTS
from payment.domain_payout_events import DebtRecovered, ReserveReleased
from payment.ledger import NO_HOLDS, Account, Holds, Phase, Posting, after, postings_of

AMOUNTS = st.integers(min_value=1, max_value=10**12)
CAMPAIGN = CampaignId(new_id())
PLEDGE = PledgeId(new_id())


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def fact(kind: type[Event], minor: int, hold_id: str = "pi_1", **more: object) -> Any:
    given = {"pledge_id": PLEDGE, "campaign_id": CAMPAIGN, "amount": euros(minor), "hold_id": hold_id}
    return kind.model_validate({**given, **more})


def captured(minor: int, fee: int = 0, hold_id: str = "pi_1") -> PaymentCaptured:
    return PaymentCaptured.model_validate(fact(PaymentCaptured, minor, hold_id, provider_fee=euros(fee)))


def renewed(minor: int, previous: str, hold_id: str) -> Any:
    return fact(PaymentHoldRenewed, minor, hold_id, previous_hold_id=previous)


def at_risk(minor: int, hold_id: str = "pi_1", *, lost: bool) -> Any:
    return fact(PaymentAtRisk, minor, hold_id, reason="hold_lost", lost=lost)


def opened(minor: int, fee: int, dispute_id: str = "dp_1") -> Any:
    return fact(PaymentDisputeOpened, minor, dispute_id=dispute_id, reason="fraudulent", fee=euros(fee))


def closed(minor: int, returned: int, *, won: bool, dispute_id: str = "dp_1") -> Any:
    return fact(PaymentDisputeClosed, minor, dispute_id=dispute_id, won=won, fee_returned=euros(returned))


def sent(captured_minor: int, platform: int, provider: int, **more: int) -> PayoutSent:
    off = sum(more.values())
    return PayoutSent(
        campaign_id=CAMPAIGN,
        creator_id=PersonId(new_id()),
        amount=euros(captured_minor - platform - provider - off),
        captured=euros(captured_minor),
        platform_fee=euros(platform),
        provider_fee=euros(provider),
        transfer_id="tr_1",
        **{name: euros(minor) for name, minor in more.items()},
    )


@dataclass
class Book:
    """Facts of one pledge and its campaign, booked in their order."""

    postings: list[Posting] = field(default_factory=list)
    holds: Holds = field(default_factory=dict)

    def book(self, *events: Event) -> "Book":
        for event in events:
            made = postings_of(event, self.holds)
            self.holds = after(self.holds, made)
            self.postings += made
        return self

    @property
    def phases(self) -> list[Phase]:
        return [posting.phase for posting in self.postings]

    @property
    def balances(self) -> dict[Account, int]:
        total: Counter[Account] = Counter()
        for posting in self.postings:
            for line in posting.lines:
                total[line.account] += line.amount
        return {account: minor for account, minor in total.items() if minor}


def booked(*events: Event) -> Book:
    return Book().book(*events)


# -- the life of a hold ----------------------------------------------------------------------------------------------


def test_a_hold_is_pending_until_it_is_voided_and_leaves_no_trace() -> None:
    book = booked(fact(PaymentAuthorized, 5_000))
    assert book.balances == {Account.HOLDS: 5_000, Account.HOLD_PROMISES: -5_000}
    book.book(fact(PaymentVoided, 5_000))
    assert book.balances == {}
    assert book.phases == [Phase.PENDING, Phase.VOID]
    assert book.postings[1].pending_id == book.postings[0].posting_id


def test_a_partial_capture_posts_the_hold_and_releases_the_rest() -> None:
    book = booked(fact(PaymentAuthorized, 5_000), captured(4_000, 85))
    assert book.phases == [Phase.PENDING, Phase.POST]
    assert book.balances == {
        Account.PROVIDER_RECEIVABLE: 3_915,
        Account.PROVIDER_FEES: 85,
        Account.CAMPAIGN_PAYABLE: -4_000,
    }


def test_a_charge_is_a_hold_and_its_capture_at_once() -> None:
    book = booked(captured(4_000))
    hold, capture = book.postings
    assert (hold.phase, capture.phase, capture.pending_id) == (Phase.PENDING, Phase.POST, hold.posting_id)
    assert book.balances == {Account.PROVIDER_RECEIVABLE: 4_000, Account.CAMPAIGN_PAYABLE: -4_000}


def test_a_saved_card_holds_nothing_until_it_is_charged() -> None:
    saved = fact(PaymentAuthorized, 5_000, "seti_1")
    change = fact(PaymentChangeAuthorized, 6_000, "seti_2", change_id=ChangeId(new_id()))
    assert booked(saved, change, fact(PaymentVoided, 5_000, "seti_1")).postings == []
    assert booked(saved, captured(5_000)).phases == [Phase.PENDING, Phase.POST]


def test_a_renewed_hold_stands_beside_the_old_one_until_that_is_released() -> None:
    book = booked(fact(PaymentAuthorized, 5_000), renewed(5_000, "pi_1", "pi_2"))
    assert book.balances[Account.HOLDS] == 10_000
    book.book(fact(PaymentVoided, 5_000, "pi_1"), captured(5_000, hold_id="pi_2"))
    assert book.holds == {}
    assert Account.HOLDS not in book.balances


def test_a_change_has_a_hold_of_its_own() -> None:
    change = fact(PaymentChangeAuthorized, 7_000, "pi_2", change_id=ChangeId(new_id()))
    book = booked(fact(PaymentAuthorized, 5_000), change, fact(PaymentVoided, 7_000, "pi_2"))
    assert book.balances[Account.HOLDS] == 5_000


def test_a_lost_hold_ends_once_and_a_later_void_of_it_books_nothing() -> None:
    book = booked(fact(PaymentAuthorized, 5_000), at_risk(5_000, lost=True), at_risk(5_000, lost=True))
    book.book(fact(PaymentVoided, 5_000))
    assert book.phases == [Phase.PENDING, Phase.VOID]
    assert book.balances == {}


def test_a_hold_at_risk_still_stands() -> None:
    assert booked(fact(PaymentAuthorized, 5_000), at_risk(5_000, lost=False)).balances[Account.HOLDS] == 5_000


def test_a_failed_capture_ends_the_hold_and_one_without_a_hold_books_nothing() -> None:
    failed = fact(PaymentCaptureFailed, 5_000, reason="hold_expired")
    assert booked(fact(PaymentAuthorized, 5_000), failed).balances == {}
    assert booked(failed).postings == []


# -- refunds, disputes, payouts --------------------------------------------------------------------------------------


def test_after_the_payout_nothing_is_owed_to_the_campaign() -> None:
    book = booked(captured(10_000, 175), captured(2_000, 55, "pi_2"), fact(PaymentRefunded, 2_000, "pi_2"))
    after_payout = book.book(sent(12_000, 500, 230, refunded=2_000)).balances
    assert creator_gets(after_payout) == 0
    assert after_payout[Account.PLATFORM_FEES] == -500
    assert after_payout[Account.PROVIDER_RECEIVABLE] == 500
    assert Account.PROVIDER_FEES not in after_payout


def test_a_reserve_stays_in_our_balance() -> None:
    balances = booked(captured(10_000, 175), sent(10_000, 500, 175, reserve=1_000)).balances
    assert (balances[Account.RESERVE], balances[Account.PAYOUTS]) == (-1_000, 8_325)
    assert creator_gets(balances) == 0
    assert balances[Account.PROVIDER_RECEIVABLE] == 1_500


def test_a_reserve_is_released_to_the_campaign_and_a_debt_moves_between_two() -> None:
    book = booked(captured(10_000, 175), sent(10_000, 500, 175, reserve=1_000))
    book.book(ReserveReleased(campaign_id=CAMPAIGN, amount=euros(1_000)))
    assert (creator_gets(book.balances), Account.RESERVE in book.balances) == (1_000, False)
    other = CampaignId(new_id())
    debt = DebtRecovered(campaign_id=CAMPAIGN, debtor_id=other, amount=euros(300), number=1)
    (posting,) = postings_of(debt, NO_HOLDS)
    assert [(line.campaign_id, line.amount) for line in posting.lines] == [(CAMPAIGN, 300), (other, -300)]
    assert creator_gets(book.book(debt).balances) == 1_000, "of both campaigns together"


def test_payouts_of_nothing_are_postings_of_their_own() -> None:
    whole = sent(1_000, 500, 100, recovered=400)
    first = whole.model_copy(update={"transfer_id": ""})
    assert first.amount == euros(0)
    ids = {posting_id for one in (first, first.model_copy(update={"number": 2})) for posting_id in ids_of(one)}
    assert len(ids) == 2


def ids_of(event: Event) -> list[UUID]:
    return [posting.posting_id for posting in postings_of(event, NO_HOLDS)]


def test_a_dispute_takes_amount_and_fee_and_gives_back_what_was_won() -> None:
    taken = captured(10_000, 175)
    assert booked(taken, opened(10_000, 1_500)).balances[Account.DISPUTES] == 11_500
    won = booked(taken, opened(10_000, 1_500), closed(10_000, 1_500, won=True))
    assert won.balances == booked(taken).balances
    lost = booked(taken, opened(10_000, 1_500), closed(10_000, 0, won=False))
    assert lost.balances[Account.DISPUTES] == 11_500
    kept = booked(taken, opened(10_000, 1_500), closed(10_000, 0, won=True))
    assert kept.balances[Account.DISPUTES] == 1_500


def test_two_refunds_of_a_payment_are_two_postings_and_the_same_refund_is_one() -> None:
    first, second = (fact(PaymentRefunded, 1_000, refund_id=one) for one in ("re_1", "re_2"))
    ids = [posting.posting_id for posting in booked(first, second, first).postings]
    assert ids[0] != ids[1]
    assert ids[0] == ids[2], "the database refuses the second"


# -- whatever comes --------------------------------------------------------------------------------------------------

EXAMPLES: dict[str, Event] = {
    event.type: event
    for event in (
        fact(PaymentAuthorized, 5_000),
        captured(5_000, 100),
        fact(PaymentVoided, 5_000),
        fact(PaymentCaptureFailed, 5_000, reason="hold_expired"),
        fact(PaymentChangeAuthorized, 5_000, change_id=ChangeId(new_id())),
        renewed(5_000, "pi_0", "pi_1"),
        at_risk(5_000, lost=True),
        fact(PaymentRefunded, 5_000),
        opened(5_000, 1_500),
        closed(5_000, 1_500, won=True),
        sent(5_000, 250, 100),
        fact(PaymentDeclined, 5_000, reason="lost_card"),
        fact(PaymentActionRequired, 5_000),
        fact(PaymentChangeDeclined, 5_000, change_id=ChangeId(new_id()), reason="lost_card"),
    )
}
MOVE_NOTHING = {PaymentDeclined.type, PaymentActionRequired.type, PaymentChangeDeclined.type}


@pytest.mark.parametrize("event_type", [name for name in PUBLIC_EVENTS if name.startswith("payment.")])
def test_every_public_fact_is_accounted_for(event_type: str) -> None:
    example = EXAMPLES[event_type]
    needs_hold = isinstance(example, PaymentVoided | PaymentCaptureFailed | PaymentAtRisk)
    before = booked(fact(PaymentAuthorized, 5_000)).holds if needs_hold else NO_HOLDS
    assert bool(postings_of(example, before)) == (event_type not in MOVE_NOTHING)


HOLDS = st.sampled_from(("pi_1", "pi_2", "pi_3", "seti_1"))


@st.composite
def facts(draw: st.DrawFn) -> Event:
    """Facts as the provider may give them, in any order: also those that no payment would have."""
    minor, fee, hold = draw(AMOUNTS), draw(st.integers(0, 10**6)), draw(HOLDS)
    make = draw(
        st.sampled_from(
            (
                lambda: fact(PaymentAuthorized, minor, hold),
                lambda: renewed(minor, "pi_0", hold),
                lambda: fact(PaymentChangeAuthorized, minor, hold, change_id=ChangeId(new_id())),
                lambda: captured(minor, fee, hold),
                lambda: fact(PaymentVoided, minor, hold),
                lambda: fact(PaymentCaptureFailed, minor, hold, reason="x"),
                lambda: at_risk(minor, hold, lost=bool(fee % 2)),
                lambda: fact(PaymentRefunded, minor, hold),
                lambda: opened(minor, fee),
                lambda: closed(minor, fee, won=bool(fee % 2)),
                lambda: sent(minor + 2 * fee, fee, fee),
            )
        )
    )
    made: Event = make()
    return made


def creator_gets(balances: dict[Account, int]) -> int:
    """As the ledger's docstring has it."""
    against = ("campaign_payable", "provider_fees", "refunds", "disputes", "payouts", "creator_debts")
    return -sum(balances.get(Account(name), 0) for name in against)


def resolved(postings: Iterable[Posting]) -> list[UUID]:
    return [posting.pending_id for posting in postings if posting.pending_id]


@given(st.lists(facts(), max_size=30))
def test_in_any_order_debits_are_credits_and_the_holds_are_the_open_pendings(events: list[Event]) -> None:
    book = Book()
    for event in events:
        if not {one.posting_id for one in postings_of(event, book.holds)} & {one.posting_id for one in book.postings}:
            book.book(event)  # the database refuses the others: the same fact again
    for posting in book.postings:
        assert sum(line.amount for line in posting.lines) == 0
        assert len({line.currency for line in posting.lines}) == 1
    pendings = {one.posting_id: one for one in book.postings if one.phase is Phase.PENDING}
    ended = resolved(book.postings)
    assert len(ended) == len(set(ended)), "a pending posting is resolved once"
    assert set(ended) <= set(pendings)
    still_open = sum(one.lines[0].amount for one in pendings.values() if one.posting_id not in ended)
    balances = book.balances
    assert balances.get(Account.HOLDS, 0) == -balances.get(Account.HOLD_PROMISES, 0) == still_open
    kept_back = -balances.get(Account.PLATFORM_FEES, 0) - balances.get(Account.RESERVE, 0)
    assert balances.get(Account.PROVIDER_RECEIVABLE, 0) == creator_gets(balances) + kept_back


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Facts of a pledge as the provider can have them: each hold ends once, no more is taken or given than there is."""
    events: list[Event] = []
    current, minor = "", 0
    for number in range(draw(st.integers(1, 6))):
        hold_id, before, old = f"pi_{number}", current, minor
        minor = draw(AMOUNTS)
        events.append(renewed(minor, before, hold_id) if before else fact(PaymentAuthorized, minor, hold_id))
        if before:
            ends = fact(PaymentVoided, old, before), at_risk(old, before, lost=True)
            events += draw(st.sampled_from(((ends[0],), (ends[1],), (ends[1], ends[0]))))
        current = hold_id
    taken = draw(st.integers(1, minor))
    end = draw(st.sampled_from(("capture", "void", "lost")))
    if end != "capture":
        return [*events, fact(PaymentVoided, minor, current) if end == "void" else at_risk(minor, current, lost=True)]
    events.append(captured(taken, draw(st.integers(0, taken)), current))
    left = taken
    for number in range(draw(st.integers(0, 3))):
        back = draw(st.integers(0, left))
        left -= back
        if back:
            events.append(fact(PaymentRefunded, back, current, refund_id=f"re_{number}"))
    return events


@given(lives())
def test_in_the_life_of_a_pledge_refunded_is_within_captured_is_within_held(events: list[Event]) -> None:
    book = Book()
    for event in events:
        before = book.holds
        book.book(event)
        assert set(book.holds) - set(before) <= {getattr(event, "hold_id", "")}
        assert book.balances.get(Account.HOLDS, 0) == sum(held.money.amount for held in book.holds.values())
        taken, given_back = (-book.balances.get(Account.CAMPAIGN_PAYABLE, 0), book.balances.get(Account.REFUNDS, 0))
        assert 0 <= given_back <= taken
    assert book.holds == {}
    held = {one.posting_id: one.lines[0].amount for one in book.postings if one.phase is Phase.PENDING}
    for post in (one for one in book.postings if one.phase is Phase.POST):
        assert post.pending_id is not None
        assert 0 < -post.lines[3].amount <= held[post.pending_id]
    assert sorted(resolved(book.postings)) == sorted(held)
    ids = [posting.posting_id for posting in book.postings]
    assert len(ids) == len(set(ids))
