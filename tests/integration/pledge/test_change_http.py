"""Reading and changing one pledge over HTTP: ETag and If-Match, what is answered, what is refused (DOMAIN P6, P10)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.campaign import RewardTier
from contracts.ids import CampaignId, ChangeId, PledgeId, new_id
from contracts.payment import PaymentAuthorized, PaymentChangeAuthorized
from tests.integration.pledge.backers import CUTOFF, DEADLINE, euros, launched, tier
from tests.integration.pledge.door import Door
from tests.integration.pledge.test_http import MISSING, body, price


async def authorized(door: Door, backer: UUID, *tiers: RewardTier) -> dict[str, Any]:
    """A pledge of 25.00 EUR without a reward, as its backer reads it when its hold is taken."""
    campaign = launched(*tiers)
    await door.hear(campaign)
    placed = (await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body(), person_id=backer)).json()
    about = {"pledge_id": PledgeId(UUID(placed["id"])), "campaign_id": campaign.campaign_id}
    await door.hear(PaymentAuthorized(**about, amount=euros(2500), hold_id="pi_1"))
    shown: dict[str, Any] = (await door.get(placed["links"]["self"], backer)).json()
    return shown


async def patch(door: Door, shown: dict[str, Any], backer: UUID, wish: Any, **more: Any) -> httpx.Response:
    return await door.send("PATCH", f"/pledges/{shown['id']}", wish, person_id=backer, **more)


class TestReading:
    async def test_shows_what_may_be_done_until_when_and_the_etag(self, door: Door) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        path = shown["links"]["self"]
        assert (await door.get(path, backer)).headers["etag"] == f'"{shown["version"]}"'
        assert shown["links"] == {
            "self": path,
            "campaign": f"/campaigns/{shown['campaign_id']}",
            "change": path,
            "cancel": f"{path}/cancel",
        }
        times = ("change_until", "lower_until", "cancel_until")
        deadline, cutoff = "2027-03-31T12:00:00Z", "2027-03-29T12:00:00Z"
        assert [shown[name] for name in times] == [deadline, cutoff, cutoff]
        door.set_time(CUTOFF)
        late = (await door.get(path, backer)).json()
        assert [late[name] for name in times] == [deadline, None, None]
        assert (late["links"]["change"], late["links"]["cancel"]) == (path, None)
        door.set_time(DEADLINE)
        over = (await door.get(path, backer)).json()
        assert (over["links"]["change"], over["links"]["cancel"]) == (None, None)


class TestChanging:
    async def test_that_moves_money_is_accepted_and_shown_until_it_is_decided(self, door: Door) -> None:
        backer, gold = new_id(), tier(minimum=3000, limit=1)
        shown = await authorized(door, backer, gold)
        wish = price(4000) | {"tier_id": str(gold.tier_id), "payment_method": "pm_card_mastercard"}
        answer = await patch(door, shown, backer, wish, headers={"If-Match": f'"{shown["version"]}"'})
        told = answer.json()
        assert (answer.status_code, told["undecided"], told["amount"]) == (202, True, shown["amount"])
        waiting = await door.get(told["links"]["self"], backer)
        assert answer.headers["etag"] == waiting.headers["etag"] != f'"{shown["version"]}"'
        change = waiting.json()["change"]
        assert (change["amount"]["amount"], change["tier_id"], change["decide_by"], change["reason"]) == (
            4000,
            str(gold.tier_id),
            "2027-03-01T12:15:00Z",
            None,
        )
        assert waiting.json()["links"]["change"] is None
        await door.hear(
            PaymentChangeAuthorized(
                pledge_id=PledgeId(UUID(shown["id"])),
                campaign_id=CampaignId(UUID(shown["campaign_id"])),
                amount=euros(4000),
                change_id=ChangeId(UUID(change["id"])),
                hold_id="pi_2",
            )
        )
        done = (await door.get(told["links"]["self"], backer)).json()
        assert (done["amount"]["amount"], done["tier_id"], done["change"]) == (4000, str(gold.tier_id), None)

    async def test_that_moves_no_money_is_done_at_once(self, door: Door) -> None:
        backer, gold = new_id(), tier(limit=1)
        shown = await authorized(door, backer, gold)
        answer = await patch(door, shown, backer, {"tier_id": str(gold.tier_id)})
        assert (answer.status_code, answer.json()["undecided"]) == (200, False)
        assert answer.json()["tier_id"] == str(gold.tier_id)
        back = await patch(door, shown, backer, {"tier_id": None})
        assert (back.status_code, back.json()["tier_id"]) == (200, None)

    async def test_the_same_key_answers_the_same_and_another_wish_is_refused(self, door: Door) -> None:
        backer = new_id()
        shown = await authorized(door, backer, tier(limit=1))
        wishes = (price(4000), price(4000), price(5000), price(4000) | {"tier_id": None})
        first, again, *others = [await patch(door, shown, backer, wish, key="k") for wish in wishes]
        assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
        assert first.headers["etag"] == again.headers["etag"]
        assert {(o.status_code, o.json()["type"]) for o in others} == {(422, "/problems/idempotency-key-reused")}

    @pytest.mark.parametrize("seen", ['"1"', 'W/"2"', '"x"', "2", '"1", "7"', '""', '"' + "9" * 30 + '"'])
    async def test_of_a_pledge_that_the_backer_has_not_seen_is_refused(self, door: Door, seen: str) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        assert shown["version"] == 2
        answer = await patch(door, shown, backer, price(4000), headers={"If-Match": seen})
        assert (answer.status_code, answer.json()["type"]) == (412, "/problems/changed-meanwhile")
        assert (await door.get(shown["links"]["self"], backer)).json() == shown

    @pytest.mark.parametrize("seen", ['"2"', "*", '"1", "2"'])
    async def test_of_the_pledge_as_it_was_seen_is_accepted(self, door: Door, seen: str) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        answer = await patch(door, shown, backer, price(4000), headers={"If-Match": seen})
        assert answer.status_code == 202

    async def test_a_second_change_is_refused_until_the_first_is_decided(self, door: Door) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        await patch(door, shown, backer, price(4000))
        second = await patch(door, shown, backer, price(5000))
        assert (second.status_code, second.json()["type"]) == (409, "/problems/change-undecided")
        assert second.json()["decide_by"] == "2027-03-01T12:15:00Z"

    async def test_lowering_after_the_cutoff_is_refused_and_names_it(self, door: Door) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        door.set_time(CUTOFF)
        answer = await patch(door, shown, backer, price(2400))
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/cutoff-passed")
        assert answer.json()["cutoff"] == "2027-03-29T12:00:00Z"

    async def test_of_somebody_elses_or_of_none_is_not_found(self, door: Door) -> None:
        shown = await authorized(door, new_id())
        for about in (shown, {"id": MISSING}):
            answer = await patch(door, about, new_id(), price(4000))
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/pledge-unknown")

    @pytest.mark.parametrize(
        "wish",
        [{}, [], {"amount": None}, {"payment_method": None}, {"country": "FR"}, price(0), {"tier_id": "gold"}, None],
    )
    async def test_a_wish_that_says_nothing_or_too_much_is_refused(self, door: Door, wish: Any) -> None:
        backer = new_id()
        shown = await authorized(door, backer)
        before = await door.recorded()
        answer = await patch(door, shown, backer, wish)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
        assert await door.recorded() == before
