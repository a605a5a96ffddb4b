"""The projections `pages`, what a campaign's page shows of its own stream (DOMAIN C8), and `updates` (C9)."""

from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from campaign.domain import PRIVATE_EVENTS, Campaign, evolve
from campaign.tables import PAGES, UPDATES, PageRow, UpdateRow
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    MilestoneCrossed,
    RewardTierAdded,
    TierLimitRaised,
    UpdatePosted,
)
from contracts.event import Event
from eventing.definition import Projection
from eventing.work import Recorded, Work


@dataclass(frozen=True)
class Shown:
    """The campaign, and when each milestone was crossed, in their order."""

    campaign: Campaign
    crossed_at: tuple[datetime, ...] = ()


SHOWN = TypeAdapter(Shown)


def show(work: Work, recorded: Recorded) -> None:
    """Fold the next event of a campaign into its row; a rebuild may meet them out of order and folds anew."""
    row = work.get(PAGES, recorded.subject)
    shown: Shown | None
    if row is None and recorded.version == 1:
        shown = _step(None, recorded)
    elif row is not None and recorded.version == row.version + 1:
        shown = _step(SHOWN.validate_json(row.document), recorded)
    else:
        shown = None
        for one in work.history(recorded.source, recorded.subject):
            shown, recorded = _step(shown, one), one
    assert shown is not None
    work.put(PAGES, _row(shown, recorded.version))


def _step(before: Shown | None, recorded: Recorded) -> Shown:
    campaign = evolve(before.campaign if before else None, recorded.event)
    if before is None:
        return Shown(campaign)
    if isinstance(recorded.event, MilestoneCrossed):
        return Shown(campaign, (*before.crossed_at, recorded.time))
    return replace(before, campaign=campaign)


def _row(shown: Shown, version: int) -> PageRow:
    campaign = shown.campaign
    return PageRow(
        campaign_id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        status=campaign.status,
        launched_at=campaign.launched_at,
        deadline=campaign.terms.deadline,
        version=version,
        document=SHOWN.dump_json(shown).decode(),
    )


_OWN_EVENTS: tuple[type[Event], ...] = (
    *PRIVATE_EVENTS,
    CampaignLaunched,
    RewardTierAdded,
    TierLimitRaised,
    MilestoneCrossed,
    CampaignClosed,
    CampaignCancelled,
)
PAGES_PROJECTION = Projection(
    "pages",
    (PAGES,),
    dict.fromkeys(_OWN_EVENTS, show),
    lambda recorded: ((PAGES, (recorded.subject,)),),
)


def list_update(work: Work, recorded: Recorded) -> None:
    """An update is one event: whoever meets it twice writes the same row."""
    fact: UpdatePosted = recorded.event
    work.put(
        UPDATES,
        UpdateRow(
            update_id=fact.update_id,
            campaign_id=fact.campaign_id,
            number=fact.number,
            kind=fact.kind,
            tier_id=fact.tier_id,
            title=fact.title,
            text=fact.text,
            posted_at=fact.posted_at,
        ),
    )


UPDATES_PROJECTION = Projection(
    "updates",
    (UPDATES,),
    {UpdatePosted: list_update},
    lambda recorded: ((UPDATES, (recorded.subject,)),),
)
