"""`expand[]`: ids in an answer replaced by their objects (https://docs.stripe.com/api/expanding_objects)."""

from collections.abc import Callable, Iterable

from stripe_sandbox.errors import Document, StripeError

DEPTH_MAX = 4  # Stripe's own limit.

_EXPANDABLE = {
    "payment_methods": {"customer"},
    "payment_intents": {"customer", "latest_charge", "payment_method"},
    "setup_intents": {"customer", "payment_method"},
    "charges": {"balance_transaction", "customer", "payment_intent"},
    "refunds": {"balance_transaction", "charge", "payment_intent"},
    "transfers": {"balance_transaction", "source_transaction"},
    "reversals": {"balance_transaction", "transfer"},
    "disputes": {"charge", "payment_intent"},
    "balance_transactions": {"source"},
}


def check_paths(collection: str, paths: Iterable[str], *, listing: bool) -> None:
    """Refuse what cannot be expanded before anything happens; in a list every path starts with `data.`."""
    for path in paths:
        names = path.split(".")
        if len(names) > DEPTH_MAX:
            raise StripeError(f"You cannot expand more than {DEPTH_MAX} levels of a property.", param="expand")
        if listing and names.pop(0) != "data":
            raise StripeError("In a list, expand properties of its rows: data.….", param="expand")
        if not names or names[0] not in _EXPANDABLE.get(collection, ()):
            raise StripeError(f"This property cannot be expanded ({path[:80]}).", param="expand")


def expand(document: Document, paths: Iterable[str], find: Callable[[str], Document | None]) -> Document:
    """The same document with every checked path expanded, in place."""
    for path in paths:
        names = path.split(".")
        rows = document.get("data")
        if names[0] == "data" and isinstance(rows, list):
            for row in rows:
                _expand(row, names[1:], find)
        else:
            _expand(document, names, find)
    return document


def _expand(document: Document, names: list[str], find: Callable[[str], Document | None]) -> None:
    place = document
    for name in names:
        value = place.get(name)
        if isinstance(value, str):
            value = place[name] = find(value) or value
        if not isinstance(value, dict):
            return
        place = value
