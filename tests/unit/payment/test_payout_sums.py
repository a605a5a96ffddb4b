"""Whatever happens in whatever order, payouts add up (DOMAIN Y10)."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId, new_id
from contracts.money import Money
from contracts.payment import (
    PaymentCaptured,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentRefunded,
    PayoutKind,
    PayoutSent,
)
from payment import domain_payout
from payment.domain_payout import Campaign, Payout, Terms, Totals, Wanted
from payment.domain_payout_events import PayoutStarted
from payment.gateway import NoEffect, Succeeded
from payment.ledger import NO_HOLDS, postings_of
from payment.queries import totals_of

CREATOR = PersonId(new_id())
UNTIL = datetime(2027, 6, 1, tzinfo=UTC)


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@dataclass
class Book:
    """One campaign: its pledges, its payout stream, and its entries by account as (balance, debits)."""

    campaign_id: CampaignId
    payout: Payout = field(default_factory=Payout)
    balances: Counter[str] = field(default_factory=Counter)
    debits: Counter[str] = field(default_factory=Counter)
    open_disputes: list[PaymentDisputeOpened] = field(default_factory=list)
    sent: list[PayoutSent] = field(default_factory=list)
    asked: int | None = None

    @property
    def totals(self) -> Totals:
        return totals_of({name: (self.balances[name], self.debits[name]) for name in self.balances})

    def book(self, event: Event) -> None:
        for posting in postings_of(event, NO_HOLDS):
            for line in posting.lines:
                self.move(line.account, line.amount)

    def move(self, account: str, amount: int) -> None:
        self.balances[account] += amount
        self.debits[account] += max(0, amount)

    def fact(self, kind: type[Event], minor: int, **more: Any) -> Any:
        about = {"pledge_id": PledgeId(new_id()), "campaign_id": self.campaign_id, "hold_id": "pi_1"}
        return kind.model_validate({**about, "amount": euros(minor), **more})


@dataclass
class Creator:
    """Two campaigns of one creator, and what may happen to them."""

    reserve_bps: int
    books: dict[UUID, Book]

    def happen(self, which: int, what: str, minor: int) -> None:
        book = list(self.books.values())[which]
        match what:
            case "capture" if book.asked is None:
                book.book(book.fact(PaymentCaptured, minor, provider_fee=euros(minor // 50)))
            case "refund" if minor <= book.totals.captured - book.totals.refunded:
                book.book(book.fact(PaymentRefunded, minor))
            case "dispute" if minor <= book.totals.captured:
                opened = book.fact(PaymentDisputeOpened, minor, dispute_id="du_1", reason="general", fee=euros(15))
                book.open_disputes.append(opened)
                book.book(opened)
            case "win" | "lose" if book.open_disputes:
                self._close(book, won=what == "win", returned=minor % 2 * 15)
            case "pay" | "fail" | "release":
                book.asked = book.totals.captured - book.totals.refunded if book.asked is None else book.asked
                self._check(book, what)
            case _:
                pass

    @staticmethod
    def _close(book: Book, *, won: bool, returned: int) -> None:
        opened = book.open_disputes.pop()
        more = {"dispute_id": "du_1", "won": won, "fee_returned": euros(returned if won else 0)}
        book.book(book.fact(PaymentDisputeClosed, opened.amount.amount, **more))

    def _check(self, book: Book, what: str) -> None:
        assert book.asked is not None
        wanted = Wanted(book.campaign_id, CREATOR, book.asked, 500, "EUR")
        if what == "release" and book.payout.sent:
            for event in domain_payout.release(wanted, book.totals):
                book.payout = domain_payout.evolve(book.payout, event)
                book.book(event)
        if domain_payout.doubt(wanted, Campaign(CREATOR, 500), book.payout, book.totals):
            return
        debts: dict[UUID, int] = {
            one.campaign_id: one.totals.debt for one in self.books.values() if one is not book and one.sent
        }
        for recovered in domain_payout.recover(book.payout, wanted, book.totals, debts):
            book.payout = domain_payout.evolve(book.payout, recovered)
            book.move("creator_debts", recovered.amount.amount)
            self.books[recovered.debtor_id].move("creator_debts", -recovered.amount.amount)
        (started,) = domain_payout.start(book.payout, wanted, book.totals, Terms(self.reserve_bps, UNTIL))
        assert isinstance(started, PayoutStarted)
        assert started.amount.amount >= 0
        book.payout = domain_payout.evolve(book.payout, started)
        outcome = NoEffect("balance_insufficient") if what == "fail" else Succeeded("tr_1")
        for fact in domain_payout.conclude(book.payout, outcome):
            book.payout = domain_payout.evolve(book.payout, fact)
            book.book(fact)
            book.sent += [fact] if isinstance(fact, PayoutSent) else []


ACTIONS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(("capture", "capture", "refund", "dispute", "win", "lose", "pay", "fail", "release")),
    st.integers(1, 100_000),
)


def made_of(fact: PayoutSent) -> int:
    """`PayoutSent.amount` by its own definition."""
    parts = (fact.platform_fee, fact.provider_fee, fact.refunded, fact.disputed, fact.reserve, fact.recovered)
    assert fact.released
    return fact.captured.amount + fact.released.amount - sum(part.amount for part in parts if part)


@settings(deadline=None)  # a busy machine is no bug
@given(st.integers(0, 5_000), st.lists(ACTIONS, max_size=60))
def test_payouts_reserve_and_what_is_owed_are_all_that_was_captured_less_what_was_taken(
    reserve_bps: int, actions: list[tuple[int, str, int]]
) -> None:
    one, other = Book(CampaignId(new_id())), Book(CampaignId(new_id()))
    creator = Creator(reserve_bps, {one.campaign_id: one, other.campaign_id: other})
    for which, what, minor in actions:
        creator.happen(which, what, minor)
        for book in (one, other):
            t = book.totals
            paid = sum(fact.amount.amount for fact in book.sent)
            taken = t.provider_fees + t.platform_fees + t.refunded + t.disputed + t.recovered
            assert paid + t.reserve + t.left == t.captured - taken
            assert paid == t.paid
            assert all(made_of(fact) == fact.amount.amount for fact in book.sent)
            assert [fact.number for fact in book.sent] == list(range(1, len(book.sent) + 1))
            assert [fact.kind is PayoutKind.MAIN for fact in book.sent] == [True, *[False] * 60][: len(book.sent)]
            assert t.reserve >= 0
    assert one.totals.recovered + other.totals.recovered == 0


@settings(deadline=None)  # a busy machine is no bug
@given(st.integers(0, 5_000), st.lists(ACTIONS, max_size=60))
def test_right_after_a_payout_nothing_is_left_and_no_debt_is_paid_twice(
    reserve_bps: int, actions: list[tuple[int, str, int]]
) -> None:
    one, other = Book(CampaignId(new_id())), Book(CampaignId(new_id()))
    creator = Creator(reserve_bps, {one.campaign_id: one, other.campaign_id: other})
    for which, what, minor in actions:
        book, rest = (one, other) if which == 0 else (other, one)
        before, owed = len(book.sent), rest.totals.debt
        creator.happen(which, what, minor)
        if len(book.sent) > before:
            assert book.totals.left == 0
            assert rest.totals.debt <= owed
            assert book.sent[-1].amount.amount == 0 or not rest.sent or rest.totals.debt == 0
