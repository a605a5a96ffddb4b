"""The state of one pledge's payment, folded from its stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from contracts.event import Event
from contracts.ids import ChangeId
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from payment.domain_events import (
    CaptureOrdered,
    ChangeEnded,
    ChangeOrdered,
    Kind,
    PaymentOrdered,
    ReleaseOrdered,
    StepEnded,
    StepStarted,
    StepStopped,
)


@dataclass(frozen=True)
class Step:
    kind: Kind
    attempt: int
    amount: Money
    change_id: ChangeId | None = None  # of a hold that is taken for a change
    hold_id: str = ""  # of a void


@dataclass(frozen=True)
class Hold:
    hold_id: str
    minor: int


class Stage(StrEnum):
    WANTED = "wanted"  # a hold is to be taken
    HELD = "held"  # it is, and the pledge service decides
    OVER = "over"


@dataclass(frozen=True)
class Change:
    """A change of the pledge. `ordered` is None if its end was heard of first: then nothing is ever taken for it."""

    ordered: ChangeOrdered | None
    stage: Stage = Stage.WANTED
    hold: Hold | None = None


@dataclass(frozen=True)
class Payment:
    """All amounts in minor units of the order's currency."""

    order: PaymentOrdered | None = None
    capture_wanted: Money | None = None
    release_wanted: bool = False
    hold_id: str = ""
    held: int = 0  # what can still be captured
    authorized: int = 0  # what was ever held; a charge counts as both
    captured: int = 0
    refunded: int = 0
    ended: bool = False  # declined, or the hold is gone
    capture_failed: bool = False
    stopped: bool = False
    changes: Mapping[ChangeId, Change] = field(default_factory=dict)
    spare: tuple[Hold, ...] = ()  # holds that are not the current one any more, or never were: to be released
    running: Step | None = None
    started: tuple[Kind, ...] = ()


NOTHING = Payment()


def evolve(state: Payment | None, event: Event) -> Payment:  # noqa: PLR0911 - one a kind of event
    p = state or NOTHING
    match event:
        case PaymentOrdered():
            return replace(p, order=event)
        case CaptureOrdered():
            return replace(p, capture_wanted=event.amount)
        case ReleaseOrdered():
            return replace(p, release_wanted=True)
        case ChangeOrdered():
            return _with_change(p, event.change_id, Change(event))
        case ChangeEnded():
            return _change_ended(p, event)
        case StepStarted():
            step = Step(event.kind, event.attempt, event.amount, event.change_id, event.hold_id)
            return replace(p, running=step, started=(*p.started, event.kind))
        case StepEnded():
            return replace(p, running=None)
        case StepStopped():
            return replace(p, running=None, stopped=True)
        case _:
            return replace(_moved(p, event), running=None)


def _moved(p: Payment, event: Event) -> Payment:  # noqa: PLR0911 - the same
    """The state after a fact about money."""
    match event:
        case PaymentAuthorized():
            amount = event.amount.amount
            return replace(p, hold_id=event.hold_id, held=amount, authorized=amount)
        case PaymentCaptured():
            taken = event.amount.amount
            authorized = max(p.authorized, taken)
            return replace(p, hold_id=event.hold_id, held=0, authorized=authorized, captured=taken)
        case PaymentDeclined():
            return replace(p, ended=True)
        case PaymentCaptureFailed():
            return replace(p, held=0, ended=True, capture_failed=True)
        case PaymentChangeAuthorized():
            return _change_held(p, event)
        case PaymentChangeDeclined():
            change = replace(p.changes[event.change_id], stage=Stage.OVER)
            return _with_change(p, event.change_id, change)
        case PaymentVoided() if event.hold_id != p.hold_id:
            return _let_go(p, event.hold_id)
        case PaymentVoided():
            return replace(p, held=0, ended=True)
        case PaymentRefunded():
            return replace(p, refunded=p.refunded + event.amount.amount)
        case _:
            return p


def _with_change(p: Payment, change_id: ChangeId, change: Change) -> Payment:
    return replace(p, changes={**p.changes, change_id: change})


def _change_held(p: Payment, fact: PaymentChangeAuthorized) -> Payment:
    """A hold for a change that is over already is nobody's."""
    p = replace(p, authorized=p.authorized + fact.amount.amount)
    change, hold = p.changes[fact.change_id], Hold(fact.hold_id, fact.amount.amount)
    if change.stage is Stage.OVER:
        return replace(p, spare=(*p.spare, hold))
    return _with_change(p, fact.change_id, replace(change, stage=Stage.HELD, hold=hold))


def _change_ended(p: Payment, ended: ChangeEnded) -> Payment:
    """Swap the holds, or let go of the new one."""
    change = p.changes.get(ended.change_id, Change(None))
    p = _with_change(p, ended.change_id, replace(change, stage=Stage.OVER))
    if change.hold is None or change.stage is not Stage.HELD:
        return p
    if not ended.accepted:
        return replace(p, spare=(*p.spare, change.hold))
    old = (Hold(p.hold_id, p.held),) if p.held else ()
    return replace(p, hold_id=change.hold.hold_id, held=change.hold.minor, spare=(*p.spare, *old), ended=False)


def _let_go(p: Payment, hold_id: str) -> Payment:
    """A hold beside the current one is released; a change that had it is over."""
    changes = {
        one: replace(change, stage=Stage.OVER) if change.hold and change.hold.hold_id == hold_id else change
        for one, change in p.changes.items()
    }
    return replace(p, changes=changes, spare=tuple(hold for hold in p.spare if hold.hold_id != hold_id))
