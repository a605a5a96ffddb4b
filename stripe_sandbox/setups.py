"""Carries out setup intents: records and events change together."""

from contextlib import suppress

from stripe_sandbox import domain_setups
from stripe_sandbox.domain import DeclinedError, UnexpectedStateError
from stripe_sandbox.events import Origin
from stripe_sandbox.methods import Methods
from stripe_sandbox.resources import PaymentMethod, SetupIntent, Status
from stripe_sandbox.state import State


class Setups:
    def __init__(self, state: State, methods: Methods) -> None:
        self._state = state
        self._methods = methods

    def add(self, setup: SetupIntent, origin: Origin) -> SetupIntent:
        self._state.setups.add(setup)
        self._state.emit("setup_intent.created", setup, origin)
        return setup

    def confirm(
        self, setup: SetupIntent, method: PaymentMethod, origin: Origin, *, authenticated: bool = False
    ) -> SetupIntent:
        """Raises `DeclinedError` when the card's bank refuses."""
        after = domain_setups.confirm(setup, method, self._state.ids.new("setatt"), authenticated=authenticated)
        ready = domain_setups.set_up(method, after) if after.status is Status.SUCCEEDED else method
        self._methods.keep(method, ready, origin)
        self._state.setups.replace(after)
        match after.status:
            case Status.SUCCEEDED:
                self._state.emit("setup_intent.succeeded", after, origin)
            case Status.REQUIRES_ACTION:
                self._state.emit("setup_intent.requires_action", after, origin)
            case _:
                self._state.emit("setup_intent.setup_failed", after, origin)
                raise DeclinedError(after)
        return after

    def authenticate(self, setup: SetupIntent, *, passed: bool) -> SetupIntent:
        """The backer answered the bank."""
        if setup.status is not Status.REQUIRES_ACTION:
            raise UnexpectedStateError(setup, "authenticated", (Status.REQUIRES_ACTION,))
        method = self._state.methods.get(setup.payment_method or "")
        assert method is not None
        if passed:
            with suppress(DeclinedError):
                self.confirm(setup, method, Origin(), authenticated=True)
            after = self._state.setups.get(setup.id)
            assert after is not None
            return after
        failed = domain_setups.fail_authentication(setup, method)
        self._state.setups.replace(failed)
        self._state.emit("setup_intent.setup_failed", failed, Origin())
        return failed

    def cancel(self, setup: SetupIntent, reason: str | None, origin: Origin) -> SetupIntent:
        ended = domain_setups.cancel(setup, reason)
        self._state.setups.replace(ended)
        self._state.emit("setup_intent.canceled", ended, origin)
        return ended
