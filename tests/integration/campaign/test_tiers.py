"""Drafts and tiers that change, and changes that meet (DOMAIN C1, C5): If-Match over HTTP."""

import asyncio
from typing import Any

import pytest

from contracts.ids import new_id
from tests.integration.campaign.client import Person, Running, Site, check_problem, price, tier_body


@pytest.fixture(scope="module")
async def service(site: Site) -> Any:
    async with site.running() as running:
        yield running


async def tier_of(creator: Person, path: str) -> str:
    """The path of the campaign's first tier."""
    return str((await creator.page(path))["tiers"][0]["links"]["self"])


class TestDraft:
    async def test_two_who_change_what_they_have_read_do_not_overwrite_each_other(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts()
        read = (await creator.get(path)).headers["ETag"]
        first = await creator.send(path, {"title": "First"}, method="PATCH", if_match=read)
        assert (first.status_code, first.json()["title"]) == (200, "First")
        before = await service.events()
        check_problem(
            await creator.send(path, {"title": "2nd"}, method="PATCH", if_match=read), 412, "changed-meanwhile"
        )
        assert (await service.events(), (await creator.page(path))["title"]) == (before, "First")
        again = await creator.send(path, {"title": "2nd"}, method="PATCH", if_match=first.json()["etag"])
        assert (again.status_code, (await creator.page(path))["title"]) == (200, "2nd")

    async def test_of_many_at_once_one_is_first(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts()
        read = (await creator.get(path)).headers["ETag"]
        changes = [creator.send(path, {"title": str(n)}, method="PATCH", if_match=read) for n in range(20)]
        statuses = [answer.status_code for answer in await asyncio.gather(*changes)]
        assert sorted(statuses) == [200] + [412] * 19

    @pytest.mark.parametrize("if_match", ["*", "", '"other", {read}'])
    async def test_any_state_one_of_several_and_none_named_go_through(self, service: Running, if_match: str) -> None:
        creator = service.creator()
        path = await creator.drafts()
        wanted = if_match.format(read=(await creator.get(path)).headers["ETag"])
        answer = await creator.send(path, {"title": "New"}, method="PATCH", if_match=wanted)
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("if_match", ["W/{read}", '"', "nonsense", '""'])
    async def test_a_weak_tag_and_nonsense_match_nothing(self, service: Running, if_match: str) -> None:
        creator = service.creator()
        path = await creator.drafts()
        wanted = if_match.format(read=(await creator.get(path)).headers["ETag"])
        check_problem(
            await creator.send(path, {"title": "New"}, method="PATCH", if_match=wanted), 412, "changed-meanwhile"
        )

    async def test_a_change_that_is_sent_again_gets_its_first_answer_whatever_came_after(
        self, service: Running
    ) -> None:
        creator = service.creator()
        path = await creator.drafts()
        read = (await creator.get(path)).headers["ETag"]
        first = await creator.send(path, {"title": "New"}, method="PATCH", key="k", if_match=read)
        again = await creator.send(path, {"title": "New"}, method="PATCH", key="k", if_match=read)
        assert (again.status_code, again.json()) == (200, first.json())

    async def test_a_launched_campaign_is_refused_for_what_it_is_and_not_for_its_tag(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        answer = await creator.send(path, {"title": "New"}, method="PATCH", if_match='"old"')
        check_problem(answer, 409, "wrong-campaign-status")


class TestPage:
    async def test_is_not_sent_again_to_whoever_has_it(self, service: Running) -> None:
        creator = service.creator()
        for path in (await creator.drafts(), await creator.launches()):
            etag = (await creator.get(path)).headers["ETag"]
            known = await creator.get(path, **{"If-None-Match": f'"other", {etag}'})
            assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
            await creator.send(f"{path}/tiers", tier_body())
            changed = await creator.get(path, **{"If-None-Match": etag})
            assert (changed.status_code, changed.headers["ETag"] == etag) == (200, False)

    async def test_of_a_draft_is_not_found_by_others_who_know_its_tag(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts()
        etag = (await creator.get(path)).headers["ETag"]
        check_problem(await service.http.get(path, headers={"If-None-Match": etag}), 404, "campaign-not-found")


class TestTier:
    async def test_of_a_draft_changes_in_everything_that_is_named(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts(tier_body(limit=5))
        tier = await tier_of(creator, path)
        changes = {"title": "Two", "minimum": price(4_000), "estimated_delivery": "2028-01", "description": "Both"}
        answer = await creator.send(tier, changes | {"limit": None}, method="PATCH")
        assert (answer.status_code, answer.json()["links"]["self"]) == (200, tier)
        shown = (await creator.get(tier)).json()
        assert {name: shown[name] for name in (*changes, "limit")} == changes | {"limit": None}

    async def test_of_a_draft_is_its_creators_alone(self, service: Running) -> None:
        creator = service.creator()
        tier = await tier_of(creator, await creator.drafts(tier_body()))
        check_problem(await service.http.get(tier), 404, "campaign-not-found")
        check_problem(await service.creator().get(tier), 404, "campaign-not-found")

    async def test_names_those_that_share_its_pool(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts(tier_body(title="Red", limit=5), tier_body(title="Free"))
        red = (await creator.page(path))["tiers"][0]
        blue = (await creator.send(f"{path}/tiers", tier_body(title="Blue", pool_of=red["id"]))).json()
        assert (await creator.get(red["links"]["self"])).json()["shares_with"] == [blue["tier_id"]]

    async def test_a_limit_is_raised_while_active_never_lowered_and_seen_at_once(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches(tier_body(limit=5))
        tier = await tier_of(creator, path)
        raised = await creator.send(tier, {"limit": 8}, method="PATCH")
        assert (raised.status_code, raised.json()["tier"]["limit"]) == (200, 8)
        assert [t["slots_left"] for t in (await creator.page(path))["tiers"]] == [8]
        lowered = await creator.send(tier, {"limit": 7}, method="PATCH")
        check_problem(lowered, 409, "limit-lowered")
        assert lowered.json()["limit"] == 8

    async def test_while_active_the_rest_is_frozen(self, service: Running) -> None:
        creator = service.creator()
        tier = await tier_of(creator, await creator.launches(tier_body(limit=5)))
        before = await service.events()
        refused = await creator.send(tier, {"title": "Two", "limit": 9}, method="PATCH")
        check_problem(refused, 409, "tier-frozen")
        assert (refused.json()["frozen"], await service.events()) == (["title"], before)

    async def test_two_who_raise_what_they_have_read_do_not_overwrite_each_other(self, service: Running) -> None:
        creator = service.creator()
        tier = await tier_of(creator, await creator.launches(tier_body(limit=5)))
        read = (await creator.get(tier)).headers["ETag"]
        first = await creator.send(tier, {"limit": 6}, method="PATCH", if_match=read)
        before = await service.events()
        second = await creator.send(tier, {"limit": 7}, method="PATCH", if_match=read)
        check_problem(second, 412, "changed-meanwhile")
        assert await service.events() == before
        third = await creator.send(tier, {"limit": 7}, method="PATCH", if_match=first.json()["tier_etag"])
        assert third.status_code == 200
        assert third.json()["tier_etag"] == (await service.http.get(tier)).headers["ETag"]

    async def test_that_there_is_not_is_not_found(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        for answer in (
            await creator.get(f"{path}/tiers/{new_id()}"),
            await creator.send(f"{path}/tiers/{new_id()}", {"limit": 5}, method="PATCH"),
        ):
            check_problem(answer, 404, "tier-not-found")

    @pytest.mark.parametrize("body", [{"limit": 0}, {"minimum": price(0)}, {"limit": 5, "pool_of": str(new_id())}, []])
    async def test_a_change_that_makes_no_sense_is_refused(self, service: Running, body: Any) -> None:
        creator = service.creator()
        tier = await tier_of(creator, await creator.drafts(tier_body(limit=5)))
        check_problem(await creator.send(tier, body, method="PATCH"), 422, "invalid-request")
