"""Lists and search over HTTP (DOMAIN C8): each order, and what is shown while campaigns come and move."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgePlaced
from tests.integration.campaign.client import Person, Running, Site, check_problem
from tests.integration.campaign.pledges import life


@pytest.fixture(scope="module")
async def service(site: Site) -> Any:
    async with site.running() as running:
        yield running


def nothing() -> Awaitable[None]:
    return asyncio.sleep(0)


async def turned(service: Running, address: str, between: Callable[[], Awaitable[Any]] = nothing) -> AsyncIterator[str]:
    """The paths of all campaigns in a list, turning page after page; `between` happens after each."""
    while address:
        answer = await service.http.get(address)
        assert answer.status_code == 200, answer.text
        for item in answer.json()["items"]:
            yield item["links"]["self"]
        await between()
        address = answer.json()["next"]


async def listed(service: Running, address: str, between: Callable[[], Awaitable[Any]] = nothing) -> list[str]:
    return [path async for path in turned(service, address, between)]


async def pledge(service: Running, path: str, minor: int) -> None:
    campaign_id = UUID(path.rpartition("/")[2])
    await service.runtime.commit.take_in(life(campaign_id, minor, PledgePlaced, PledgeAuthorized))


def ahead(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def campaigns(creator: Person, count: int) -> list[str]:
    return [await creator.launches(title=str(n), deadline=ahead(count - n)) for n in range(count)]


class TestOrder:
    async def test_newest_first_goes_on_from_a_cursor(self, service: Running) -> None:
        creator = service.creator()
        paths = await campaigns(creator, 5)
        address = f"/campaigns?creator={creator.person_id}&status=active&limit=2"
        assert await listed(service, address) == paths[::-1]

    async def test_newest_counts_from_the_launch_and_not_from_the_draft(self, service: Running) -> None:
        creator = service.creator()
        old_draft = await creator.drafts()
        other = await creator.launches()
        await creator.send(f"{old_draft}/launch")
        assert await listed(service, f"/campaigns?creator={creator.person_id}&limit=1") == [old_draft, other]

    async def test_ending_soon_lists_active_ones_by_deadline(self, service: Running) -> None:
        creator = service.creator()
        paths = await campaigns(creator, 5)
        await creator.send(f"{paths.pop()}/cancel")
        address = f"/campaigns?creator={creator.person_id}&sort=ending_soon&limit=2"
        assert await listed(service, address) == paths[::-1]

    async def test_most_funded_compares_shares_of_the_goal(self, service: Running) -> None:
        creator = service.creator()
        goals = (100_000, 1_000, 1_000)
        dear, cheap, same = [await creator.launches(goal={"amount": goal, "currency": "EUR"}) for goal in goals]
        await pledge(service, dear, 5_000)
        await pledge(service, cheap, 990)
        await pledge(service, same, 995)
        address = f"/campaigns?creator={creator.person_id}&sort=most_funded"
        expected = [same, cheap, dear]  # 99 % twice: the younger first
        assert await listed(service, address) == expected
        assert await listed(service, f"{address}&status=active&limit=1") == expected
        assert await listed(service, f"{address}&status=failed") == []

    async def test_what_a_list_says_is_what_the_page_says(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        await pledge(service, path, 2_550)
        [item] = (await service.http.get(f"/campaigns?creator={creator.person_id}")).json()["items"]
        page = await creator.page(path)
        names = ("id", "creator_id", "title", "status", "goal", "pledged", "backers", "percent", "deadline")
        assert {name: item[name] for name in names} == {name: page[name] for name in names}
        assert (item["percent"], item["backers"]) == (25, 1)


class TestWhileOthersWrite:
    @pytest.mark.parametrize("sort", ["newest", "ending_soon", "most_funded"])
    async def test_whatever_stays_is_shown_exactly_once(self, service: Running, sort: str) -> None:
        """Between any two pages campaigns are launched, pledged to and cancelled on both sides of the cursor."""
        creator = service.creator()
        staying = await campaigns(creator, 9)
        for number, path in enumerate(staying):
            await pledge(service, path, 1_000 * number + 500)
        moving = await campaigns(creator, 6)

        async def between() -> None:
            young = await creator.launches(deadline=ahead(1))
            await pledge(service, young, 9_990)
            await creator.launches(deadline=ahead(1_000))
            for path in moving[:3]:
                await pledge(service, path, 2_000)
            await creator.send(f"{moving.pop()}/cancel") if moving else None

        seen = await listed(service, f"/campaigns?creator={creator.person_id}&sort={sort}&limit=2", between)
        assert {path: seen.count(path) for path in staying} == dict.fromkeys(staying, 1)
        assert [path for path in seen if path in staying] == staying[::-1]  # made so, in each order

    async def test_pages_that_are_read_again_are_the_same_however_many_came_before_them(self, service: Running) -> None:
        creator = service.creator()
        await campaigns(creator, 4)
        first = (await service.http.get(f"/campaigns?creator={creator.person_id}&limit=2")).json()
        second = (await service.http.get(first["next"])).json()
        await campaigns(creator, 3)
        assert (await service.http.get(first["next"])).json() == second


class TestSearch:
    async def test_finds_words_of_title_and_story_in_any_case_and_order(self, service: Running) -> None:
        creator, mark = service.creator(), f"zq{new_id().hex}"
        lamp = await creator.launches(title="A Lamp for Walkers", story=f"It glows through the night. {mark}")
        await creator.launches(title="A boat", story=f"It floats. {mark}")
        for words, expected in (
            (f"{mark} lamp", [lamp]),
            (f"{mark} NIGHT walkers", [lamp]),
            (f'{mark} "through the night"', [lamp]),
            (f'{mark} "night the through"', []),
            (f"{mark} lamp -night", []),
            (f"{mark} lam", []),
            ("-", []),
        ):
            answer = await service.http.get("/campaigns", params={"q": words})
            assert [item["links"]["self"] for item in answer.json()["items"]] == expected, words

    async def test_goes_on_from_a_cursor_with_its_words(self, service: Running) -> None:
        creator, mark = service.creator(), f"zq{new_id().hex}"
        paths = [await creator.launches(title=f"{mark} & ü?") for _ in range(3)]
        assert await listed(service, f"/campaigns?q={mark}%20%26%20%C3%BC%3F&limit=1") == paths[::-1]

    async def test_does_not_find_a_draft_of_somebody_else(self, service: Running) -> None:
        creator, mark = service.creator(), f"zq{new_id().hex}"
        draft = await creator.drafts(title=mark)
        assert await listed(service, f"/campaigns?q={mark}") == []
        mine = (await creator.get(f"/campaigns?q={mark}")).json()["items"]
        assert [item["links"]["self"] for item in mine] == [draft]

    async def test_finds_what_a_changed_draft_says_now(self, service: Running) -> None:
        creator, old, new = service.creator(), f"zq{new_id().hex}", f"zq{new_id().hex}"
        path = await creator.drafts(title=old)
        await creator.send(path, {"title": new}, method="PATCH")
        await creator.send(f"{path}/launch")
        assert (await listed(service, f"/campaigns?q={old}"), await listed(service, f"/campaigns?q={new}")) == (
            [],
            [path],
        )


class TestDrafts:
    async def test_are_shown_to_their_creator_only_and_first(self, service: Running) -> None:
        creator = service.creator()
        draft, active = await creator.drafts(), await creator.launches()
        address = f"/campaigns?creator={creator.person_id}"
        mine = [item["links"]["self"] for item in (await creator.get(address)).json()["items"]]
        assert (mine, await listed(service, address)) == ([draft, active], [active])
        check_problem(await service.person("creator", seconds=-60).get(address), 401, "unauthenticated")


def cursor(**changed: Any) -> str:
    made = {"sort": "newest", "key": "2027-01-01T00:00:00Z", "campaign_id": str(new_id())} | changed
    return base64.urlsafe_b64encode(json.dumps(made).encode()).decode()


class TestNonsense:
    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "status=odd", "creator=me", "sort=odd"])
    async def test_is_refused(self, service: Running, query: str) -> None:
        check_problem(await service.http.get(f"/campaigns?{query}"), 422, "invalid-request")

    @pytest.mark.parametrize(
        "text",
        [
            "1",
            "é",
            "e30",
            cursor(sort="most_funded"),
            cursor(key=5),
            cursor(key="2027-13-45T00:00:00Z"),
            cursor(key="2027-01-01T00:00:00"),
            cursor(campaign_id="x"),
            cursor(more=1),
        ],
    )
    async def test_a_cursor_of_no_such_list_is_refused(self, service: Running, text: str) -> None:
        answer = await service.http.get("/campaigns", params={"cursor": text})
        check_problem(answer, 422, "cursor-unknown")

    @pytest.mark.parametrize("key", [0, 2**62 - 1, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
    async def test_a_cursor_at_the_ends_of_the_range_is_an_empty_or_a_full_list(
        self, service: Running, key: Any
    ) -> None:
        sort = "most_funded" if isinstance(key, int) else "newest"
        answer = await service.http.get("/campaigns", params={"cursor": cursor(sort=sort, key=key), "sort": sort})
        assert answer.status_code == 200
