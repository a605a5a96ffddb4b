"""The main payout of a campaign (DOMAIN Y10): what the creator gets of what was captured, sent once."""

from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.ids import CampaignId, PersonId
from contracts.money import Money, decimals
from contracts.payment import PayoutSent
from payment.domain import ATTEMPTS_MAX
from payment.gateway import Decided, Declined, NoEffect, Succeeded

BASIS_POINTS = 10_000


class _Private(Event):
    campaign_id: CampaignId

    @property
    def subject(self) -> UUID:
        return self.campaign_id


class PayoutStarted(_Private, type="payment.PayoutStarted.v1"):
    creator_id: PersonId
    attempt: int = Field(ge=1)
    amount: Money
    captured: Money
    platform_fee: Money
    provider_fee: Money


class PayoutAttemptEnded(_Private, type="payment.PayoutAttemptEnded.v1"):
    """Proven to have moved nothing; another attempt may follow."""

    reason: str


class PayoutStopped(_Private, type="payment.PayoutStopped.v1"):
    """The provider's answer does not fit: a person has to look before anything more is sent."""

    reason: str


PRIVATE_EVENTS = (PayoutStarted, PayoutAttemptEnded, PayoutStopped)


@dataclass(frozen=True)
class Payout:
    running: PayoutStarted | None = None
    attempts: int = 0
    sent: bool = False
    stopped: bool = False


def evolve(state: Payout | None, event: Event) -> Payout:
    payout = state or Payout()
    match event:
        case PayoutStarted():
            return replace(payout, running=event, attempts=event.attempt)
        case PayoutAttemptEnded():
            return replace(payout, running=None)
        case PayoutStopped():
            return replace(payout, running=None, stopped=True)
        case PayoutSent():
            return replace(payout, running=None, sent=True)
        case _:
            return payout


@dataclass(frozen=True)
class Wanted:
    """What settlement asked for, in minor units of one currency."""

    campaign_id: CampaignId
    creator_id: PersonId
    captured: int
    platform_fee_bps: int
    currency: str


@dataclass(frozen=True)
class Campaign:
    """Whose campaign it is and what was agreed at its launch."""

    creator_id: PersonId
    platform_fee_bps: int


@dataclass(frozen=True)
class Books:
    """What the ledger says about the campaign: captured less refunded, and the provider's fees."""

    captured: int
    provider_fees: int


Doubt = Literal["campaign_unknown", "terms_differ", "captured_differs", "nothing_left"]


def doubt(wanted: Wanted, campaign: Campaign | None, books: Books) -> Doubt | None:
    """Why the payout cannot be made now; the ledger and the launch are the truth, not the request."""
    if campaign is None:
        return "campaign_unknown"
    if (campaign.creator_id, campaign.platform_fee_bps) != (wanted.creator_id, wanted.platform_fee_bps):
        return "terms_differ"
    if books.captured != wanted.captured:
        return "captured_differs"
    if share(wanted, books) <= 0:
        return "nothing_left"
    return None


def platform_fee(wanted: Wanted) -> int:
    """The platform's part, rounded down: the fraction of a minor unit is the creator's."""
    return wanted.captured * wanted.platform_fee_bps // BASIS_POINTS


def share(wanted: Wanted, books: Books) -> int:
    """The creator's part. Where a currency has three decimals it ends in 0: banks clear two, so the rest is kept."""
    left = wanted.captured - platform_fee(wanted) - books.provider_fees
    return left - left % 10 if decimals(wanted.currency) == 3 else left


def start(payout: Payout, wanted: Wanted, books: Books) -> tuple[Event, ...]:
    """The next attempt, unless one is under way or the payout was made. Assumes that there is no doubt."""
    if payout.running or payout.sent or payout.stopped:
        return ()
    if payout.attempts >= ATTEMPTS_MAX:
        return (PayoutStopped(campaign_id=wanted.campaign_id, reason="too_many_attempts"),)

    def money(minor: int) -> Money:
        return Money(amount=minor, currency=wanted.currency)

    amount = share(wanted, books)
    return (
        PayoutStarted(
            campaign_id=wanted.campaign_id,
            creator_id=wanted.creator_id,
            attempt=payout.attempts + 1,
            amount=money(amount),
            captured=money(wanted.captured),
            platform_fee=money(wanted.captured - amount - books.provider_fees),
            provider_fee=money(books.provider_fees),
        ),
    )


def conclude(payout: Payout, outcome: Decided) -> tuple[Event, ...]:
    started = payout.running
    if started is None:
        return ()
    match outcome:
        case Succeeded():
            sent = PayoutSent(
                campaign_id=started.campaign_id,
                creator_id=started.creator_id,
                amount=started.amount,
                captured=started.captured,
                platform_fee=started.platform_fee,
                provider_fee=started.provider_fee,
                transfer_id=outcome.reference,
            )
            return (sent,)
        case NoEffect(reason) | Declined(reason, hard=False):
            return (PayoutAttemptEnded(campaign_id=started.campaign_id, reason=reason),)
        case _:
            return (PayoutStopped(campaign_id=started.campaign_id, reason=repr(outcome)),)
