"""The `/v1` routes: parameters in, one call of `Payments` or a look into the tables, a document out."""

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from stripe_sandbox.domain import UnexpectedStateError
from stripe_sandbox.errors import Document, StripeError, no_such, not_found
from stripe_sandbox.expanding import check_paths, expand
from stripe_sandbox.intents_api import IntentsApi, with_intent
from stripe_sandbox.money import check_currency
from stripe_sandbox.payments import DeclinedError, Payments
from stripe_sandbox.reading import Call, window
from stripe_sandbox.rendering import render, render_endpoint, render_event, render_list
from stripe_sandbox.resources import Charge, Customer, Endpoint, Event, Resource, Transfer
from stripe_sandbox.state import EVENT_DAYS, State
from stripe_sandbox.tables import Table

Handler = Callable[[Call], Document]
Route = tuple[str, str, bool, str]
"""Method, collection, with an id or not, the action on it."""

ResourceT = TypeVar("ResourceT", bound=Resource)

ENDPOINTS_MAX = 16  # Stripe's limit for one account.
EVENT_TYPES_MAX = 20  # Stripe's limit for `types`.
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Api:
    def __init__(self, state: State, payments: Payments, public_url: str) -> None:
        self._state = state
        self._payments = payments
        self._routes = self._all_routes(IntentsApi(state, payments, public_url))

    def run(self, method: str, path: str, call_for: Callable[[str], Call]) -> Document:
        """Answer a request to `/v1/<path>`; raises `StripeError`."""
        collection, *rest = path.split("/")
        object_id, action = (*rest, "", "")[:2]
        handler = self._routes.get((method, collection, bool(rest), action))
        if handler is None or len(rest) > 2:
            raise StripeError(f"Unrecognized request URL ({method}: /v1/{path[:200]}).", status=404)
        call = call_for(object_id)
        paths = call.params.texts("expand")
        check_paths(collection, paths, listing=method == "GET" and not rest)
        try:
            return expand(handler(call), paths, self._find)
        except (UnexpectedStateError, DeclinedError) as refused:
            raise with_intent(refused) from None

    def _find(self, object_id: str) -> Document | None:
        record = self._state.find(object_id)
        return None if record is None else render(record)

    def _all_routes(self, intents: IntentsApi) -> Mapping[Route, Handler]:
        state = self._state
        return {
            ("POST", "customers", False, ""): self._create_customer,
            ("GET", "customers", False, ""): self._lister("customers", state.customers, "email"),
            ("GET", "customers", True, ""): self._getter(state.customers),
            ("GET", "payment_methods", True, ""): self._getter(state.methods),
            ("POST", "payment_methods", True, "attach"): self._attach,
            ("POST", "payment_intents", False, ""): intents.create,
            ("GET", "payment_intents", False, ""): self._lister("payment_intents", state.intents, "customer"),
            ("GET", "payment_intents", True, ""): intents.retrieve,
            ("POST", "payment_intents", True, "confirm"): intents.confirm,
            ("POST", "payment_intents", True, "capture"): intents.capture,
            ("POST", "payment_intents", True, "cancel"): intents.cancel,
            ("GET", "charges", True, ""): self._getter(state.charges),
            ("POST", "refunds", False, ""): self._refund,
            ("GET", "refunds", False, ""): self._lister("refunds", state.refunds, "charge", "payment_intent"),
            ("GET", "refunds", True, ""): self._getter(state.refunds),
            ("POST", "transfers", False, ""): self._transfer,
            ("GET", "transfers", False, ""): self._lister(
                "transfers", state.transfers, "destination", "transfer_group"
            ),
            ("GET", "transfers", True, ""): self._getter(state.transfers),
            ("GET", "balance", False, ""): self._balance,
            ("GET", "balance_transactions", False, ""): self._lister(
                "balance_transactions", state.movements, "type", "source", "currency"
            ),
            ("GET", "balance_transactions", True, ""): self._getter(state.movements),
            ("GET", "events", False, ""): self._list_events,
            ("GET", "events", True, ""): self._retrieve_event,
            ("POST", "webhook_endpoints", False, ""): self._create_endpoint,
            ("GET", "webhook_endpoints", False, ""): self._lister("webhook_endpoints", state.endpoints),
            ("GET", "webhook_endpoints", True, ""): self._getter(state.endpoints),
            ("DELETE", "webhook_endpoints", True, ""): self._delete_endpoint,
        }

    def _getter(self, table: Table[ResourceT]) -> Handler:
        def retrieve(call: Call) -> Document:
            call.params.close()
            record = table.get(call.object_id)
            if record is None:
                raise not_found(table.what, call.object_id)
            return render(record)

        return retrieve

    def _lister(self, collection: str, table: Table[ResourceT], *filters: str) -> Handler:
        def listing(call: Call) -> Document:
            wanted = {name: value for name in filters if (value := call.params.text(name)) is not None}
            part = window(call.params)
            call.params.close()
            rows, more = table.page(wanted, part)
            return render_list(map(render, rows), f"/v1/{collection}", has_more=more)

        return listing

    def _create_customer(self, call: Call) -> Document:
        customer = Customer(
            id=self._state.ids.new("cus"),
            created=self._state.clock.now(),
            metadata=call.params.metadata(),
            description=call.params.text("description"),
            email=call.params.text("email"),
            name=call.params.text("name"),
        )
        call.params.close()
        return render(self._payments.add_customer(customer, call.origin))

    def _attach(self, call: Call) -> Document:
        customer_id = call.params.required_text("customer")
        call.params.close()
        if self._state.customers.get(customer_id) is None:
            raise no_such("customer", customer_id, "customer")
        method = self._payments.method(call.object_id)
        if method is None:
            raise not_found("PaymentMethod", call.object_id)
        return render(self._payments.attach(method, customer_id, call.origin))

    def _refund(self, call: Call) -> Document:
        charge = self._charge_to_refund(call)
        amount = call.params.integer("amount", minimum=1)
        reason = call.params.choice("reason", REFUND_REASONS)
        metadata = call.params.metadata()
        call.params.close()
        return render(self._payments.refund(charge, amount, reason, metadata, call.origin))

    def _charge_to_refund(self, call: Call) -> Charge:
        charge_id, intent_id = call.params.text("charge"), call.params.text("payment_intent")
        if intent_id is not None:
            intent = self._state.intents.get(intent_id)
            if intent is None:
                raise no_such("payment_intent", intent_id, "payment_intent")
            if charge_id not in {None, intent.latest_charge}:
                raise StripeError("The charge does not belong to the PaymentIntent.", param="charge")
            charge_id = intent.latest_charge
            if charge_id is None:
                raise StripeError(
                    f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
                    code="payment_intent_unexpected_state",
                )
        if charge_id is None:
            raise StripeError(
                "One of the following params should be provided for this request: payment_intent or charge.",
                code="parameter_missing",
            )
        charge = self._state.charges.get(charge_id)
        if charge is None:
            raise no_such("charge", charge_id, "charge")
        return charge

    def _transfer(self, call: Call) -> Document:
        params = call.params
        destination = params.required_text("destination")
        source = params.text("source_transaction")
        wanted = Transfer(
            id=self._state.ids.new("tr"),
            created=self._state.clock.now(),
            amount=params.required_integer("amount", minimum=1),
            currency=check_currency(params.required_text("currency")),
            destination=destination,
            destination_payment=self._state.ids.new("py"),
            balance_transaction="",
            metadata=params.metadata(),
            description=params.text("description"),
            source_transaction=source,
            transfer_group=params.text("transfer_group"),
        )
        params.close()
        if not destination.startswith("acct_"):
            raise no_such("destination", destination, "destination")
        if source is not None and self._state.charges.get(source) is None:
            raise no_such("charge", source, "source_transaction")
        return render(self._payments.transfer(wanted, call.origin))

    def _balance(self, call: Call) -> Document:
        call.params.close()
        balance = self._state.balance or {"usd": 0}
        return {
            "object": "balance",
            "available": [
                {"amount": amount, "currency": currency, "source_types": {"card": amount}}
                for currency, amount in balance.items()
            ],
            "livemode": False,
            "pending": [{"amount": 0, "currency": currency, "source_types": {"card": 0}} for currency in balance],
        }

    def _list_events(self, call: Call) -> Document:
        params = call.params
        types = set(params.texts("types"))
        single = params.text("type")
        delivered = params.choice("delivery_success", ("true", "false"))
        part = window(params)
        params.close()
        if single is not None and types:
            raise StripeError("You may specify either `type` or `types`, but not both.", param="type")
        if len(types) > EVENT_TYPES_MAX:
            raise StripeError(f"At most {EVENT_TYPES_MAX} types.", param="types")
        oldest = self._state.clock.now() - EVENT_DAYS * 86_400

        def wanted(event: Event) -> bool:
            if event.created < oldest or (types and event.type not in types):
                return False
            return delivered is None or event.delivered == (delivered == "true")

        rows, more = self._state.events.page({} if single is None else {"type": single}, part, wanted)
        return render_list(map(render_event, rows), "/v1/events", has_more=more)

    def _retrieve_event(self, call: Call) -> Document:
        call.params.close()
        event = self._state.events.get(call.object_id)
        if event is None:
            raise not_found("event", call.object_id)
        return render_event(event)

    def _create_endpoint(self, call: Call) -> Document:
        params = call.params
        endpoint = Endpoint(
            id=self._state.ids.new("we"),
            created=self._state.clock.now(),
            url=params.required_text("url"),
            secret=self._state.ids.new("whsec"),
            enabled_events=params.texts("enabled_events"),
            metadata=params.metadata(),
            description=params.text("description"),
            api_version=params.text("api_version"),
        )
        params.close()
        if not endpoint.enabled_events:
            raise StripeError(
                "Missing required param: enabled_events.", code="parameter_missing", param="enabled_events"
            )
        if urlsplit(endpoint.url).scheme not in {"http", "https"}:
            raise StripeError("Invalid URL: it must start with http:// or https://.", code="url_invalid", param="url")
        if len(self._state.endpoints) >= ENDPOINTS_MAX:
            raise StripeError(f"You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints.")
        self._state.endpoints.add(endpoint)
        return render_endpoint(endpoint, with_secret=True)

    def _delete_endpoint(self, call: Call) -> Document:
        call.params.close()
        if self._state.endpoints.get(call.object_id) is None:
            raise not_found("webhook endpoint", call.object_id)
        self._state.endpoints.remove(call.object_id)
        return {"id": call.object_id, "object": "webhook_endpoint", "deleted": True}
