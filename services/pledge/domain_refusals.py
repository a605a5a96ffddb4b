"""Why a pledge is not taken, changed or cancelled, in words for its backer."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from eventing.refusal import Refusal


class CampaignUnknown(Refusal):
    code: ClassVar[str] = "campaign-not-open"
    title: ClassVar[str] = "This campaign takes no pledges"
    status: ClassVar[int] = 404


class CampaignNotOpen(Refusal):
    code: ClassVar[str] = "campaign-not-open"
    title: ClassVar[str] = "This campaign takes no pledges"


class DeadlinePassed(Refusal):
    code: ClassVar[str] = "deadline-passed"
    title: ClassVar[str] = "The campaign is over"


class NoSuchCampaign(Refusal):
    code: ClassVar[str] = "campaign-not-found"
    title: ClassVar[str] = "There is no such campaign of yours"
    status: ClassVar[int] = 404


class NotSettled(Refusal):
    code: ClassVar[str] = "not-settled"
    title: ClassVar[str] = "There is nothing to fulfil yet"


class NothingToFulfil(Refusal):
    code: ClassVar[str] = "nothing-to-fulfil"
    title: ClassVar[str] = "Nothing was collected, so nobody is owed a reward"


class CursorUnknown(Refusal):
    code: ClassVar[str] = "cursor-unknown"
    title: ClassVar[str] = "The list cannot go on from there"
    status: ClassVar[int] = 422


class WrongCurrency(Refusal):
    code: ClassVar[str] = "wrong-currency"
    title: ClassVar[str] = "The campaign runs in another currency"
    status: ClassVar[int] = 422


class UnknownTier(Refusal):
    code: ClassVar[str] = "unknown-tier"
    title: ClassVar[str] = "The campaign has no such tier"
    status: ClassVar[int] = 422


class BelowMinimum(Refusal):
    code: ClassVar[str] = "below-minimum"
    title: ClassVar[str] = "The amount is too small for this tier"
    status: ClassVar[int] = 422


class AlreadyPledged(Refusal):
    code: ClassVar[str] = "already-pledged"
    title: ClassVar[str] = "You have a pledge to this campaign already"


class SoldOut(Refusal):
    code: ClassVar[str] = "sold-out"
    title: ClassVar[str] = "This tier is sold out"


class NotSoldOut(Refusal):
    code: ClassVar[str] = "not-sold-out"
    title: ClassVar[str] = "There is no need to wait for this tier"


class WaitlistFull(Refusal):
    code: ClassVar[str] = "waitlist-full"
    title: ClassVar[str] = "The waitlist of this tier is full"


class PledgeUnknown(Refusal):
    code: ClassVar[str] = "pledge-unknown"
    title: ClassVar[str] = "There is no such pledge of yours"
    status: ClassVar[int] = 404


class CutoffPassed(Refusal):
    code: ClassVar[str] = "cutoff-passed"
    title: ClassVar[str] = "Pledges are locked"


class RefundWindowOver(Refusal):
    code: ClassVar[str] = "refund-window-over"
    title: ClassVar[str] = "The time for a refund is over"


class PledgeEnded(Refusal):
    code: ClassVar[str] = "pledge-ended"
    title: ClassVar[str] = "This pledge has ended"


class PaymentUndecided(Refusal):
    code: ClassVar[str] = "payment-undecided"
    title: ClassVar[str] = "The payment of this pledge is still being decided"


class ChangeUndecided(Refusal):
    code: ClassVar[str] = "change-undecided"
    title: ClassVar[str] = "A change of this pledge is still being decided"


class PledgeChangedMeanwhile(Refusal):
    code: ClassVar[str] = "changed-meanwhile"
    title: ClassVar[str] = "The pledge is no longer as you have seen it"
    status: ClassVar[int] = 412


class AmountFixed(Refusal):
    code: ClassVar[str] = "amount-fixed"
    title: ClassVar[str] = "The amount of this pledge cannot be changed"


class TooManyChanges(Refusal):
    code: ClassVar[str] = "too-many-changes"
    title: ClassVar[str] = "This pledge was changed too often"


def utc(time: datetime) -> str:
    """A time as refusals name it: RFC 3339 in UTC."""
    return time.isoformat().replace("+00:00", "Z")


def sold_out(campaign_id: UUID, tier_id: UUID | None) -> SoldOut:
    """With the way to the waitlist (DOMAIN P3)."""
    detail = "All rewards of this tier are taken. Join its waitlist: who is first is offered the next that comes free."
    return SoldOut(detail, links={"waitlist": f"/campaigns/{campaign_id}/tiers/{tier_id}/waitlist"})
