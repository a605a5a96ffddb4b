"""The payouts of a campaign (DOMAIN Y10): one main payout, later ones for what came in or free afterwards.

The ledger is the truth. `Totals` is what it says of a campaign since its beginning; what earlier payouts have settled
stands in the campaign's own stream; a payout is made of the differences. So refunds and disputes may come at any
time, before, between and after payouts: `left` is what the creator still gets, or owes when it is negative.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.event import Event
from contracts.ids import CampaignId, PersonId
from contracts.money import Money, decimals
from contracts.payment import PayoutKind, PayoutSent
from payment.domain import ATTEMPTS_MAX
from payment.domain_payout_events import (
    DebtRecovered,
    PayoutAttemptEnded,
    PayoutStarted,
    PayoutStopLifted,
    PayoutStopped,
    ReserveReleased,
)
from payment.gateway import Decided, Declined, NoEffect, Succeeded

BASIS_POINTS = 10_000


@dataclass(frozen=True)
class Totals:
    """A campaign in the ledger, in minor units of its currency; sums since its beginning but for `reserve`."""

    captured: int = 0
    refunded: int = 0
    disputed: int = 0  # taken back by banks and not given back, fees included
    provider_fees: int = 0
    platform_fees: int = 0  # taken at payouts
    reserve: int = 0  # kept back now
    paid: int = 0
    recovered: int = 0  # paid for other campaigns of the creator, less what they paid for this one

    @property
    def left(self) -> int:
        """What has not been paid out yet and is not kept back; negative: too much was. The platform's fee is not off.

        Summed over payouts, with the reserve: captured - fees - refunded - disputed - recovered (Y10).
        """
        taken = self.refunded + self.disputed + self.provider_fees + self.platform_fees
        return self.captured - taken - self.reserve - self.paid - self.recovered

    @property
    def debt(self) -> int:
        """What the creator owes after the main payout; the reserve stands in for it first."""
        return max(0, -(self.left + self.reserve))


@dataclass(frozen=True)
class Payout:
    """The state of a campaign's payouts; `settled` is what those that were sent are made of, summed.

    `running` stays when the payout stops: the attempt that nobody can explain yet is the one that may go on.
    """

    running: PayoutStarted | None = None
    attempts: int = 0
    tried: int = 0  # attempts since the last payout that was sent, or since a person let it go on
    sent: int = 0
    stopped: bool = False
    settled: Totals = field(default_factory=Totals)
    main_refunded: int = 0  # given back before the main payout
    reserved: int = 0  # kept back at the main payout
    released: int = 0  # of it, by now
    released_settled: int = 0  # of that, in a payout
    recoveries: int = 0


def evolve(state: Payout | None, event: Event) -> Payout:  # noqa: PLR0911 - one a kind of event
    payout = state or Payout()
    match event:
        case PayoutStarted():
            return replace(payout, running=event, attempts=event.attempt, tried=payout.tried + 1)
        case PayoutAttemptEnded():
            return replace(payout, running=None)
        case PayoutStopped():
            return replace(payout, stopped=True)
        case PayoutStopLifted():
            return replace(payout, stopped=False, tried=0)
        case ReserveReleased():
            return replace(payout, released=payout.released + event.amount.amount)
        case DebtRecovered():
            return replace(payout, recoveries=payout.recoveries + 1)
        case PayoutSent():
            return _sent(payout, event)
        case _:
            return payout


def _sent(payout: Payout, fact: PayoutSent) -> Payout:
    before, main = payout.settled, fact.kind is PayoutKind.MAIN
    settled = Totals(
        captured=before.captured + fact.captured.amount,
        refunded=before.refunded + _minor(fact.refunded),
        disputed=before.disputed + _minor(fact.disputed),
        provider_fees=before.provider_fees + fact.provider_fee.amount,
        platform_fees=before.platform_fees + fact.platform_fee.amount,
        reserve=before.reserve + _minor(fact.reserve),
        paid=before.paid + fact.amount.amount,
        recovered=before.recovered + _minor(fact.recovered),
    )
    return replace(
        payout,
        running=None,
        tried=0,
        sent=payout.sent + 1,
        settled=settled,
        main_refunded=settled.refunded if main else payout.main_refunded,
        reserved=payout.reserved + _minor(fact.reserve),
        released_settled=payout.released_settled + _minor(fact.released),
    )


def _minor(money: Money | None) -> int:
    return money.amount if money else 0


@dataclass(frozen=True)
class Wanted:
    """What settlement asked for, in minor units of one currency."""

    campaign_id: CampaignId
    creator_id: PersonId
    captured: int
    platform_fee_bps: int
    currency: str

    def money(self, minor: int) -> Money:
        return Money(amount=minor, currency=self.currency)


@dataclass(frozen=True)
class Campaign:
    """Whose campaign it is and what was agreed at its launch."""

    creator_id: PersonId
    platform_fee_bps: int


@dataclass(frozen=True)
class Terms:
    """The platform's reserve for disputes: a part of what was captured, kept back until a time."""

    reserve_bps: int
    reserve_until: datetime


Doubt = Literal["campaign_unknown", "terms_differ", "captured_differs", "nothing_left"]


