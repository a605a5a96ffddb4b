"""The routes of setup intents."""

from dataclasses import replace

from stripe_sandbox.confirming import (
    USAGES,
    confirmable,
    read_card_options,
    read_customer,
    read_methods,
    usable_method,
)
from stripe_sandbox.errors import Document, not_found
from stripe_sandbox.forms import Params
from stripe_sandbox.methods import Methods
from stripe_sandbox.reading import Call
from stripe_sandbox.rendering_payments import render_setup
from stripe_sandbox.resources import PaymentMethod, SetupIntent, Status
from stripe_sandbox.setups import Setups
from stripe_sandbox.state import State

CANCELLATION_REASONS = ("abandoned", "duplicate", "requested_by_customer")


class SetupsApi:
    def __init__(self, state: State, setups: Setups, methods: Methods, public_url: str) -> None:
        self._state = state
        self._setups = setups
        self._methods = methods
        self._public_url = public_url

    def create(self, call: Call) -> Document:
        params = call.params
        confirm = params.flag("confirm")
        setup, method = self._new(params)
        params.close()
        if not confirm:
            return render_setup(self._setups.add(setup, call.origin))
        method = confirmable(setup, method)
        self._setups.add(setup, call.origin)
        return render_setup(self._setups.confirm(setup, method, call.origin))

    def retrieve(self, call: Call) -> Document:
        call.params.text("client_secret")
        call.params.close()
        return render_setup(self._setup(call))

    def confirm(self, call: Call) -> Document:
        params, setup = call.params, self._setup(call)
        setup = replace(setup, return_url=params.text("return_url") or setup.return_url)
        method_id = params.text("payment_method") or setup.payment_method
        params.close()
        method = None if method_id is None else usable_method(self._methods, method_id, setup.customer)
        return render_setup(self._setups.confirm(setup, confirmable(setup, method), call.origin))

    def cancel(self, call: Call) -> Document:
        reason = call.params.choice("cancellation_reason", CANCELLATION_REASONS)
        call.params.close()
        return render_setup(self._setups.cancel(self._setup(call), reason, call.origin))

    def _new(self, params: Params) -> tuple[SetupIntent, PaymentMethod | None]:
        customer = read_customer(params, self._state)
        method_id = params.text("payment_method")
        method = None if method_id is None else usable_method(self._methods, method_id, customer)
        types, redirects = read_methods(params)
        setup_id = self._state.ids.new("seti")
        setup = SetupIntent(
            id=setup_id,
            created=self._state.clock.now(),
            status=Status.REQUIRES_PAYMENT_METHOD if method is None else Status.REQUIRES_CONFIRMATION,
            client_secret=f"{setup_id}_{self._state.ids.new('secret')}",
            metadata=params.metadata(),
            usage=params.choice("usage", USAGES) or "off_session",
            customer=customer,
            payment_method=None if method is None else method.id,
            description=params.text("description"),
            return_url=params.text("return_url"),
            authenticate_url=f"{self._public_url}/sandbox/authenticate/{setup_id}",
            method_types=types,
            redirects=redirects,
            options=read_card_options(params, holds=False),
        )
        return setup, method

    def _setup(self, call: Call) -> SetupIntent:
        setup = self._state.setups.get(call.object_id)
        if setup is None:
            raise not_found("setup_intent", call.object_id, "intent")
        return setup
