"""Carries out what the domain decided: records, balance, books and events change together."""

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import NoReturn

from stripe_sandbox import domain
from stripe_sandbox.cards import CARDS
from stripe_sandbox.domain import Attempt, Terms, UnexpectedStateError
from stripe_sandbox.errors import StripeError
from stripe_sandbox.money import fee_minor
from stripe_sandbox.resources import (
    Charge,
    Customer,
    Intent,
    Metadata,
    Movement,
    Origin,
    PaymentMethod,
    Refund,
    Status,
    Transfer,
)
from stripe_sandbox.state import State


@dataclass(frozen=True, slots=True)
class Fees:
    """What a capture costs: `basis_points` of the amount plus `fixed_minor` minor units of its currency."""

    basis_points: int = 150
    fixed_minor: int = 25


class DeclinedError(StripeError):
    """The card said no. The attempt has been recorded; the answer carries the intent."""

    def __init__(self, attempt: Attempt) -> None:
        decline = attempt.decline
        assert decline is not None
        super().__init__(decline.message, status=402, kind="card_error", code=decline.code)
        self.intent = attempt.intent


class Payments:
    def __init__(self, state: State, fees: Fees) -> None:
        self._state = state
        self._fees = fees

    def add_customer(self, customer: Customer, origin: Origin) -> Customer:
        self._state.customers.add(customer)
        self._state.emit("customer.created", customer, origin)
        return customer

    def method(self, method_id: str) -> PaymentMethod | None:
        """The payment method; a test id is made into a real one, which is kept when it is used."""
        found = self._state.methods.get(method_id)
        if found is not None:
            return found
        card = CARDS.get(method_id)
        return None if card is None else PaymentMethod(self._state.ids.new("pm"), self._state.clock.now(), card)

    def attach(self, method: PaymentMethod, customer_id: str, origin: Origin) -> PaymentMethod:
        """Stripe checks the card with its bank here, so most declining test cards fail already."""
        if method.customer == customer_id:
            return method
        if method.customer is not None or method.used:
            raise StripeError(
                "The payment method you provided has already been attached to a customer or was used without "
                "one. It may not be attached.",
                code="payment_method_unexpected_state",
            )
        if method.card.decline is not None and not method.card.attaches:
            raise StripeError(
                method.card.decline.message,
                status=402,
                kind="card_error",
                code=method.card.decline.code,
                decline_code=method.card.decline.decline_code,
            )
        attached = replace(method, customer=customer_id)
        self._keep(attached)
        self._state.emit("payment_method.attached", attached, origin)
        return attached

    def add_intent(self, intent: Intent, origin: Origin) -> Intent:
        self._state.intents.add(intent)
        self._state.emit("payment_intent.created", intent, origin)
        return intent

    def confirm(
        self, intent: Intent, method: PaymentMethod, origin: Origin, *, off_session: bool, authenticated: bool = False
    ) -> Intent:
        terms = Terms(self._state.ids.new("ch"), self._state.clock.now(), off_session, authenticated)
        attempt = domain.confirm(intent, method, terms)
        self._use(method, attempt, origin)
        if attempt.intent.status is Status.REQUIRES_ACTION:
            self._state.intents.replace(attempt.intent)
            self._state.emit("payment_intent.requires_action", attempt.intent, origin)
            return attempt.intent
        charge = attempt.charge
        assert charge is not None
        if attempt.decline is not None:
            self._state.charges.add(charge)
            self._state.books.declined(intent)
            self._failed(attempt, origin)
        return self._approved(attempt.intent, charge, origin)

    def authenticate(self, intent: Intent, *, passed: bool) -> Intent:
        """The backer answered the bank; a failure or a decline leaves the intent waiting for another card."""
        if intent.status is not Status.REQUIRES_ACTION:
            raise UnexpectedStateError(intent, "authenticated", (Status.REQUIRES_ACTION,))
        method = self._state.methods.get(intent.payment_method or "")
        assert method is not None
        if not passed:
            attempt = domain.fail_authentication(intent, method)
            self._state.books.declined(intent)
            self._state.intents.replace(attempt.intent)
            self._state.emit("payment_intent.payment_failed", attempt.intent, Origin())
            return attempt.intent
        try:
            return self.confirm(intent, method, Origin(), off_session=False, authenticated=True)
        except DeclinedError as declined:
            return declined.intent

    def capture(self, intent: Intent, amount: int | None, metadata: Metadata, origin: Origin) -> Intent:
        charge = self._charge_of(intent)
        if charge is None:
            raise UnexpectedStateError(intent, "captured", (Status.REQUIRES_CAPTURE,))
        attempt = domain.capture(intent, charge, amount)
        taken = attempt.charge
        assert taken is not None
        if attempt.decline is not None:
            self._state.charges.replace(taken)
            self._state.books.capture_failed(intent)
            self._failed(attempt, origin)
        merged = replace(attempt.intent, metadata={**intent.metadata, **metadata})
        taken = self._book_charge(taken)
        self._state.charges.replace(taken)
        self._state.intents.replace(merged)
        self._state.books.captured(merged, taken)
        self._state.emit("charge.captured", taken, origin)
        self._state.emit("payment_intent.succeeded", merged, origin)
        return merged

    def cancel(self, intent: Intent, reason: str | None, origin: Origin, *, expired: bool = False) -> Intent:
        attempt = domain.cancel(intent, self._charge_of(intent), reason, self._state.clock.now())
        self._state.intents.replace(attempt.intent)
        if attempt.charge is not None:
            self._state.charges.replace(attempt.charge)
            self._state.books.voided(intent, expired=expired)
            self._state.emit("charge.expired" if expired else "charge.refunded", attempt.charge, origin)
        self._state.emit("payment_intent.canceled", attempt.intent, origin)
        return attempt.intent

    def expire_holds(self) -> int:
        """Cancel what was not captured in time; how many. Costs nothing when nothing is due."""
        holds, now, expired = self._state.holds, self._state.clock.now(), 0
        while holds and holds[0][0] <= now:
            _, intent_id = heappop(holds)
            intent = self._state.intents.get(intent_id)
            charge = None if intent is None else self._charge_of(intent)
            if intent is None or charge is None or charge.capture_before is None or charge.capture_before > now:
                continue
            self.cancel(intent, "automatic", Origin(), expired=True)
            expired += 1
        return expired

    def refund(
        self, charge: Charge, amount: int | None, reason: str | None, metadata: Metadata, origin: Origin
    ) -> Refund:
        after, given = domain.refund(charge, amount)
        refund_id = self._state.ids.new("re")
        movement = self._movement("refund", -given, charge.currency, refund_id)
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
        movement = self._movement("transfer", -wanted.amount, wanted.currency, wanted.id)
        transfer = replace(wanted, balance_transaction=movement.id)
        self._state.transfers.add(transfer)
        self._state.books.transferred(transfer)
        self._state.emit("transfer.created", transfer, origin)
        return transfer

    def _approved(self, intent: Intent, charge: Charge, origin: Origin) -> Intent:
        if charge.captured:
            charge = self._book_charge(charge)
        self._state.charges.add(charge)
        self._state.intents.replace(intent)
        self._state.emit("charge.succeeded", charge, origin)
        if charge.capture_before is None:
            self._state.books.charged(intent)
            self._state.emit("payment_intent.succeeded", intent, origin)
            return intent
        self._state.books.held(intent)
        heappush(self._state.holds, (charge.capture_before, intent.id))
        self._state.emit("payment_intent.amount_capturable_updated", intent, origin)
        return intent

    def _use(self, method: PaymentMethod, attempt: Attempt, origin: Origin) -> None:
        """Remember what using a method does to it: spent without a customer, attached and set up with one."""
        intent = attempt.intent
        approved = attempt.charge is not None and attempt.decline is None
        used = method
        if intent.setup_future_usage is not None and intent.customer is not None and approved:
            off_session = intent.setup_future_usage == "off_session"
            used = replace(method, customer=intent.customer, set_up=method.set_up or off_session)
        elif method.customer is None and approved:
            used = replace(method, used=True)
        self._keep(used)
        if used.customer != method.customer:
            self._state.emit("payment_method.attached", used, origin)

    def _keep(self, method: PaymentMethod) -> None:
        if self._state.methods.get(method.id) is None:
            self._state.methods.add(method)
        else:
            self._state.methods.replace(method)

    def _failed(self, attempt: Attempt, origin: Origin) -> NoReturn:
        assert attempt.charge is not None
        self._state.intents.replace(attempt.intent)
        self._state.emit("charge.failed", attempt.charge, origin)
        self._state.emit("payment_intent.payment_failed", attempt.intent, origin)
        raise DeclinedError(attempt)

    def _charge_of(self, intent: Intent) -> Charge | None:
        return None if intent.latest_charge is None else self._state.charges.get(intent.latest_charge)

    def _book_charge(self, charge: Charge) -> Charge:
        fee = fee_minor(
            charge.amount_captured,
            basis_points=self._fees.basis_points,
            fixed_minor=self._fees.fixed_minor,
        )
        movement = self._movement("charge", charge.amount_captured, charge.currency, charge.id, fee)
        self._state.books.fee(movement, charge.metadata)
        return replace(charge, balance_transaction=movement.id)

    def _movement(self, kind: str, amount: int, currency: str, source: str, fee: int = 0) -> Movement:
        movement = Movement(
            id=self._state.ids.new("txn"),
            created=self._state.clock.now(),
            amount=amount,
            fee=fee,
            currency=currency,
            type=kind,
            source=source,
            description=None,
        )
        self._state.move(movement)
        return movement
