"""Who is told of a slot that came free (DOMAIN N1, P3)."""

from datetime import datetime

from contracts.pledge import SlotOffered
from notifier.domain import Facts, Kind, Notice


def offer_notice(fact: SlotOffered, now: datetime) -> Notice:
    """A reward is kept for who waited for it: told at once, since it does not wait long."""
    facts = Facts(until=fact.offered_until).json_text()
    return Notice(Kind.SLOT_OFFERED, fact.backer_id, fact.offer_id, fact.campaign_id, None, facts, True, now, now)
