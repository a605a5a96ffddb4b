"""The port to the card provider: what payment asks of it and what can come of it, in our own types (DOMAIN Y2)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias, assert_never
from uuid import UUID

from contracts.money import Money
from payment.gateway_found import RefundsFound, SeenDispute


@dataclass(frozen=True)
class Request:
    """What every call says about itself. `key` makes a repeated call the same call."""

    operation_id: UUID
    campaign_id: UUID
    pledge_id: UUID | None  # None: about the campaign, such as its payout
    amount: Money
    key: str
    purpose: str = ""  # tells the refunds of a pledge apart


@dataclass(frozen=True)
class Card:
    """What a payment is made with. `customer` is the pledge's own at the provider (DOMAIN Y2)."""

    customer: str
    payment_method: str
    off_session: bool = False  # the backer is not there to be asked by the bank
    extended: bool = False  # asks for the provider's longer hold


@dataclass(frozen=True)
class Succeeded:
    """It took place, and the answer says what was asked. `reference` names the provider's object."""

    reference: str
    fee: Money | None = None  # of a charge or a capture
    capture_before: datetime | None = None  # of a hold
    payment_method: str = ""  # of a hold, a charge or a saved card: good for the next one
    captured: Money | None = None  # of a hold: what was taken of it since, and forgotten


@dataclass(frozen=True)
class Declined:
    """It did not take place. `hard`: asking again for the same card is forbidden."""

    code: str
    hard: bool = False


@dataclass(frozen=True)
class ActionRequired:
    """The bank wants the backer (3-D Secure)."""

    reference: str


@dataclass(frozen=True)
class NextAction:
    """How the backer gets to their bank. `client_secret` is for the backer alone (DOMAIN N4)."""

    client_secret: str
    url: str | None  # of a bank's page; None: Stripe.js brings the backer there


@dataclass(frozen=True)
class NoEffect:
    """Proof that this attempt did nothing: it may be asked again under a new key."""

    reason: str


@dataclass(frozen=True)
class Throttled:
    """Turned away before anything was looked at (429)."""


@dataclass(frozen=True)
class Contention:
    """Another request holds the same object or the same key."""


@dataclass(frozen=True)
class Unknown:
    """It may or may not have taken place: time-out, dropped connection, 5xx, an answer nobody can read."""

    reason: str


@dataclass(frozen=True)
class Mismatch:
    """The answer is about something else than what was asked: a person has to look (DOMAIN Y6)."""

    reason: str


Decided: TypeAlias = Succeeded | Declined | ActionRequired | NoEffect | Mismatch
Undecided: TypeAlias = Throttled | Contention | Unknown
Outcome: TypeAlias = Decided | Undecided


def describe(outcome: Decided) -> str:
    match outcome:
        case Succeeded():
            return "succeeded"
        case Declined(code, hard):
            return f"declined ({'hard' if hard else 'soft'}): {code}"
        case ActionRequired():
            return "action required"
        case NoEffect(reason):
            return f"no effect: {reason}"
        case Mismatch(reason):
            return f"mismatch: {reason}"
        case _:
            assert_never(outcome)


class MovementKind(StrEnum):
    CHARGE = "charge"  # a charge or a capture
    REFUND = "refund"
    DISPUTE = "dispute"  # taken back by the backer's bank
    DISPUTE_RETURN = "dispute_return"  # what a dispute gave back
    TRANSFER = "transfer"  # a payout to a creator
    OWN = "own"  # between our balance and our own bank, or the provider's bills: of no campaign
    OTHER = "other"


@dataclass(frozen=True)
class Movement:
    """A change of our balance at the provider by `amount` - `fee`, in minor units; what leaves is negative.

    `source` is the object that moved it (charge, refund, dispute, transfer), `payment` the payment that this is about.
    `type` is the provider's own word. Campaign and pledge are what we wrote on the object; one made elsewhere has none.
    `inexact`: it has a fraction of a minor unit, which is left out and can be in no ledger.
    """

    movement_id: str
    kind: MovementKind
    type: str
    amount: int
    fee: int
    currency: str
    source: str
    payment: str
    campaign_id: UUID | None
    pledge_id: UUID | None
    created: datetime
    inexact: bool = False

    @property
    def net(self) -> int:
        return self.amount - self.fee


class Provider(Protocol):
    """Every method answers with an outcome and raises nothing but a cancellation.

    `hold_id` is the `reference` of an earlier authorize or charge. The `find_…` methods move nothing: they read
    back what became of an earlier request, and answer NoEffect where the provider's state proves that it had none.
    """

    async def create_customer(self, request: Request) -> str | Undecided:
        """A customer for the payments of a pledge; under the request's key, so that there is one."""

    async def authorize(self, request: Request, card: Card) -> Outcome: ...

    async def charge(self, request: Request, card: Card) -> Outcome: ...

    async def save(self, request: Request, card: Card) -> Outcome:
        """Verify and keep a card for a charge when its owner is not there. `request.amount` is not moved."""

    async def capture(self, request: Request, hold_id: str) -> Outcome: ...

    async def void(self, request: Request, hold_id: str) -> Outcome:
        """Release a hold, or give up what waits for the backer; a saved card is forgotten."""

    async def refund(self, request: Request, hold_id: str) -> Outcome: ...

    async def transfer(self, request: Request, destination: str) -> Outcome: ...

    async def find_payment(self, request: Request, customer: str) -> Outcome:
        """An authorize or a charge, in the customer's list. NoEffect is proof only when the key's life is over."""

    async def find_forgotten(self, request: Request, customer: str, *, takes: bool) -> Outcome:
        """What a request may have left that a restored database knows nothing of, and what followed.

        A hold that was released since counts as held, since whoever released it tells of that as well. `takes`: what
        any other payment of the pledge has taken counts as taken by this one.
        """

    async def find_saved(self, request: Request, customer: str) -> Outcome: ...

    async def follow(self, request: Request, reference: str, *, forgotten: bool = False) -> Outcome:
        """What has become of a hold, a charge or a saved card of this pledge, whichever attempt made it.

        `forgotten`: for a restored database, to which a hold that was released since counts as held.
        """

    async def next_action(self, reference: str) -> NextAction | None:
        """None: the bank waits for nothing (any more).

        Raises:
            LookupFailedError: The provider did not say.
        """

    async def find_capture(self, request: Request, hold_id: str) -> Outcome: ...

    async def find_void(self, request: Request, hold_id: str) -> Outcome: ...

    async def find_refund(self, request: Request, hold_id: str) -> Outcome: ...

    async def find_transfer(self, request: Request) -> Outcome: ...

    async def reverse(self, request: Request, transfer_id: str) -> Outcome:
        """Take a part or all of a transfer back."""

    async def find_reversal(self, request: Request, transfer_id: str) -> Outcome: ...

    async def refunds_of(self, object_id: str) -> RefundsFound | None:
        """All refunds of a payment, by the id of one of them, of its charge or its own; None: not one of ours.

        Raises:
            LookupFailedError: The provider did not say.
        """

    async def dispute(self, dispute_id: str) -> SeenDispute | None:
        """A dispute as it stands; None: about no payment of ours.

        Raises:
            LookupFailedError: The provider did not say.
        """

    async def operation_of(self, reference: str) -> UUID | None:
        """The operation that made a payment.

        Raises:
            LookupFailedError: The provider did not say.
        """

    def movements(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Movement]]:
        """What moved our balance in `[since, until)`, in whole seconds and page by page (DOMAIN Y6).

        Raises:
            LookupFailedError: The provider did not say.
        """


class LookupFailedError(Exception):
    """The provider could not be asked just now."""
