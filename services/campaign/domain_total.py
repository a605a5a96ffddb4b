"""What one pledge adds to its campaign, folded from the pledge's own facts (DOMAIN C7, M4, Y9)."""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)

# After these facts: does the pledge count in the total (C7), does it hold a slot of its tier (P2, P5).
STANDING_AFTER: Final[dict[type[PledgeFact], tuple[bool, bool]]] = {
    PledgePlaced: (False, True),
    PledgeAuthorized: (True, True),
    PledgeHoldRenewed: (True, True),
    PledgeAtRisk: (True, True),
    PledgeChanged: (True, True),
    PledgeCaptured: (True, True),
    PledgePartlyRefunded: (True, True),
    PledgeCaptureFailed: (False, True),
    PledgeDeclined: (False, False),
    PledgeCancelled: (False, False),
    PledgeVoided: (False, False),
    PledgeDropped: (False, False),
    PledgeRefunded: (False, False),
}
# These say nothing about that.
OTHERS: Final[tuple[type[PledgeFact], ...]] = (PledgeActionRequired, PledgeDisputeOpened, PledgeDisputeClosed)


@dataclass(frozen=True)
class Contribution:
    """What one pledge adds to its campaign. Amounts in minor units.

    What was given back of a captured pledge is not captured any more (M4), so it does not count (C7). What a bank has
    taken back counts on: whose it is stands open, and then it is a loss of the creator's, not less of a pledge.
    """

    pledge_id: UUID
    campaign_id: UUID
    tier_id: UUID | None
    counted_minor: int  # its amount while it is authorized, at risk or captured (C7), less refunds; else 0
    slots: int  # 1 while it holds a slot of its tier, else 0
    version: int  # of the pledge's stream
    backer_id: UUID
    refunded_minor: int = 0
    at_risk: bool = False
    disputes: int = 0  # open ones
    disputed_minor: int = 0
    disputes_lost: int = 0
    lost_minor: int = 0

    @property
    def at_risk_minor(self) -> int:
        return self.counted_minor if self.at_risk else 0


def follow(before: Contribution | None, fact: PledgeFact, version: int) -> Contribution:
    """The contribution after one more fact."""
    blank = Contribution(fact.pledge_id, fact.campaign_id, fact.tier_id, 0, 0, version, fact.backer_id)
    return replace(_moved(before or blank, fact), tier_id=fact.tier_id, version=version)


def _moved(one: Contribution, fact: PledgeFact) -> Contribution:
    match fact:
        case PledgeDisputeOpened(disputed=disputed):
            return replace(one, disputes=one.disputes + 1, disputed_minor=one.disputed_minor + disputed.amount)
        case PledgeDisputeClosed(disputed=disputed):
            one = replace(one, disputes=one.disputes - 1, disputed_minor=one.disputed_minor - disputed.amount)
            lost = 0 if fact.won else disputed.amount
            return replace(one, disputes_lost=one.disputes_lost + (not fact.won), lost_minor=one.lost_minor + lost)
        case PledgePartlyRefunded(refunded=refunded):
            return _standing(replace(one, refunded_minor=refunded.amount), fact)
        case _ if type(fact) in STANDING_AFTER:
            return _standing(one, fact)
        case _:
            return one


def _standing(one: Contribution, fact: PledgeFact) -> Contribution:
    counts, holds_slot = STANDING_AFTER[type(fact)]
    return replace(
        one,
        counted_minor=fact.amount.amount - one.refunded_minor if counts else 0,
        slots=int(holds_slot and fact.tier_id is not None),
        at_risk=isinstance(fact, PledgeAtRisk),
    )
