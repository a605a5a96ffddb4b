"""What a fact about a pledge tells its backer, or the campaign's creator (DOMAIN N1, N2)."""

from datetime import datetime
from uuid import UUID

from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgeRefunded,
)
from notifier.domain import Backing, Facts, Kind, Notice, Standing


def pledge_notice(  # noqa: PLR0911 - one case per fact
    fact: PledgeFact, event_id: UUID, now: datetime, *, before: Backing | None = None, is_newest: bool = True
) -> Notice | None:
    """What is told about this fact, if anything.

    What happens to a pledge once is about the pledge; what may happen again is about the event. `before` is where the
    pledge stood. A risk that was overtaken, `is_newest` False, is over; a recovery is told to who was told of a risk.
    """
    match fact:
        case PledgeAuthorized() | PledgeCaptured():  # a charge confirms where there never is a hold (keep-it-all)
            return _to_backer(Kind.PLEDGE_CONFIRMED, fact, fact.pledge_id, Facts(), now)
        case PledgeDeclined():
            return _to_backer(Kind.PLEDGE_DECLINED, fact, fact.pledge_id, Facts(reason=fact.reason), now)
        case PledgeCancelled():
            return _to_backer(Kind.PLEDGE_CANCELLED, fact, fact.pledge_id, Facts(reason=fact.reason), now)
        case PledgeRefunded():
            return _to_backer(Kind.PLEDGE_REFUNDED, fact, fact.pledge_id, Facts(refunded=fact.amount), now)
        case PledgePartlyRefunded():
            facts = Facts(refunded=fact.refunded, partly=True)
            return _to_backer(Kind.PLEDGE_REFUNDED, fact, event_id, facts, now)
        case PledgeDisputeOpened() | PledgeDisputeClosed():
            return _of_dispute(fact, event_id, now)
        case _ if is_newest:
            return _passing(fact, event_id, now, before)
        case _:
            return None


def _passing(fact: PledgeFact, event_id: UUID, now: datetime, before: Backing | None) -> Notice | None:
    """What is worth telling only while it is so."""
    match fact:
        case PledgeActionRequired():
            facts = Facts(of_change=fact.change_id is not None)
            return _to_backer(Kind.ACTION_REQUIRED, fact, fact.change_id or fact.pledge_id, facts, now)
        case PledgeAtRisk():
            facts = Facts(reason=fact.reason, lost=fact.lost, hard=fact.hard)
            return _to_backer(Kind.PLEDGE_AT_RISK, fact, event_id, facts, now)
        case PledgeHoldRenewed() | PledgeChanged() if before is not None and before.standing is Standing.AT_RISK:
            return _to_backer(Kind.PLEDGE_RECOVERED, fact, event_id, Facts(), now)
        case _:
            return None


def _of_dispute(fact: PledgeDisputeOpened | PledgeDisputeClosed, event_id: UUID, now: datetime) -> Notice:
    if isinstance(fact, PledgeDisputeOpened):
        kind, facts = Kind.DISPUTE_OPENED, Facts(disputed=fact.disputed, reason=fact.reason)
    else:
        kind, facts = Kind.DISPUTE_CLOSED, Facts(disputed=fact.disputed, won=fact.won)
    return Notice(kind, fact.creator_id, event_id, fact.campaign_id, None, facts.json_text(), True, now, now)


def _to_backer(kind: Kind, fact: PledgeFact, about_id: UUID, facts: Facts, now: datetime) -> Notice:
    return Notice(kind, fact.backer_id, about_id, fact.campaign_id, fact.pledge_id, facts.json_text(), True, now, now)
