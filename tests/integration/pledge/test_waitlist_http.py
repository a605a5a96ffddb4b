"""The waitlist over HTTP (DOMAIN P3, H1 to H4)."""

from __future__ import annotations

from contracts.ids import new_id
from tests.integration.pledge.backers import launched, tier
from tests.integration.pledge.door import Door
from tests.integration.pledge.test_http import MISSING, body


async def test_who_is_told_sold_out_is_shown_the_waitlist_and_the_way_through_it(door: Door) -> None:
    gold, holder, waiter = tier(limit=1), new_id(), new_id()
    campaign = launched(gold)
    await door.hear(campaign)
    pledges, wanted = f"/campaigns/{campaign.campaign_id}/pledges", body(tier_id=str(gold.tier_id))
    held = (await door.post(pledges, wanted, person_id=holder)).json()
    refused = await door.post(pledges, wanted, person_id=waiter)
    assert refused.json()["type"] == "/problems/sold-out"
    path = refused.json()["links"]["waitlist"]
    joined = await door.post(path, person_id=waiter)
    assert (joined.status_code, joined.json()["links"]["self"]) == (201, path)
    assert (await door.post(path, person_id=waiter)).json() == joined.json()
    [place] = (await door.get("/me/waitlist", waiter)).json()["items"]
    assert (place["ahead"], place["offered_until"], place["links"]["self"]) == (0, None, path)
    await door.post(f"{held['links']['self']}/cancel", person_id=holder)
    await door.until("SELECT 1 FROM waitlist WHERE offered_until IS NOT NULL")  # the running service does it by itself
    [place] = (await door.get("/me/waitlist", waiter)).json()["items"]
    assert place["offered_until"] == "2027-03-02T12:00:00Z"
    assert (await door.post(pledges, wanted)).json()["type"] == "/problems/sold-out"
    assert (await door.post(pledges, wanted, person_id=waiter)).status_code == 201
    assert (await door.get("/me/waitlist", waiter)).json()["items"] == []


async def test_leaving_is_fine_at_any_time_and_joining_needs_a_sold_out_tier(door: Door) -> None:
    gold = tier(limit=1)
    campaign = launched(gold)
    await door.hear(campaign)
    path = f"/campaigns/{campaign.campaign_id}/tiers/{gold.tier_id}/waitlist"
    for _ in range(2):
        assert (await door.send("DELETE", path)).status_code == 204
    early = await door.post(path)
    assert (early.status_code, early.json()["type"]) == (409, "/problems/not-sold-out")
    assert early.json()["links"] == {"pledge": f"/campaigns/{campaign.campaign_id}/pledges"}
    elsewhere = await door.post(f"/campaigns/{campaign.campaign_id}/tiers/{MISSING}/waitlist")
    assert (elsewhere.status_code, elsewhere.json()["type"]) == (422, "/problems/unknown-tier")
    nowhere = await door.post(f"/campaigns/{MISSING}/tiers/{gold.tier_id}/waitlist")
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "/problems/campaign-not-open")
