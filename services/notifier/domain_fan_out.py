"""What all backers of a campaign are told, or those of one tier (DOMAIN N1, C6, C9), and who is one of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from contracts.campaign import MilestoneCrossed, UpdatePosted
from contracts.settlement import CampaignSettled, Outcome
from notifier.domain import Backing, Campaign, Facts, Kind, Notice, Standing

UPDATE_CHARACTERS_MAX: Final = 2_000  # Two minutes of reading; the campaign's page has all of it.

OUTCOME_NOTICE: Final[dict[Outcome, Kind]] = {
    Outcome.FUNDED: Kind.CAMPAIGN_FUNDED,
    Outcome.PARTIALLY_FUNDED: Kind.CAMPAIGN_PARTIALLY_FUNDED,
    Outcome.FAILED: Kind.CAMPAIGN_FAILED,
}
_COUNTING: Final = frozenset((Standing.AUTHORIZED, Standing.AT_RISK, Standing.CAPTURED))
# Whose pledge stands how is told. Captures and voids are done before a campaign counts as settled.
AUDIENCE: Final[dict[Kind, frozenset[Standing]]] = {
    Kind.MILESTONE: _COUNTING,
    Kind.CREATOR_UPDATE: _COUNTING,
    Kind.CAMPAIGN_FUNDED: frozenset((Standing.CAPTURED,)),
    Kind.CAMPAIGN_PARTIALLY_FUNDED: frozenset((Standing.CAPTURED,)),
    Kind.CAMPAIGN_FAILED: frozenset((Standing.VOIDED,)),
}


@dataclass(frozen=True)
class FanOut:
    """One notice for all backers of a campaign, on its way to becoming one notice each."""

    kind: Kind
    about_id: UUID  # a milestone's event, an update or, for an outcome, the campaign
    campaign_id: UUID
    facts: str  # Facts in JSON
    created_at: datetime
    tier_id: UUID | None = None  # only for who has this tier when the fan-out comes to them; None: for everybody


def milestone(fact: MilestoneCrossed, event_id: UUID, now: datetime) -> FanOut:
    facts = Facts(percent=fact.percent, stretch_goal=fact.stretch_goal, total=fact.total, backers=fact.backers)
    return FanOut(Kind.MILESTONE, event_id, fact.campaign_id, facts.json_text(), now)


def update(fact: UpdatePosted, now: datetime) -> FanOut:
    """News from the creator: its title, and its text or the beginning of it."""
    text = fact.text
    if len(text) > UPDATE_CHARACTERS_MAX:
        text = f"{text[:UPDATE_CHARACTERS_MAX]} …"
    facts = Facts(title=fact.title, text=text).json_text()
    return FanOut(Kind.CREATOR_UPDATE, fact.update_id, fact.campaign_id, facts, now, fact.tier_id)


def outcome(fact: CampaignSettled, now: datetime) -> FanOut:
    return FanOut(OUTCOME_NOTICE[fact.outcome], fact.campaign_id, fact.campaign_id, Facts().json_text(), now)


def late_outcome(campaign: Campaign, row: Backing, now: datetime) -> Notice | None:
    """The outcome, for a backer whose last fact came in only after it; the fan-out may have passed already."""
    if campaign.outcome is None:
        return None
    kind = OUTCOME_NOTICE[campaign.outcome]
    if row.standing not in AUDIENCE[kind]:
        return None
    about = campaign.campaign_id
    return Notice(kind, row.backer_id, about, about, row.pledge_id, Facts().json_text(), False, now, now)
