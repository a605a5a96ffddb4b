"""The digest by which two services know that they hold the same book (DOMAIN P9, S1)."""

import hashlib
from collections.abc import Iterable
from uuid import UUID


def digest(live_pledges: Iterable[tuple[UUID, int, str, UUID | None]]) -> str:
    """sha256, in hex, over a line `pledge_id|amount|currency|tier` for each live pledge, in the order of their ids.

    A pledge is (pledge id, amount in minor units, ISO 4217 currency, tier id or None). Every line ends with a
    newline; no tier is an empty last field.
    """
    sha = hashlib.sha256()
    for pledge_id, minor, currency, tier_id in sorted(live_pledges, key=lambda pledge: pledge[0]):
        sha.update(f"{pledge_id}|{minor}|{currency}|{tier_id or ''}\n".encode())
    return sha.hexdigest()
