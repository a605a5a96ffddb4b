"""A payment's stream beside a model of what the provider has of it: told step by step, and asked what is live."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID, uuid4

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PledgeId, new_id
from contracts.money import Money
from payment import domain, domain_fold, domain_outcomes, ledger
from payment.domain_events import (
    CaptureOrdered,
    ChangeEnded,
    ChangeOrdered,
    Kind,
    PaymentOrdered,
    RefundOrdered,
    StepStarted,
)
from payment.domain_state import Payment
from payment.gateway import ActionRequired, Decided, Declined, NoEffect, Succeeded

PLEDGE = PledgeId(new_id())
CAMPAIGN = CampaignId(new_id())
HELD = 5000
WANTED = 7000
FIRST, SECOND = ChangeId(new_id()), ChangeId(new_id())


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@dataclass
class Life:
    """`holds` are live at the provider; `waiting` are those that the bank wants the backer for."""

    events: list[Event] = field(default_factory=list)
    state: Payment = domain_fold.NOTHING
    holds: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, Kind] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)
    captures: list[int] = field(default_factory=list)
    refunds: list[int] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    # -- the stream ----------------------------------------------------------------------------------------------

    def record(self, events: Iterable[Event]) -> "Life":
        """Append, then whatever follows by itself, as the handlers do."""
        for event in events:
            self.events.append(event)
            self.state = domain_fold.evolve(self.state, event)
        while following := domain.advance(self.state):
            self.record(following)
        return self

    def order(self, strategy: PaymentStrategy = PaymentStrategy.HOLD, *, told_anew: bool = False) -> "Life":
        ordered = PaymentOrdered(
            pledge_id=PLEDGE,
            campaign_id=CAMPAIGN,
            amount=euros(HELD),
            payment_method="pm_old",
            strategy=strategy,
            told_anew=told_anew,
        )
        return self.record(domain.order(self.state, ordered))

    def change(self, change_id: ChangeId = FIRST, minor: int = WANTED, version: int = 0) -> "Life":
        wish = ChangeOrdered(
            pledge_id=PLEDGE, change_id=change_id, amount=euros(minor), payment_method="pm_new", version=version
        )
        return self.record(domain.order_change(self.state, wish))

    def end(self, change_id: ChangeId = FIRST, *, accepted: bool) -> "Life":
        ended = ChangeEnded(pledge_id=PLEDGE, change_id=change_id, accepted=accepted)
        return self.record(domain.end_change(self.state, ended))

    def capture(self, minor: int = HELD) -> "Life":
        return self.record(domain.want_capture(self.state, CaptureOrdered(pledge_id=PLEDGE, amount=euros(minor))))

    def release(self) -> "Life":
        return self.record(domain.want_release(self.state, PLEDGE, "backer"))

    def refund(self, minor: int, refund_id: UUID | None = None) -> "Life":
        wish = RefundOrdered(pledge_id=PLEDGE, refund_id=refund_id or uuid4(), amount=euros(minor), reason="broken")
        return self.record(domain.want_refund(self.state, wish))

    def renew(self) -> "Life":
        return self.record(domain.want_renewal(self.state, PLEDGE, self.state.hold_id))

    def doubt(self) -> "Life":
        return self.record(domain.doubt(self.state, PLEDGE, self.state.hold_id))

    def skip(self, *, looked: bool = False) -> "Life":
        return self.record(domain.skip(self.state, looked=looked))

    def still_waits(self) -> "Life":
        """Somebody looks, and the bank has not seen the backer yet."""
        step = self.state.running
        return self.skip(looked=True) if step and step.kind is Kind.FOLLOW and step.hold_id in self.waiting else self

    def answer(self, outcome: Decided) -> "Life":
        return self.record(domain_outcomes.conclude(self.state, outcome))

    # -- the provider --------------------------------------------------------------------------------------------

    def succeed(self) -> "Life":
        """The provider does what is asked, and knows of nothing that it has not done."""
        step = self.state.running
        if step is None:
            return self
        match step.kind:
            case Kind.AUTHORIZE | Kind.CHARGE | Kind.SAVE:
                return self.answer(self._made(step.kind, step.amount.amount))
            case Kind.FOLLOW:
                return self._followed(step.hold_id, step.amount.amount)
            case Kind.CAPTURE if step.hold_id not in self.holds:
                return self.answer(Declined("hold_expired", hard=True))
            case Kind.CAPTURE:
                assert step.amount.amount <= self.holds.pop(step.hold_id)
                self.captures.append(step.amount.amount)
            case Kind.VOID if step.hold_id.startswith("ch_"):
                return self.answer(NoEffect("it was charged meanwhile"))
            case Kind.VOID:
                self.holds.pop(step.hold_id, 0)
                self.waiting.pop(step.hold_id, None)
                self.saved.discard(step.hold_id)
            case Kind.REFUND:
                self.refunds.append(step.amount.amount)
            case _:
                raise AssertionError(step.kind)
        return self.answer(Succeeded(step.hold_id or self.state.hold_id, fee=euros(1)))

    def _made(self, kind: Kind, minor: int, reference: str = "") -> Succeeded:
        if kind is Kind.SAVE:
            reference = reference or f"seti_{next(self.numbers)}"
            self.saved.add(reference)
        else:
            reference = reference or f"pi_{next(self.numbers)}"
            if kind is Kind.CHARGE:
                self.captures.append(minor)
            else:
                self.holds[reference] = minor
        return Succeeded(reference, fee=euros(1), payment_method="pm_kept")

    def _followed(self, reference: str, minor: int) -> "Life":
        """What the bank waits for passes now; what is held still is, what has lapsed is gone."""
        if reference in self.waiting:
            return self.answer(self._made(self.waiting.pop(reference), minor, reference))
        if reference in self.holds:
            return self.answer(Succeeded(reference))
        return self.answer(Declined("canceled"))

    def ask_backer(self) -> "Life":
        """The bank wants the backer before it does what is asked."""
        step = self.state.running
        if step is None or step.kind not in {Kind.AUTHORIZE, Kind.CHARGE, Kind.SAVE} or step.hold_id:
            return self
        reference = f"{'seti' if step.kind is Kind.SAVE else 'pi'}_{next(self.numbers)}"
        self.waiting[reference] = step.kind
        return self.answer(ActionRequired(reference))

    def bank_refuses(self) -> "Life":
        """The backer does not pass, and somebody looks."""
        step = self.state.running
        if step is None or step.kind is not Kind.FOLLOW or step.hold_id not in self.waiting:
            return self
        del self.waiting[step.hold_id]
        return self.answer(Declined("authentication_failed"))

    def lapse(self) -> "Life":
        """The provider lets go of the current hold; nobody has told us."""
        self.holds.pop(self.state.hold_id, None)
        return self

    def decline(self, code: str = "card_declined", *, hard: bool = False) -> "Life":
        """The bank says no to what would take or hold money."""
        step = self.state.running
        if step is None or step.kind not in {Kind.AUTHORIZE, Kind.CHARGE, Kind.SAVE}:
            return self
        return self.answer(Declined(code, hard=hard))

    def settle(self) -> "Life":
        """Until nothing is under way."""
        while self.running:
            self.succeed()
        return self

    def held(self, strategy: PaymentStrategy = PaymentStrategy.HOLD) -> "Life":
        return self.order(strategy).succeed()

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def booked(self) -> dict[str, int]:
        """The holds that are open in the books."""
        holds: ledger.Holds = {}
        for event in self.events:
            holds = ledger.after(holds, ledger.postings_of(event, holds))
        return {hold_id: pending.money.amount for hold_id, pending in holds.items()}

    @property
    def running(self) -> Kind | None:
        return self.state.running.kind if self.state.running else None

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def last(self) -> Event:
        return self.events[-1]

    @property
    def steps(self) -> list[tuple[Kind, int, ChangeId | None]]:
        """What the keys of its operations are made of."""
        return [(event.kind, event.attempt, event.change_id) for event in self.events if isinstance(event, StepStarted)]
