"""The routes of customers and of their payment methods."""

from stripe_sandbox.errors import Document, no_such, not_found
from stripe_sandbox.methods import Methods
from stripe_sandbox.reading import Call
from stripe_sandbox.rendering import render
from stripe_sandbox.resources import Customer, PaymentMethod
from stripe_sandbox.state import State


class CustomersApi:
    def __init__(self, state: State, methods: Methods) -> None:
        self._state = state
        self._methods = methods

    def create(self, call: Call) -> Document:
        customer = Customer(
            id=self._state.ids.new("cus"),
            created=self._state.clock.now(),
            metadata=call.params.metadata(),
            description=call.params.text("description"),
            email=call.params.text("email"),
            name=call.params.text("name"),
        )
        call.params.close()
        self._state.customers.add(customer)
        self._state.emit("customer.created", customer, call.origin)
        return render(customer)

    def attach(self, call: Call) -> Document:
        customer_id = call.params.required_text("customer")
        call.params.close()
        if self._state.customers.get(customer_id) is None:
            raise no_such("customer", customer_id, "customer")
        return render(self._methods.attach(self._method(call), customer_id, call.origin))

    def detach(self, call: Call) -> Document:
        call.params.close()
        return render(self._methods.detach(self._method(call), call.origin))

    def _method(self, call: Call) -> PaymentMethod:
        method = self._methods.get(call.object_id)
        if method is None:
            raise not_found("PaymentMethod", call.object_id)
        return method
