"""Lists over HTTP: a backer's pledges, a campaign's backers, what is owed to whom (DOMAIN P11, H2)."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.campaign import CampaignLaunched
from contracts.ids import CampaignId, PersonId, PledgeId, TierId, new_id
from contracts.money import Money
from contracts.payment import PaymentCaptured, PaymentDeclined
from contracts.settlement import CampaignSettled, Outcome, Tally
from pledge.queries_backers import PAGE_ROWS
from tests.integration.pledge.backers import euros, launched, placing, tier
from tests.integration.pledge.door import Door
from tests.integration.pledge.test_http import MISSING, body


async def placed(door: Door, campaign: CampaignLaunched, number: int, **changed: Any) -> list[UUID]:
    """So many pledges of so many people."""
    commands = [placing(campaign.campaign_id, **changed) for _ in range(number)]
    await asyncio.gather(*map(door.runtime.commit.execute, commands))
    return [command.pledge_id for command in commands]


async def captured(door: Door, campaign_id: CampaignId, pledge_ids: Sequence[UUID]) -> None:
    await door.hear(
        *(
            PaymentCaptured(
                pledge_id=PledgeId(pledge_id),
                campaign_id=campaign_id,
                amount=euros(2500),
                hold_id="pi_1",
                provider_fee=euros(30),
            )
            for pledge_id in pledge_ids
        )
    )


def settled(campaign: CampaignLaunched, outcome: Outcome) -> CampaignSettled:
    none = Tally(count=0, total=Money(amount=0, currency="EUR"))
    return CampaignSettled(
        campaign_id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        outcome=outcome,
        captured=none,
        dropped=none,
        voided=none,
    )


async def as_creator(door: Door, path: str, person_id: UUID) -> httpx.Response:
    token = door.token(person_id, ["creator"])
    return await door.http.get(path, headers={"Authorization": f"Bearer {token}"})


class TestBackers:
    async def test_are_listed_newest_first_and_stay_in_place_while_others_come_and_go(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        ids = await placed(door, campaign, 5)
        path: str | None = f"/campaigns/{campaign.campaign_id}/backers?limit=2"
        seen: list[str] = []
        while path:
            page = (await as_creator(door, path, campaign.creator_id)).json()
            seen += [one["pledge_id"] for one in page["items"]]
            path = page["links"]["next"]
            await placed(door, campaign, 1)  # who comes meanwhile is on no later page, and moves nobody
            about = {"pledge_id": PledgeId(ids[4]), "campaign_id": campaign.campaign_id, "amount": euros(2500)}
            await door.hear(PaymentDeclined(**about, reason="card_declined"))
        assert seen == [str(pledge_id) for pledge_id in reversed(ids)]
        first = (await as_creator(door, f"/campaigns/{campaign.campaign_id}/backers", campaign.creator_id)).json()
        shown = first["items"][0]
        assert (shown["status"], shown["amount"], shown["country"]) == (
            "pending",
            {"amount": 2500, "currency": "EUR"},
            "DE",
        )
        assert str(ids[4]) not in [one["pledge_id"] for one in first["items"]], "who was declined backs nothing"

    async def test_are_shown_to_the_creator_alone(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        for path in ("backers", "fulfilment.csv"):
            for campaign_id in (campaign.campaign_id, MISSING):
                answer = await as_creator(door, f"/campaigns/{campaign_id}/{path}", new_id())
                assert (answer.status_code, answer.json()["type"]) == (404, "/problems/campaign-not-found")
            backer = await door.get(f"/campaigns/{campaign.campaign_id}/{path}", campaign.creator_id)
            assert (backer.status_code, backer.json()["type"]) == (403, "/problems/forbidden")

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "Zürich", "A" * 64, "%F0%9F%8D%95"])
    async def test_a_cursor_that_was_not_given_is_refused(self, door: Door, cursor: str) -> None:
        campaign = launched()
        await door.hear(campaign)
        lists = (
            await as_creator(door, f"/campaigns/{campaign.campaign_id}/backers?cursor={cursor}", campaign.creator_id),
            await door.get(f"/me/pledges?cursor={cursor}", new_id()),
        )
        for answer in lists:
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/cursor-unknown")


class TestFulfilment:
    async def test_lists_what_was_paid_by_tier_and_page_by_page(self, door: Door) -> None:
        red = tier().model_copy(update={"title": 'A "red" print, signed'})
        blue = tier().model_copy(update={"title": "=2+5"})
        campaign = launched(red, blue)
        await door.hear(campaign)
        wanted: dict[TierId | None, list[UUID]] = {
            red.tier_id: await placed(door, campaign, PAGE_ROWS + 1, tier_id=red.tier_id),
            blue.tier_id: await placed(door, campaign, 4, tier_id=blue.tier_id),
            None: await placed(door, campaign, 3),
        }
        failed = await placed(door, campaign, 2, tier_id=red.tier_id)
        await captured(door, campaign.campaign_id, [one for ids in wanted.values() for one in ids])
        await door.hear(settled(campaign, Outcome.PARTIALLY_FUNDED))
        answer = await as_creator(door, f"/campaigns/{campaign.campaign_id}/fulfilment.csv", campaign.creator_id)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        for tier_id, ids in wanted.items():
            listed = [line["pledge_id"] for line in lines if line["tier_id"] == str(tier_id or "")]
            assert listed == [str(pledge_id) for pledge_id in ids]
        assert not {str(pledge_id) for pledge_id in failed} & {line["pledge_id"] for line in lines}
        titles = {line["tier_id"]: line["tier"] for line in lines}
        assert titles[str(red.tier_id)] == 'A "red" print, signed'
        assert titles[str(blue.tier_id)] == "'=2+5", "a spreadsheet shows it and does not run it"
        assert {(line["amount_minor"], line["currency"], line["country"]) for line in lines} == {("2500", "EUR", "DE")}
        assert lines[0]["estimated_delivery"] == "2027-09"

    async def test_is_there_after_a_settlement_that_collected(self, door: Door) -> None:
        early, failed = launched(), launched()
        await door.hear(early, failed, settled(failed, Outcome.FAILED))
        for campaign, problem in ((early, "not-settled"), (failed, "nothing-to-fulfil")):
            path = f"/campaigns/{campaign.campaign_id}/fulfilment.csv"
            answer = await as_creator(door, path, PersonId(campaign.creator_id))
            assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/{problem}")
        await door.hear(settled(early, Outcome.FUNDED))
        answer = await as_creator(door, f"/campaigns/{early.campaign_id}/fulfilment.csv", early.creator_id)
        assert (answer.status_code, len(answer.text.splitlines())) == (200, 1)


async def test_a_backers_own_list_keeps_its_place_while_pledges_are_added(door: Door) -> None:
    backer, made = new_id(), []

    async def one_more() -> None:
        campaign = launched()
        await door.hear(campaign)
        answer = await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body(), person_id=backer)
        made.append(answer.json()["id"])

    for _ in range(4):
        await one_more()
    first = (await door.get("/me/pledges?limit=2", backer)).json()
    await one_more()
    second = (await door.get(first["links"]["next"], backer)).json()
    assert [one["id"] for page in (first, second) for one in page["items"]] == made[3::-1]
    assert second["links"]["next"] is None
