"""Carries out disputes: records, balance, books and events change together."""

from dataclasses import replace

from stripe_sandbox import domain_disputes
from stripe_sandbox.balance import Balance
from stripe_sandbox.domain_disputes import Opening
from stripe_sandbox.events import Origin
from stripe_sandbox.resources import Charge, Dispute, DisputeStatus
from stripe_sandbox.state import State


class Disputes:
    def __init__(self, state: State, balance: Balance) -> None:
        self._state = state
        self._balance = balance

    def open(self, charge: Charge, reason: str, amount: int | None = None, *, inquiry: bool = False) -> Dispute:
        """The backer's bank takes the money back, and Stripe its fee; an inquiry only asks."""
        opening = Opening(self._state.ids.new("du"), self._state.clock.now(), reason, amount, inquiry)
        charge, dispute = domain_disputes.open_dispute(charge, opening)
        self._state.charges.replace(charge)
        self._state.disputes.add(dispute)
        self._state.emit("charge.dispute.created", dispute, Origin())
        if inquiry:
            return dispute
        movement = self._balance.move(
            "adjustment",
            -dispute.amount,
            dispute.currency,
            dispute.id,
            fee=self._balance.fees.dispute_minor,
            category="dispute",
            description=f"Chargeback withdrawal for {charge.id}",
        )
        dispute = replace(dispute, movements=(movement,))
        self._state.disputes.replace(dispute)
        self._state.books.disputed(dispute, movement, charge.metadata)
        self._state.emit("charge.dispute.funds_withdrawn", dispute, Origin())
        return dispute

    def close(
        self, dispute: Dispute, *, won: bool, fee_returned: bool = False, origin: Origin | None = None
    ) -> Dispute:
        """The bank has decided; when won, the money comes back, and the fee only where Stripe returns it."""
        by = origin or Origin()
        charge = self._state.charges.get(dispute.charge)
        assert charge is not None
        charge, closed = domain_disputes.close(charge, dispute, won=won)
        self._state.charges.replace(charge)
        if closed.status is DisputeStatus.WON:
            movement = self._balance.move(
                "adjustment",
                closed.amount,
                closed.currency,
                closed.id,
                fee=-dispute.movements[0].fee if fee_returned else 0,
                category="dispute_reversal",
                description=f"Chargeback reversal for {charge.id}",
            )
            closed = replace(closed, movements=(*closed.movements, movement))
            self._state.books.reinstated(closed, movement, charge.metadata)
            self._state.emit("charge.dispute.funds_reinstated", closed, by)
        self._state.disputes.replace(closed)
        self._state.emit("charge.dispute.closed", closed, by)
        return closed
