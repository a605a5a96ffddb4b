"""What a creator may tell the world about a campaign (DOMAIN C9)."""

from datetime import datetime
from typing import Final

from campaign.domain import Campaign
from campaign.domain_commands import PostUpdate
from campaign.domain_refusals import TooManyUpdates, WrongStatus
from campaign.domain_tiers import tier_of
from contracts.campaign import UpdatePosted

UPDATES_MAX: Final = 1_000  # Three years of one a day.


def post_update(state: Campaign, command: PostUpdate, posted: int, now: datetime) -> UpdatePosted:
    """News, from the launch on for as long as there is something to tell. `posted`: how many there are already."""
    if state.launched_at is None:
        raise WrongStatus(
            f"The campaign is {state.status} and was never launched. Without backers it has no readers.",
            campaign_status=state.status.value,
        )
    if posted >= UPDATES_MAX:
        raise TooManyUpdates(f"A campaign has at most {UPDATES_MAX} updates.")
    if command.tier_id is not None:
        tier_of(state, command.tier_id)
    return UpdatePosted(
        campaign_id=state.campaign_id,
        update_id=command.update_id,
        number=posted + 1,
        kind=command.kind,
        tier_id=command.tier_id,
        title=command.title,
        text=command.text,
        posted_at=now,
    )
