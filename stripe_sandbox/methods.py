"""Keeps payment methods: made from test ids, attached, detached, spent by use, and changed by their banks."""

from dataclasses import replace

from stripe_sandbox.cards import CARDS, Card
from stripe_sandbox.errors import StripeError
from stripe_sandbox.events import Origin
from stripe_sandbox.resources import PaymentMethod
from stripe_sandbox.state import State


class Methods:
    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, method_id: str) -> PaymentMethod | None:
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
        return self.keep(method, replace(method, customer=customer_id), origin)

    def detach(self, method: PaymentMethod, origin: Origin) -> PaymentMethod:
        """For good: a detached method can neither be used nor attached again."""
        if method.customer is None:
            raise StripeError(
                "The payment method you provided is not attached to a customer so detachment is impossible.",
                code="payment_method_unexpected_state",
            )
        detached = replace(method, customer=None, used=True)
        self._state.methods.replace(detached)
        self._state.emit("payment_method.detached", detached, origin)
        return detached

    def keep(self, before: PaymentMethod, after: PaymentMethod, origin: Origin) -> PaymentMethod:
        """Remember a method as it is after its use."""
        if self._state.methods.get(after.id) is None:
            self._state.methods.add(after)
        elif after is not before:
            self._state.methods.replace(after)
        if after.customer != before.customer:
            self._state.emit("payment_method.attached", after, origin)
        return after

    def change_card(self, method: PaymentMethod, card: Card) -> PaymentMethod:
        """Its bank treats it otherwise from now on; holds that there are stay as they are."""
        changed = replace(method, card=card)
        self._state.methods.replace(changed)
        return changed