def doubt(wanted: Wanted, campaign: Campaign | None, payout: Payout, books: Totals) -> Doubt | None:
    """Why nothing is paid out now. The ledger and the launch are the truth, not the request.

    Settlement has counted what was captured and not wholly given back up to some moment, so its sum lies between the
    ledger's captured sum without refunds and disputes and with them, whatever went back meanwhile. (A pledge that is
    cancelled when its bank has the money needs no refund.) Else one of the two does not know of a capture.
    """
    if campaign is None:
        return "campaign_unknown"
    if (campaign.creator_id, campaign.platform_fee_bps) != (wanted.creator_id, wanted.platform_fee_bps):
        return "terms_differ"
    went_back = books.refunded + books.disputed
    if not payout.sent and not books.captured - went_back <= wanted.captured <= books.captured:
        return "captured_differs"
    if _cleared(available(wanted, payout, books), wanted.currency) <= 0:
        return "nothing_left"
    return None


def platform_fee(wanted: Wanted, payout: Payout, books: Totals) -> int:
    """The platform's part that is still to be taken, rounded down: the fraction of a minor unit is the creator's.

    It is due on what was captured and not given back before the main payout; a later refund does not lower it.
    """
    refunded = payout.main_refunded if payout.sent else books.refunded
    due = max(0, books.captured - refunded) * wanted.platform_fee_bps // BASIS_POINTS
    return max(0, due - books.platform_fees)


def available(wanted: Wanted, payout: Payout, books: Totals) -> int:
    """What could be paid out now, before a reserve and what the creator owes."""
    return books.left - platform_fee(wanted, payout, books)


def _cleared(minor: int, currency: str) -> int:
    """As much of it as banks clear: of a currency with three decimals two. The platform keeps what is left."""
    return minor - minor % 10 if decimals(currency) == 3 else minor


def release(wanted: Wanted, books: Totals) -> tuple[ReserveReleased, ...]:
    """The reserve, whose time is over, is the campaign's again. What disputes took meanwhile is off by itself."""
    if books.reserve <= 0:
        return ()
    return (ReserveReleased(campaign_id=wanted.campaign_id, amount=wanted.money(books.reserve)),)


def recover(payout: Payout, wanted: Wanted, books: Totals, debts: Mapping[UUID, int]) -> tuple[DebtRecovered, ...]:
    """What the creator owes from other campaigns is taken from what could be paid out now, in the order of their ids.

    It moves between the books of two campaigns and needs nobody's answer, so it stands whatever comes of the payout.
    """
    left = available(wanted, payout, books)
    made: list[DebtRecovered] = []
    for debtor_id, owed in sorted(debts.items()):
        amount = min(left, owed)
        if amount > 0:
            made.append(
                DebtRecovered(
                    campaign_id=wanted.campaign_id,
                    debtor_id=CampaignId(debtor_id),
                    amount=wanted.money(amount),
                    number=payout.recoveries + len(made) + 1,
                )
            )
            left -= amount
    return tuple(made)


def start(payout: Payout, wanted: Wanted, books: Totals, terms: Terms) -> tuple[PayoutStarted | PayoutStopped, ...]:
    """The next attempt, unless one is under way. Assumes that there is no doubt and that debts are recovered."""
    if payout.running or payout.stopped:
        return ()
    if payout.tried >= ATTEMPTS_MAX:
        return (PayoutStopped(campaign_id=wanted.campaign_id, reason="too_many_attempts"),)
    money, settled = wanted.money, payout.settled
    free, released = available(wanted, payout, books), payout.released - payout.released_settled
    reserve = 0 if payout.sent else min(free, (books.captured - books.refunded) * terms.reserve_bps // BASIS_POINTS)
    amount = _cleared(free - reserve, wanted.currency)
    return (
        PayoutStarted(
            campaign_id=wanted.campaign_id,
            creator_id=wanted.creator_id,
            attempt=payout.attempts + 1,
            amount=money(amount),
            captured=money(books.captured - settled.captured),
            platform_fee=money(platform_fee(wanted, payout, books) + free - reserve - amount),
            provider_fee=money(books.provider_fees - settled.provider_fees),
            kind=_kind(payout, released),
            number=payout.sent + 1,
            refunded=money(books.refunded - settled.refunded),
            disputed=money(books.disputed - settled.disputed),
            reserve=money(reserve),
            released=money(released),
            recovered=money(books.recovered - settled.recovered),
            reserve_until=terms.reserve_until if reserve else None,
        ),
    )


def _kind(payout: Payout, released: int) -> PayoutKind:
    if not payout.sent:
        return PayoutKind.MAIN
    return PayoutKind.RESERVE if released else PayoutKind.LATER


def lift_stop(payout: Payout, campaign_id: CampaignId) -> tuple[PayoutStopLifted, ...]:
    """A person says: go on, with the attempt that stopped if there is one. What stopped it may stop it again."""
    return (PayoutStopLifted(campaign_id=campaign_id),) if payout.stopped else ()


def conclude(payout: Payout, outcome: Decided) -> tuple[Event, ...]:
    started = payout.running
    if started is None:
        return ()
    match outcome:
        case Succeeded():
            return (sent(started, outcome.reference),)
        case NoEffect(reason) | Declined(reason, hard=False):
            return (PayoutAttemptEnded(campaign_id=started.campaign_id, reason=reason),)
        case _:
            return (PayoutStopped(campaign_id=started.campaign_id, reason=repr(outcome)),)


def sent(started: PayoutStarted, transfer_id: str) -> PayoutSent:
    """`transfer_id` is empty where all of it was recovered or kept back, so that nothing was to be transferred."""
    return PayoutSent(
        transfer_id=transfer_id,
        **{name: getattr(started, name) for name in PayoutSent.model_fields if name in PayoutStarted.model_fields},
    )
