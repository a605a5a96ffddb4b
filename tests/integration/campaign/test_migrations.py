"""What was there before lists and updates is in them afterwards (migration 0002)."""

from dataclasses import replace
from pathlib import Path
from shutil import copy
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from campaign.app import HOUSE
from campaign.domain import Campaign
from campaign.projections import Shown
from campaign.queries_lists import Sort, Wanted, listed
from contracts.ids import CampaignId, new_id
from deploy.local.provision import Provisioned
from eventing.database import connect_pool
from eventing.migrations import CORE, migrate
from tests.unit.campaign import drafts


async def as_before(connection: Any, campaign: Campaign, pledged_minor: int) -> None:
    """A campaign, its total and one pledge in the tables of migration 0001."""
    document = TypeAdapter(Shown).dump_json(Shown(campaign)).decode()
    about = campaign.campaign_id, campaign.creator_id, campaign.status, campaign.launched_at
    page = "INSERT INTO campaign_page VALUES ($1, $2, $3, $4, $5, 1, $6)"
    await connection.execute(page, *about, campaign.terms.deadline, document)
    await connection.execute(
        "INSERT INTO campaign_total VALUES ($1, 1, $2, 1, NULL)", campaign.campaign_id, pledged_minor
    )
    pledge_id, backer_id = new_id(), campaign.campaign_id
    contribution = "INSERT INTO contribution VALUES ($1, $2, NULL, $3, 0, 1)"
    await connection.execute(contribution, pledge_id, campaign.campaign_id, pledged_minor)
    event = "INSERT INTO event (event_id, source, stream_id, version, type, data, meta)"
    data = f'{{"backer_id": "{backer_id}"}}'
    await connection.execute(
        f"{event} VALUES ($1, 'pledge', $2, 1, 'pledge.PledgePlaced.v1', $3, '{{}}')", new_id(), pledge_id, data
    )


async def test_old_rows_are_listed_found_and_know_their_backers(empty: Provisioned, tmp_path: Path) -> None:
    url = empty.database_urls["campaign"]
    before = tmp_path / "campaign" / "migrations"
    before.mkdir(parents=True)
    copy(HOUSE.migrations / "0001_campaign.sql", before)
    await migrate(url, CORE, before)
    active, draft = drafts.active(), drafts.draft(title="Not yet")
    other = CampaignId(UUID(int=9))
    connection = await asyncpg.connect(url)
    await as_before(connection, active, 5_050)
    await as_before(connection, replace(draft, campaign_id=other), 0)
    await connection.close()

    await migrate(url, CORE, HOUSE.migrations)

    async with await connect_pool(url, "test") as pool:
        for wanted in (
            Wanted(None, Sort.MOST_FUNDED),
            Wanted(None, Sort.NEWEST, words="lamp glows"),
            Wanted(None, Sort.ENDING_SOON),
        ):
            [item], following = await listed(pool, wanted, 5)
            assert (item.id, item.percent, following) == (active.campaign_id, 50, None)
        mine, _ = await listed(pool, Wanted(draft.creator_id, Sort.NEWEST), 5)
        assert [item.id for item in mine] == [other, active.campaign_id]
        backers = await pool.fetch("SELECT backer_id FROM contribution ORDER BY campaign_id")
        assert [row["backer_id"] for row in backers] == [active.campaign_id, other]
