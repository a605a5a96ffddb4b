"""What creators post, and who may read it (DOMAIN C9)."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from campaign.handlers import DEFINITION
from contracts.campaign import UpdatePosted
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgeCancelled, PledgePlaced
from eventing.rebuild import rebuild
from tests.integration.campaign.client import Person, Running, Site, check_problem, tier_body
from tests.integration.campaign.pledges import life


@pytest.fixture(scope="module")
async def service(site: Site) -> Any:
    async with site.running() as running:
        yield running


def news(**changed: Any) -> dict[str, Any]:
    return {"kind": "production", "title": "The moulds are here", "text": "We cast on Monday."} | changed


async def with_tiers(creator: Person) -> tuple[str, list[str]]:
    """An active campaign with two tiers: its path and their ids."""
    path = await creator.launches(tier_body(title="Red", limit=5), tier_body(title="Free"))
    return path, [tier["id"] for tier in (await creator.page(path))["tiers"]]


async def backer_of(service: Running, path: str, tier_id: str | None, *facts: Any) -> Person:
    """Somebody to whose pledge for this tier these things have happened."""
    backer = service.person("backer")
    campaign_id = UUID(path.rpartition("/")[2])
    tier = None if tier_id is None else UUID(tier_id)
    told = life(campaign_id, 2_500, PledgePlaced, *facts, tier_id=tier, backer_id=backer.person_id)
    await service.runtime.commit.take_in(told)
    return backer


class TestPosting:
    async def test_says_it_once_and_everybody_can_read_it(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        answer = await creator.send(f"{path}/updates", news(), key="k")
        assert (answer.status_code, answer.headers["Location"]) == (201, f"{path}/updates/1")
        again = await creator.send(f"{path}/updates", news(), key="k")
        assert again.json() == answer.json()
        shown = (await service.http.get(answer.headers["Location"])).json()
        assert {name: shown[name] for name in ("kind", "title", "text", "number", "tier_id")} == {
            **news(),
            "number": 1,
            "tier_id": None,
        }
        assert ((await creator.page(path))["updates"], shown["id"]) == (1, answer.json()["id"])

    async def test_is_announced_as_an_event(self, service: Running) -> None:
        creator = service.creator()
        path, (tier, _) = await with_tiers(creator)
        posted = (await creator.send(f"{path}/updates", news(tier_id=tier))).json()
        row = await service.runtime.pool.fetchrow("SELECT * FROM event WHERE stream_id = $1", UUID(posted["id"]))
        assert row is not None
        event = UpdatePosted.model_validate_json(row["data"])
        assert (row["type"], row["version"], str(event.tier_id)) == (UpdatePosted.type, 1, tier)
        assert (event.number, event.title, event.text) == (1, news()["title"], news()["text"])

    async def test_many_at_once_are_numbered_without_a_gap(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        answers = await asyncio.gather(*(creator.send(f"{path}/updates", news(title=str(n))) for n in range(20)))
        assert sorted(answer.json()["number"] for answer in answers) == list(range(1, 21))

    async def test_goes_on_after_the_end_and_not_before_the_launch(self, service: Running) -> None:
        creator = service.creator()
        draft, path = await creator.drafts(), await creator.launches()
        check_problem(await creator.send(f"{draft}/updates", news()), 409, "wrong-campaign-status")
        await creator.send(f"{path}/cancel")
        assert (await creator.send(f"{path}/updates", news())).status_code == 201

    @pytest.mark.parametrize(
        "changed",
        [{"kind": "gossip"}, {"title": " "}, {"text": ""}, {"text": "x" * 10_001}, {"tier_id": "red"}, {"more": 1}],
    )
    async def test_of_what_makes_no_sense_is_refused_and_nothing_recorded(
        self, service: Running, changed: dict[str, Any]
    ) -> None:
        creator = service.creator()
        path = await creator.launches()
        before = await service.events()
        check_problem(await creator.send(f"{path}/updates", news(**changed)), 422, "invalid-request")
        check_problem(await creator.send(f"{path}/updates", news(tier_id=str(new_id()))), 404, "tier-not-found")
        assert await service.events() == before

    async def test_is_its_creators_alone(self, service: Running) -> None:
        path = await service.creator().launches()
        check_problem(await service.creator().send(f"{path}/updates", news()), 403, "not-your-campaign")
        check_problem(await service.person("backer").send(f"{path}/updates", news()), 403, "forbidden")


class TestReading:
    async def test_goes_newest_first_from_a_cursor_while_more_is_posted(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        for number in range(5):
            await creator.send(f"{path}/updates", news(title=str(number)))
        seen, address = [], f"{path}/updates?limit=2"
        while address:
            answer = (await service.http.get(address)).json()
            seen += [item["title"] for item in answer["items"]]
            await creator.send(f"{path}/updates", news(title="late"))
            address = answer["next"]
        assert seen == ["4", "3", "2", "1", "0"]

    async def test_the_text_for_a_tier_is_for_its_backers_and_its_creator(self, service: Running) -> None:
        creator = service.creator()
        path, (red, free) = await with_tiers(creator)
        for tier in (red, free):
            assert (await creator.send(f"{path}/updates", news(tier_id=tier))).status_code == 201
        readers = {
            "creator": (creator, [True, True]),
            "of red": (await backer_of(service, path, red, PledgeAuthorized), [False, True]),
            "of the unlimited one": (await backer_of(service, path, free, PledgeAuthorized), [True, False]),
            "of neither": (await backer_of(service, path, None, PledgeAuthorized), [False, False]),
            "who left": (await backer_of(service, path, red, PledgeAuthorized, PledgeCancelled), [False, False]),
            "of another campaign": (
                await backer_of(service, (await with_tiers(service.creator()))[0], red, PledgeAuthorized),
                [False, False],
            ),
            "creator of another": (service.creator(), [False, False]),
        }
        for who, (reader, expected) in readers.items():
            items = (await reader.get(f"{path}/updates")).json()["items"]
            assert [item["text"] is not None for item in items] == expected, who
            one = (await reader.get(f"{path}/updates/1")).json()
            assert (one["text"] is not None) == expected[1], who
        public = (await service.http.get(f"{path}/updates")).json()["items"]
        assert [(item["title"], item["tier_id"], item["text"]) for item in public] == [
            (news()["title"], free, None),
            (news()["title"], red, None),
        ]

    async def test_of_what_there_is_not_is_not_found(self, service: Running) -> None:
        creator = service.creator()
        draft, path = await creator.drafts(), await creator.launches()
        for unknown in (draft, f"/campaigns/{new_id()}"):
            check_problem(await creator.get(f"{unknown}/updates"), 404, "campaign-not-found")
        check_problem(await creator.get(f"{path}/updates/1"), 404, "update-not-found")
        check_problem(await creator.get(f"{path}/updates?cursor=0"), 422, "invalid-request")


async def test_what_is_rebuilt_is_what_was_folded_live(service: Running) -> None:
    creator, mark = service.creator(), f"zq{new_id().hex}"
    path = await creator.launches(title=mark)
    for number in range(3):
        await creator.send(f"{path}/updates", news(title=str(number)))
    query = "SELECT * FROM campaign_update ORDER BY campaign_id, number"
    live = await service.runtime.pool.fetch(query)
    for projection in DEFINITION.projections:
        await rebuild(service.runtime.pool, DEFINITION, projection)
    assert await service.runtime.pool.fetch(query) == live
    [found] = (await service.http.get(f"/campaigns?q={mark}")).json()["items"]
    assert found["links"]["self"] == path
