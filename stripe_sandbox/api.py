"""The `/v1` routes: parameters in, one action or a look into the tables, a document out."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from stripe_sandbox.confirming import with_intent
from stripe_sandbox.customers_api import CustomersApi
from stripe_sandbox.domain import DeclinedError, UnexpectedStateError
from stripe_sandbox.errors import Document, StripeError, not_found
from stripe_sandbox.events_api import EventsApi
from stripe_sandbox.expanding import check_paths, expand
from stripe_sandbox.intents_api import IntentsApi
from stripe_sandbox.money_api import MoneyApi
from stripe_sandbox.reading import Call, window
from stripe_sandbox.rendering import render
from stripe_sandbox.rendering_lists import render_list
from stripe_sandbox.resources import Resource
from stripe_sandbox.setups_api import SetupsApi
from stripe_sandbox.state import State
from stripe_sandbox.tables import Table

Handler = Callable[[Call], Document]
Route = tuple[str, str, bool, str]
"""Method, collection, with an id or not, the action on it; an action on one child of it ends in a slash."""

ResourceT = TypeVar("ResourceT", bound=Resource)

PARTS_MAX = 4  # transfers/<id>/reversals/<id>


class Api:
    def __init__(self, state: State, routes: Mapping[Route, Handler]) -> None:
        self._state = state
        self._routes = routes

    def run(self, method: str, path: str, call_for: Callable[[str, str], Call]) -> Document:
        """Answer a request to `/v1/<path>`; raises `StripeError`."""
        parts = path.split("/")
        collection, object_id, action, child = (*parts, "", "", "")[:PARTS_MAX]
        with_id = len(parts) > 1
        handler = self._routes.get((method, collection, with_id, f"{action}/" if child else action))
        if handler is None or len(parts) > PARTS_MAX:
            raise StripeError(f"Unrecognized request URL ({method}: /v1/{path[:200]}).", status=404)
        call = call_for(object_id, child)
        paths = call.params.texts("expand")
        kind = "reversals" if action == "reversals" else collection
        check_paths(kind, paths, listing=method == "GET" and (not with_id or action == "reversals") and not child)
        try:
            return expand(handler(call), paths, self._find)
        except (UnexpectedStateError, DeclinedError) as refused:
            raise with_intent(refused) from None

    def _find(self, object_id: str) -> Document | None:
        record = self._state.find(object_id)
        return None if record is None else render(record)


def customer_routes(state: State, api: CustomersApi) -> Mapping[Route, Handler]:
    return {
        ("POST", "customers", False, ""): api.create,
        ("GET", "customers", False, ""): _lister("customers", state.customers, "email"),
        ("GET", "customers", True, ""): _getter(state.customers),
        ("GET", "payment_methods", True, ""): _getter(state.methods),
        ("POST", "payment_methods", True, "attach"): api.attach,
        ("POST", "payment_methods", True, "detach"): api.detach,
    }


def payment_routes(state: State, intents: IntentsApi, setups: SetupsApi) -> Mapping[Route, Handler]:
    return {
        ("POST", "payment_intents", False, ""): intents.create,
        ("GET", "payment_intents", False, ""): _lister("payment_intents", state.intents, "customer"),
        ("GET", "payment_intents", True, ""): intents.retrieve,
        ("POST", "payment_intents", True, "confirm"): intents.confirm,
        ("POST", "payment_intents", True, "capture"): intents.capture,
        ("POST", "payment_intents", True, "cancel"): intents.cancel,
        ("POST", "setup_intents", False, ""): setups.create,
        ("GET", "setup_intents", False, ""): _lister("setup_intents", state.setups, "customer"),
        ("GET", "setup_intents", True, ""): setups.retrieve,
        ("POST", "setup_intents", True, "confirm"): setups.confirm,
        ("POST", "setup_intents", True, "cancel"): setups.cancel,
        ("GET", "charges", True, ""): _getter(state.charges),
    }


def money_routes(state: State, api: MoneyApi) -> Mapping[Route, Handler]:
    return {
        ("POST", "refunds", False, ""): api.refund,
        ("GET", "refunds", False, ""): _lister("refunds", state.refunds, "charge", "payment_intent"),
        ("GET", "refunds", True, ""): _getter(state.refunds),
        ("POST", "transfers", False, ""): api.transfer,
        ("GET", "transfers", False, ""): _lister("transfers", state.transfers, "destination", "transfer_group"),
        ("GET", "transfers", True, ""): _getter(state.transfers),
        ("POST", "transfers", True, "reversals"): api.reverse,
        ("GET", "transfers", True, "reversals"): api.list_reversals,
        ("GET", "transfers", True, "reversals/"): api.retrieve_reversal,
        ("GET", "disputes", False, ""): _lister("disputes", state.disputes, "charge", "payment_intent"),
        ("GET", "disputes", True, ""): _getter(state.disputes),
        ("POST", "disputes", True, "close"): api.close_dispute,
        ("GET", "balance", False, ""): api.balance,
        ("GET", "balance_transactions", False, ""): _lister(
            "balance_transactions", state.movements, "type", "source", "currency"
        ),
        ("GET", "balance_transactions", True, ""): _getter(state.movements),
    }


def event_routes(state: State, api: EventsApi) -> Mapping[Route, Handler]:
    return {
        ("GET", "events", False, ""): api.listing,
        ("GET", "events", True, ""): api.retrieve,
        ("POST", "webhook_endpoints", False, ""): api.create_endpoint,
        ("GET", "webhook_endpoints", False, ""): _lister("webhook_endpoints", state.endpoints),
        ("GET", "webhook_endpoints", True, ""): _getter(state.endpoints),
        ("DELETE", "webhook_endpoints", True, ""): api.delete_endpoint,
    }


def _getter(table: Table[ResourceT]) -> Handler:
    def retrieve(call: Call) -> Document:
        call.params.close()
        record = table.get(call.object_id)
        if record is None:
            raise not_found(table.what, call.object_id)
        return render(record)

    return retrieve


def _lister(collection: str, table: Table[ResourceT], *filters: str) -> Handler:
    def listing(call: Call) -> Document:
        wanted = {name: value for name in filters if (value := call.params.text(name)) is not None}
        part = window(call.params)
        call.params.close()
        rows, more = table.page(wanted, part)
        return render_list(map(render, rows), f"/v1/{collection}", has_more=more)

    return listing
