"""The state of one pledge's payment, folded from its stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.campaign import PaymentStrategy
from contracts.ids import ChangeId
from contracts.money import Money
from payment.domain_events import (
    ChangeOrdered,
    Kind,
    PaymentOrdered,
    RefundOrdered,
)

_CREATION = {PaymentStrategy.IMMEDIATE: Kind.CHARGE, PaymentStrategy.SAVED_CARD: Kind.SAVE}
SAVED_CARD = "seti_"  # How the provider's ids of saved cards begin: such a hold reserves nothing.


@dataclass(frozen=True)
class Step:
    kind: Kind
    attempt: int
    amount: Money
    change_id: ChangeId | None = None  # of a hold that is taken for a change
    hold_id: str = ""  # of a void, of what is followed, or of the hold that a new one is to replace
    refund_id: UUID | None = None


@dataclass(frozen=True)
class Hold:
    """A saved card is a hold of no money: `minor` says what it is good for. One that is awaited may become a hold."""

    hold_id: str
    minor: int
    payment_method: str = ""
    capture_before: datetime | None = None
    awaited: bool = False

    @property
    def saved(self) -> bool:
        return self.hold_id.startswith(SAVED_CARD)


class Stage(StrEnum):
    WANTED = "wanted"  # a hold is to be taken
    AWAITED = "awaited"  # the bank wants the backer first
    HELD = "held"  # it is, and the pledge service decides
    OVER = "over"


@dataclass(frozen=True)
class Change:
    """A change of the pledge. `ordered` is None if its end was heard of first.

    Nothing is ever taken for one that was dropped by then. One that was accepted moves no money, or is told anew to a
    database that has forgotten it: then its hold is taken again under the same key, and is the current one at once.
    `hold` is what the provider has for it: awaited or held.
    """

    ordered: ChangeOrdered | None
    stage: Stage = Stage.WANTED
    hold: Hold | None = None
    accepted: bool = False  # by the pledge service, before we know its hold


@dataclass(frozen=True)
class Payment:
    """All amounts in minor units of the order's currency."""

    order: PaymentOrdered | None = None
    minor: int = 0  # what the pledge is about, accepted changes included
    capture_wanted: Money | None = None
    capture_may_be_forgotten: bool = False
    release_wanted: bool = False
    hold: Hold | None = None  # the current one, which can be captured
    hold_id: str = ""  # of the current or last hold, or of the charge
    payment_method: str = ""  # a card that was good once, for the next hold
    authorized: int = 0  # what was ever held; a charge counts as both
    captured: int = 0
    refunded: int = 0
    ended: bool = False  # declined, or the hold was given back
    capture_failed: bool = False
    stopped: bool = False
    awaited: Hold | None = None  # the first hold, which the bank wants the backer for
    look: bool = False  # what is awaited may have come to its end behind our back
    renewal_due: bool = False
    doubted: bool = False  # whether the current hold still is there
    at_risk: bool = False  # the last renewal failed, or the hold is lost
    card_refused: bool = False  # for good: no more tries with this card
    changes: Mapping[ChangeId, Change] = field(default_factory=dict)
    taken_up: int = 0  # the version of the last change whose hold became the current one
    spare: tuple[Hold, ...] = ()  # holds that are not the current one any more, or never were: to be released
    refunds: tuple[RefundOrdered, ...] = ()  # ordered and not made yet
    refunds_known: frozenset[UUID] = frozenset()
    found: frozenset[str] = frozenset()  # refunds that were made by nobody here
    disputed: int = 0  # what open and lost disputes have taken back
    running: Step | None = None
    started: tuple[tuple[Kind, ChangeId | None], ...] = ()

    @property
    def retold(self) -> bool:
        """Before the database was restored it was held and then changed: the change's hold is the one that counts."""
        return any(change.accepted and change.stage is Stage.WANTED for change in self.changes.values())

    @property
    def held(self) -> int:
        """What can still be captured, without a saved card."""
        return self.hold.minor if self.hold and not self.hold.saved else 0

    @property
    def lost(self) -> bool:
        """It was held, and is not any more though nobody gave it back (DOMAIN Y4)."""
        return self.at_risk and self.hold is None and not (self.ended or self.captured)


def creation_of(ordered: PaymentOrdered) -> Kind:
    """What is asked of the provider when a pledge is placed (DOMAIN Y3)."""
    return _CREATION.get(ordered.strategy, Kind.AUTHORIZE)


def creation_for_change(ordered: PaymentOrdered) -> Kind:
    return Kind.SAVE if ordered.strategy is PaymentStrategy.SAVED_CARD else Kind.AUTHORIZE
