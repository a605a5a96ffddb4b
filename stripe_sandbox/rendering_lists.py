"""Stripe's lists."""

from collections.abc import Iterable

from stripe_sandbox.errors import Document


def render_list(documents: Iterable[Document], url: str, *, has_more: bool) -> Document:
    return {"object": "list", "data": list(documents), "has_more": has_more, "url": url}
