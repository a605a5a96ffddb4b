"""What a creator is told of the campaign's end and of the money (DOMAIN N1, Y10)."""

from datetime import datetime
from uuid import UUID

from contracts.payment import PayoutKind, PayoutSent
from contracts.settlement import CampaignSettled
from notifier.domain import Facts, Kind, Notice


def settled_notice(fact: CampaignSettled, now: datetime) -> Notice:
    facts = Facts(outcome=fact.outcome, total=fact.captured.total, backers=fact.captured.count)
    return _to_creator(Kind.CREATOR_SETTLED, fact, fact.campaign_id, facts, now)


def payout_notice(fact: PayoutSent, event_id: UUID, now: datetime) -> Notice:
    """The main payout is about the campaign, which has one; each later one is about its event."""
    facts = Facts(
        payout=fact.amount,
        total=fact.captured,
        platform_fee=fact.platform_fee,
        provider_fee=fact.provider_fee,
        refunded=fact.refunded,
        disputed=fact.disputed,
        reserve=fact.reserve,
        released=fact.released,
        recovered=fact.recovered,
        payout_kind=fact.kind,
    )
    about_id = fact.campaign_id if fact.kind is PayoutKind.MAIN else event_id
    return _to_creator(Kind.CREATOR_PAYOUT, fact, about_id, facts, now)


def _to_creator(kind: Kind, fact: CampaignSettled | PayoutSent, about_id: UUID, facts: Facts, now: datetime) -> Notice:
    return Notice(kind, fact.creator_id, about_id, fact.campaign_id, None, facts.json_text(), True, now, now)
