"""What payment's facts mean for a pledge (DOMAIN P5, P8, Y8, Y9); those about its hold stand in `domain_hold.py`.

Facts may come twice and overtake one another. One counts where the pledge can still get to what it says; one that was
overtaken finds it further on. After a cancellation nothing does but the refund and a dispute: the payment service
undoes what still comes in (DOMAIN P8).
"""

from collections.abc import Sequence

from contracts.ids import PersonId
from contracts.money import Money
from contracts.payment import (
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAuthorized,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeFact,
    PledgePartlyRefunded,
    PledgeRefunded,
    PledgeVoided,
)
from pledge.domain import HELD, LIVE, UNDECIDED, Pledge, Status
from pledge.domain_change import PAYMENT_ENDED, changed, drop_change


def follow_payment(pledge: Pledge, fact: PaymentFact) -> tuple[PledgeFact, ...]:
    """What one fact means by itself, whatever else has come in."""
    match fact:
        case PaymentChangeAuthorized() | PaymentChangeDeclined():
            return changed(pledge, fact)
        case PaymentActionRequired():
            return _stuck(pledge, fact)
        case PaymentRefunded():
            return _refunded(pledge, fact.refunded or fact.amount)
        case _:
            event = _decided(pledge, fact)
            return () if event is None else (*drop_change(pledge, PAYMENT_ENDED), event)


def _decided(pledge: Pledge, fact: PaymentFact) -> PledgeFact | None:
    about, status = pledge.about, pledge.status
    match fact:
        case PaymentAuthorized() if status in UNDECIDED:
            return PledgeAuthorized(**about, hold_id=fact.hold_id, capture_before=fact.capture_before)
        case PaymentDeclined() if status in UNDECIDED:
            return PledgeDeclined(**about, reason=fact.reason)
        case PaymentCaptured() if status in LIVE - {Status.CAPTURED}:
            return PledgeCaptured(**about)
        case PaymentCaptureFailed() if status in UNDECIDED | HELD:
            return PledgeCaptureFailed(**about, reason=fact.reason)
        case PaymentVoided() if status in UNDECIDED | HELD and ends(pledge.hold_id, fact):
            return PledgeVoided(**about)
        case _:
            return None


def ends(hold_id: str | None, fact: PaymentVoided) -> bool:
    """Whether it is the end of the current hold (DOMAIN Y3). A hold that was renewed may end before we know of it."""
    return not fact.spare and hold_id in {None, fact.hold_id}


def _stuck(pledge: Pledge, fact: PaymentActionRequired) -> tuple[PledgeActionRequired, ...]:
    """The bank wants the backer: said once, while the pledge or the change that it is about is undecided."""
    change = pledge.change
    if fact.change_id is None:
        is_news = pledge.status is Status.PENDING
    else:
        is_news = change is not None and change.change_id == fact.change_id and not change.waits_for_backer
    return (PledgeActionRequired(**pledge.about, change_id=fact.change_id),) if is_news else ()


def _refunded(pledge: Pledge, total: Money) -> tuple[PledgeFact, ...]:
    """All of it given back ends the pledge; a part of it does not (DOMAIN M4). Totals only rise."""
    if not total < pledge.amount:
        over = pledge.status not in LIVE | {Status.CANCELLED}
        return () if over else (*drop_change(pledge, PAYMENT_ENDED), PledgeRefunded(**pledge.about))
    if pledge.status not in LIVE or total.amount <= pledge.refunded_minor:
        return ()
    return (*_captured(pledge), PledgePartlyRefunded(**pledge.about, refunded=total))


def _captured(pledge: Pledge) -> tuple[PledgeFact, ...]:
    """Only what was captured is given back or disputed, so whoever hears of that first has heard of the capture."""
    if pledge.status not in LIVE - {Status.CAPTURED}:
        return ()
    return (*drop_change(pledge, PAYMENT_ENDED), PledgeCaptured(**pledge.about))


def follow_disputes(pledge: Pledge, heard: Sequence[PaymentFact], creator_id: PersonId) -> tuple[PledgeFact, ...]:
    """Each dispute is told of when it opens, then when it closes, once each (DOMAIN Y9). The status stays.

    `heard`: all of payment's facts about the pledge that have come in. A closing waits among them for its opening.
    """
    known, events = dict(pledge.disputes), list[PledgeFact]()
    for fact in sorted(heard, key=lambda fact: isinstance(fact, PaymentDisputeClosed)):  # openings first
        match fact:
            case PaymentDisputeOpened(dispute_id=one, amount=amount) if one not in known:
                about = {**pledge.about, "creator_id": creator_id, "dispute_id": one, "disputed": amount}
                events.append(PledgeDisputeOpened(**about, reason=fact.reason))
                known[one] = True
            case PaymentDisputeClosed(dispute_id=one, amount=amount) if known.get(one):
                about = {**pledge.about, "creator_id": creator_id, "dispute_id": one, "disputed": amount}
                events.append(PledgeDisputeClosed(**about, won=fact.won))
                known[one] = False
            case _:
                pass
    return (*_captured(pledge), *events) if events else ()
