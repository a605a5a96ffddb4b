"""Carries out what the domain decided about payment intents: records, balance, books and events change together."""

from contextlib import suppress
from dataclasses import replace
from heapq import heappop, heappush
from typing import NoReturn

from stripe_sandbox import domain
from stripe_sandbox.balance import Balance
from stripe_sandbox.disputes import Disputes
from stripe_sandbox.domain import Attempt, DeclinedError, Terms, UnexpectedStateError
from stripe_sandbox.events import Origin
from stripe_sandbox.methods import Methods
from stripe_sandbox.resources import Charge, Intent, Metadata, PaymentMethod, Status
from stripe_sandbox.state import State


class Payments:
    def __init__(self, state: State, methods: Methods, balance: Balance, disputes: Disputes) -> None:
        self._state = state
        self._methods = methods
        self._balance = balance
        self._disputes = disputes

    def add_intent(self, intent: Intent, origin: Origin) -> Intent:
        self._state.intents.add(intent)
        self._state.emit("payment_intent.created", intent, origin)
        return intent

    def confirm(
        self,
        intent: Intent,
        method: PaymentMethod,
        origin: Origin,
        *,
        off_session: bool = False,
        authenticated: bool = False,
        fail_on_action: bool = False,
    ) -> Intent:
        """Raises `DeclinedError` when the card's bank refuses."""
        terms = Terms(self._state.ids.new("ch"), self._state.clock.now(), off_session, authenticated, fail_on_action)
        attempt = domain.confirm(intent, method, terms)
        self._use(method, attempt, origin)
        if attempt.intent.status is Status.REQUIRES_ACTION:
            self._state.intents.replace(attempt.intent)
            self._state.emit("payment_intent.requires_action", attempt.intent, origin)
            return attempt.intent
        charge = attempt.charge
        if attempt.decline is not None:
            if charge is not None:
                self._state.charges.add(charge)
            self._state.books.declined(intent)
            self._failed(attempt, origin)
        assert charge is not None
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
        with suppress(DeclinedError):
            self.confirm(intent, method, Origin(), authenticated=True)
        after = self._state.intents.get(intent.id)
        assert after is not None
        return after

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
        taken = self._balance.book_charge(taken)
        self._state.charges.replace(taken)
        self._state.intents.replace(merged)
        self._state.books.captured(merged, taken)
        self._state.emit("charge.captured", taken, origin)
        self._state.emit("payment_intent.succeeded", merged, origin)
        self._dispute(taken)
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

    def _approved(self, intent: Intent, charge: Charge, origin: Origin) -> Intent:
        if charge.captured:
            charge = self._balance.book_charge(charge)
        self._state.charges.add(charge)
        self._state.intents.replace(intent)
        self._state.emit("charge.succeeded", charge, origin)
        if charge.capture_before is None:
            self._state.books.charged(intent)
            self._state.emit("payment_intent.succeeded", intent, origin)
            self._dispute(charge)
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
        self._methods.keep(method, used, origin)

    def _dispute(self, charge: Charge) -> None:
        """Some test cards dispute whatever is taken from them."""
        if charge.card.disputed_as is not None:
            self._disputes.open(charge, charge.card.disputed_as, inquiry=charge.card.inquired)

    def _failed(self, attempt: Attempt, origin: Origin) -> NoReturn:
        self._state.intents.replace(attempt.intent)
        if attempt.charge is not None:
            self._state.emit("charge.failed", attempt.charge, origin)
        self._state.emit("payment_intent.payment_failed", attempt.intent, origin)
        raise DeclinedError(attempt.intent)

    def _charge_of(self, intent: Intent) -> Charge | None:
        return None if intent.latest_charge is None else self._state.charges.get(intent.latest_charge)
