"""Changing a pledge: another amount, tier or card (DOMAIN P6).

A change that moves money is undecided until payment has a hold for it: the old hold stands meanwhile, and so does the
pledge. One that moves none is done at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from contracts.campaign import FundingModel
from contracts.ids import ChangeId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.payment import PaymentChangeAuthorized, PaymentChangeDeclined
from contracts.pledge import PledgeChanged, PledgeChangeDropped, PledgeChangeRequested
from pledge.domain import HELD, LIVE, UNDECIDED, Change, Pledge, Status
from pledge.domain_book import Book, Pool, Tier, check_tier, opened
from pledge.domain_refusals import (
    AmountFixed,
    ChangeUndecided,
    CutoffPassed,
    PaymentUndecided,
    PledgeChangedMeanwhile,
    PledgeEnded,
    TooManyChanges,
    WrongCurrency,
    sold_out,
    utc,
)
from pledge.domain_waitlist import Waiting, has_slot_for

LEASE_EXPIRED: Final = "lease_expired"
CANCELLED: Final = "cancelled"
PAYMENT_ENDED: Final = "payment_ended"

CHANGES_MAX: Final = 20  # Each asks the bank for a hold; more of them look like somebody trying out cards.


@dataclass(frozen=True, slots=True)
class ChangePledge:
    """By the person who asks, who must be its backer. What is None stays as it is.

    `tier_id` counts only with `moves_tier`, since None is a wish of its own: no reward. `versions` are those of the
    pledge's stream that the wish is about; None: whichever it is.
    """

    change_id: ChangeId
    pledge_id: PledgeId
    person_id: PersonId
    amount: Money | None
    tier_id: TierId | None
    moves_tier: bool
    payment_method: str | None
    versions: frozenset[str] | None
    lease_seconds: int


def check_seen(version: int, command: ChangePledge) -> None:
    """Raises PledgeChangedMeanwhile if the backer has seen another version of the pledge (RFC 9110, If-Match)."""
    if command.versions is not None and str(version) not in command.versions:
        raise PledgeChangedMeanwhile("Read it again, and send the change with the new ETag if you still want it.")


def wanted(command: ChangePledge, pledge: Pledge, now: datetime) -> Change:
    """The pledge as the command would have it."""
    return Change(
        change_id=command.change_id,
        amount=command.amount or pledge.amount,
        tier_id=command.tier_id if command.moves_tier else pledge.tier_id,
        payment_method=command.payment_method or pledge.payment_method,
        lease_until=now + timedelta(seconds=command.lease_seconds),
    )


def change(
    pledge: Pledge,
    to: Change,
    now: datetime,
    *,
    book: Book,
    tier: Tier | None,
    pool: Pool | None,
    entry: Waiting | None = None,
) -> tuple[PledgeChangeRequested | PledgeChanged, ...]:
    """A change asked for (DOMAIN P6).

    `tier` is the new one; `pool` is its pool if that is not the old tier's, `entry` the backer's place on its waitlist.

    Raises:
        PledgeEnded, PaymentUndecided, ChangeUndecided, CampaignNotOpen, DeadlinePassed, WrongCurrency, UnknownTier,
        BelowMinimum, AmountFixed, CutoffPassed, SoldOut, TooManyChanges: In this order.
    """
    _check_changeable(pledge)
    if (to.amount, to.tier_id, to.payment_method) == (pledge.amount, pledge.tier_id, pledge.payment_method):
        return ()
    opened(book, now)
    if to.amount.currency != book.currency:
        raise WrongCurrency(f"Pledges to this campaign are in {book.currency}.", currency=book.currency)
    if to.tier_id is not None:
        check_tier(tier, pledge.campaign_id, to.amount)
    _check_allowed(pledge, to, book, now)
    if pool is not None and not has_slot_for(pool, entry):
        raise sold_out(pledge.campaign_id, to.tier_id)
    if not _moves_money(pledge, to):
        charged = pledge.status is Status.CAPTURED
        hold = (None, None) if charged else (pledge.hold_id, pledge.capture_before)
        return (_done(pledge, to, *hold),)
    if pledge.changes >= CHANGES_MAX:
        raise TooManyChanges(f"A pledge can be changed {CHANGES_MAX} times. Cancel it and place another one.")
    return (
        PledgeChangeRequested(
            **pledge.about,
            change_id=to.change_id,
            new_amount=to.amount,
            new_tier_id=to.tier_id,
            payment_method=to.payment_method,
            lease_until=to.lease_until,
        ),
    )


def _check_changeable(pledge: Pledge) -> None:
    status = pledge.status.value
    if pledge.status not in LIVE:
        raise PledgeEnded(f"There is nothing to change: it is {status}.", pledge_status=status)
    if pledge.status in UNDECIDED:
        until = utc(pledge.lease_until)
        raise PaymentUndecided(f"Change it when that is done, at {until} at the latest.", decide_by=until)
    if pledge.status not in HELD | {Status.CAPTURED}:
        raise PaymentUndecided("Its payment failed. Mend that first.", pledge_status=status)
    if pledge.change is not None:
        until = utc(pledge.change.lease_until)
        raise ChangeUndecided(f"Change it again when that is done, at {until} at the latest.", decide_by=until)


def _check_allowed(pledge: Pledge, to: Change, book: Book, now: datetime) -> None:
    moves_money = (to.amount, to.payment_method) != (pledge.amount, pledge.payment_method)
    if moves_money and (book.model is FundingModel.KEEP_IT_ALL or pledge.status is Status.CAPTURED):
        raise AmountFixed("It is paid already. Its reward can be changed, its payment cannot.")
    gives_up = to.amount < pledge.amount or (pledge.tier_id is not None and to.tier_id != pledge.tier_id)
    if book.model is FundingModel.ALL_OR_NOTHING and gives_up and now >= book.cutoff_at:
        cutoff = utc(book.cutoff_at)
        detail = f"It could be lowered, or its tier left, until {cutoff}. Raising is possible until the deadline."
        raise CutoffPassed(detail, cutoff=cutoff, deadline=utc(book.deadline))


def _moves_money(pledge: Pledge, to: Change) -> bool:
    """A pledge at risk has lost its hold, so any change of it needs one."""
    same = (to.amount, to.payment_method) == (pledge.amount, pledge.payment_method)
    return not same or pledge.status is Status.AT_RISK


def changed(
    pledge: Pledge, fact: PaymentChangeAuthorized | PaymentChangeDeclined
) -> tuple[PledgeChanged | PledgeChangeDropped, ...]:
    """Payment's answer. One about a change that was dropped meanwhile changes nothing: its hold is released."""
    if pledge.change is None or pledge.change.change_id != fact.change_id:
        return ()
    if isinstance(fact, PaymentChangeDeclined):
        return drop_change(pledge, fact.reason)
    return (_done(pledge, pledge.change, fact.hold_id, fact.capture_before),)


def drop_change(pledge: Pledge, reason: str) -> tuple[PledgeChangeDropped, ...]:
    """The pledge stands as it is; nothing if no change of it is undecided."""
    if pledge.change is None:
        return ()
    return (PledgeChangeDropped(**pledge.about, change_id=pledge.change.change_id, reason=reason),)


def _done(pledge: Pledge, to: Change, hold_id: str | None, capture_before: datetime | None) -> PledgeChanged:
    about = {**pledge.about, "amount": to.amount, "tier_id": to.tier_id}
    return PledgeChanged(
        **about,
        change_id=to.change_id,
        hold_id=hold_id,
        capture_before=capture_before,
        previous_amount=pledge.amount,
        previous_tier_id=pledge.tier_id,
    )
