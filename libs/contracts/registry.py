"""Which public events there are, by type."""

from collections.abc import Mapping
from types import MappingProxyType

from contracts import campaign, payment, pledge, settlement
from contracts.event import Event


def _all() -> dict[str, type[Event]]:
    return {
        member.type: member
        for module in (campaign, pledge, payment, settlement)
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, Event) and "type" in vars(member)
    }


PUBLIC_EVENTS: Mapping[str, type[Event]] = MappingProxyType(_all())
SERVICES = ("campaign", "pledge", "payment", "settlement", "notifier", "analytics")
