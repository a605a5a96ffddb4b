"""Conditions that a request puts on the state of what it is about (RFC 9110, 13.1): ETags as they come in headers."""

import re
from typing import Annotated, Final

from fastapi import Header

_HEADER_MAX: Final = 1_000  # A dozen tags.
_TAG: Final = re.compile(r'(W/)?"([^"]*)"')

# As a parameter of a route that changes something.
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=_HEADER_MAX,
        description="The ETag of what you have read: if it has changed since, nothing is done. Without it the last"
        " writer wins.",
        examples=['"5d41402abc4b2a76"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=_HEADER_MAX,
        description="The ETag of what you have: if it is still so, the answer is a 304 without a body.",
        examples=['W/"42"'],
    ),
]


def expected_by(if_match: str | None) -> frozenset[str] | None:
    """The tags of an `If-Match`, without quotes; None: any state will do. Weak ones never match and are left out."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(tag for weak, tag in _TAG.findall(if_match) if not weak)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the sender of an `If-None-Match` has this state already. Weak and strong tags compare alike here."""
    if if_none_match is None:
        return False
    known = {tag for _, tag in _TAG.findall(if_none_match)}
    return if_none_match.strip() == "*" or etag.removeprefix("W/").strip('"') in known
