"""Everything that moves the balance: fees of captures, refunds, transfers and their reversals."""

from dataclasses import dataclass, replace

from stripe_sandbox import domain
from stripe_sandbox.errors import StripeError
from stripe_sandbox.events import Origin
from stripe_sandbox.money import fee_minor
from stripe_sandbox.resources import Charge, Metadata, Movement, Refund, Reversal, Transfer
from stripe_sandbox.state import State


@dataclass(frozen=True, slots=True)
class Fees:
    """What a capture costs: `basis_points` of the amount plus `fixed_minor`; what a dispute costs: `dispute_minor`."""

    basis_points: int = 150
    fixed_minor: int = 25
    dispute_minor: int = 1_500


class Balance:
    def __init__(self, state: State, fees: Fees) -> None:
        self._state = state
        self.fees = fees

    def book_charge(self, charge: Charge) -> Charge:
        """The captured charge with its balance transaction."""
        fee = fee_minor(
            charge.amount_captured,
            basis_points=self.fees.basis_points,
            fixed_minor=self.fees.fixed_minor,
        )
        movement = self.move("charge", charge.amount_captured, charge.currency, charge.id, fee=fee)
        self._state.books.fee(movement, charge.metadata)
        return replace(charge, balance_transaction=movement.id)

    def refund(
        self, charge: Charge, amount: int | None, reason: str | None, metadata: Metadata, origin: Origin
    ) -> Refund:
        after, given = domain.refund(charge, amount)
        refund_id = self._state.ids.new("re")
        movement = self.move("refund", -given, charge.currency, refund_id)
        refund = Refund(
            id=refund_id,
            created=movement.created,
            amount=given,
            currency=charge.currency,
            charge=charge.id,
            intent=charge.intent,
            balance_transaction=movement.id,
            metadata=metadata,
            reason=reason,
        )
        self._state.charges.replace(after)
        self._state.refunds.add(refund)
        self._state.books.refunded(refund, charge.metadata)
        self._state.emit("refund.created", refund, origin)
        self._state.emit("charge.refunded", after, origin)
        return refund

    def transfer(self, wanted: Transfer, origin: Origin) -> Transfer:
        """`wanted` without its balance transaction; refused when the balance does not cover it."""
        if self._state.balance[wanted.currency] < wanted.amount:
            raise StripeError(
                "You have insufficient available funds in your Stripe account.", code="balance_insufficient"
            )
        movement = self.move("transfer", -wanted.amount, wanted.currency, wanted.id)
        transfer = replace(wanted, balance_transaction=movement.id)
        self._state.transfers.add(transfer)
        self._state.books.transferred(transfer)
        self._state.emit("transfer.created", transfer, origin)
        return transfer

    def reverse(self, transfer: Transfer, amount: int | None, metadata: Metadata, origin: Origin) -> Reversal:
        """Take a transfer back, all that is left of it when `amount` is None."""
        left = transfer.amount - transfer.amount_reversed
        taken = left if amount is None else amount
        if left == 0:
            raise StripeError(f"Transfer {transfer.id} has already been fully reversed.")
        if taken > left:
            raise StripeError(
                f"Reversal amount ({taken}) is greater than unreversed amount on transfer ({left})", param="amount"
            )
        reversal_id = self._state.ids.new("trr")
        movement = self.move("transfer_refund", taken, transfer.currency, reversal_id, category="transfer_reversal")
        reversal = Reversal(
            id=reversal_id,
            created=movement.created,
            amount=taken,
            currency=transfer.currency,
            transfer=transfer.id,
            balance_transaction=movement.id,
            destination_payment_refund=self._state.ids.new("pyr"),
            metadata=metadata,
        )
        after = replace(transfer, reversals=(*transfer.reversals, reversal))
        self._state.reversals.add(reversal)
        self._state.transfers.replace(after)
        self._state.books.taken_back(after, reversal)
        self._state.emit("transfer.reversed", after, origin)
        return reversal

    def move(
        self,
        kind: str,
        amount: int,
        currency: str,
        source: str,
        *,
        fee: int = 0,
        category: str = "",
        description: str | None = None,
    ) -> Movement:
        """Record a balance transaction; `amount` and `fee` are signed as the platform sees them."""
        movement = Movement(
            id=self._state.ids.new("txn"),
            created=self._state.clock.now(),
            amount=amount,
            fee=fee,
            currency=currency,
            type=kind,
            source=source,
            description=description,
            category=category,
        )
        self._state.move(movement)
        return movement
