"""The pledge service's HTTP API through its real door: what is good, what is bad, what is whose (DOMAIN H1 to H4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.ids import new_id
from tests.integration.pledge.backers import CUTOFF, DEADLINE, launched, tier
from tests.integration.pledge.door import Door

MISSING = "0190f2c4-0000-7000-8000-000000000000"


def body(**changed: Any) -> dict[str, Any]:
    given = {
        "amount": {"amount": 2500, "currency": "EUR"},
        "payment_method": "pm_card_visa",
        "country": "DE",
    }
    return given | changed


def price(amount: Any, currency: Any = "EUR") -> dict[str, Any]:
    return {"amount": {"amount": amount, "currency": currency}}


# What is sent, and how it is refused.
BAD_BODIES: list[tuple[Any, int, str]] = [
    (b"{", 400, "broken-json"),
    (b'{"amount": "\xff"}', 400, "broken-json"),
    (b"[]", 422, "invalid-request"),
    (body(**price(0)), 422, "invalid-request"),
    (body(**price(-1)), 422, "invalid-request"),
    (body(**price(10**12 + 1)), 400, "number-too-large"),
    (body(**price(10**18)), 400, "number-too-large"),
    (body(**price(1.5)), 422, "invalid-request"),
    (body(**price(2500.0)), 422, "invalid-request"),
    (body(**price("2500")), 422, "invalid-request"),
    (body(**price(True)), 422, "invalid-request"),
    (body(**price(2500, "USD")), 422, "wrong-currency"),
    (body(**price(2500, "EURO")), 422, "invalid-request"),
    (body(**price(2500, "XXX")), 422, "invalid-request"),
    (body(amount=2500), 422, "invalid-request"),
    (body(tier_id=MISSING), 422, "unknown-tier"),
    (body(tier_id="gold"), 422, "invalid-request"),
    (body(payment_method="pm card"), 422, "invalid-request"),
    (body(payment_method="p" * 256), 422, "invalid-request"),
    (body(payment_method="a\x00b"), 400, "nul"),
    (body(payment_method=7), 422, "invalid-request"),
    (body(country="Germany"), 422, "invalid-request"),
    (body(status="captured"), 422, "invalid-request"),
    ({}, 422, "invalid-request"),
]


class TestPlacing:
    async def test_is_answered_with_the_pledge_and_where_it_is(self, door: Door) -> None:
        limited, backer = tier(limit=1), new_id()
        campaign = launched(limited)
        await door.hear(campaign)
        wanted = body(tier_id=str(limited.tier_id))
        path = f"/campaigns/{campaign.campaign_id}/pledges"
        answer = await door.post(path, wanted, person_id=backer)
        placed = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == placed["links"]["self"] == f"/pledges/{placed['id']}"
        assert placed == {
            "id": placed["id"],
            "status": "pending",
            "amount": {"amount": 2500, "currency": "EUR"},
            "tier_id": str(limited.tier_id),
            "campaign_id": str(campaign.campaign_id),
            "placed_at": "2027-03-01T12:00:00Z",
            "links": {"self": f"/pledges/{placed['id']}", "campaign": f"/campaigns/{campaign.campaign_id}"},
        }
        shown = (await door.get(placed["links"]["self"], backer)).json()
        assert {name: shown[name] for name in placed} == {**placed, "links": shown["links"]}
        assert shown["links"].items() >= placed["links"].items()
        assert shown["decide_by"] == "2027-03-01T12:15:00Z"
        sold_out = await door.post(path, wanted)
        assert (sold_out.status_code, sold_out.json()["type"]) == (409, "/problems/sold-out")

    async def test_the_same_key_answers_the_same_and_another_body_is_refused(self, door: Door) -> None:
        campaign, backer = launched(), new_id()
        await door.hear(campaign)
        path = f"/campaigns/{campaign.campaign_id}/pledges"
        first, again, other = [
            await door.post(path, wanted, person_id=backer, key="k") for wanted in (body(), body(), body(country="FR"))
        ]
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
        second = await door.post(path, body(), person_id=backer)
        assert (second.status_code, second.json()["type"]) == (409, "/problems/already-pledged")
        assert second.json()["links"] == {"pledge": first.json()["links"]["self"]}

    async def test_bad_bodies_are_refused_with_a_reason_and_leave_nothing(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        for sent, status, code in BAD_BODIES:
            answer = await door.post(f"/campaigns/{campaign.campaign_id}/pledges", sent)
            problem = answer.json()
            assert (sent, answer.status_code, problem["type"]) == (sent, status, f"/problems/{code}")
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(problem["detail"]) > 10
        assert await door.recorded() == 0

    async def test_bad_headers_are_refused(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        cases: list[tuple[dict[str, Any], int, str]] = [
            ({"Authorization": None}, 401, "unauthenticated"),
            ({"Authorization": "Bearer nonsense"}, 401, "unauthenticated"),
            ({"Idempotency-Key": None}, 400, "idempotency-key"),
            ({"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ]
        for changed, status, code in cases:
            answer = await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body(), headers=changed)
            assert (changed, answer.status_code, answer.json()["type"]) == (changed, status, f"/problems/{code}")
        assert await door.recorded() == 0

    async def test_an_expired_token_and_a_creators_let_nobody_in(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        path = f"/campaigns/{campaign.campaign_id}/pledges"
        expired = door.token(new_id(), lifetime_seconds=-60)
        creators = door.token(new_id(), ["creator"])
        answers = [
            await door.post(path, body(), headers={"Authorization": f"Bearer {token}"}) for token in (expired, creators)
        ]
        assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [
            (401, "/problems/unauthenticated"),
            (403, "/problems/forbidden"),
        ]

    async def test_an_unknown_campaign_and_one_that_is_over(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        unknown = await door.post(f"/campaigns/{MISSING}/pledges", body())
        assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/campaign-not-open")
        malformed = await door.post("/campaigns/gold/pledges", body())
        assert (malformed.status_code, malformed.json()["type"]) == (422, "/problems/invalid-request")
        door.set_time(DEADLINE)
        over = await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body())
        assert (over.status_code, over.json()["type"]) == (409, "/problems/deadline-passed")
        assert over.json()["deadline"] == "2027-03-31T12:00:00Z"


class TestCancelling:
    async def test_is_accepted_until_a_millisecond_before_the_cutoff_and_then_refused_with_it(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        path = f"/campaigns/{campaign.campaign_id}/pledges"
        early, late = new_id(), new_id()
        one = (await door.post(path, body(), person_id=early)).json()["links"]["self"]
        two = (await door.post(path, body(), person_id=late)).json()["links"]["self"]
        door.set_time(CUTOFF - timedelta(milliseconds=1))
        for _ in range(2):  # the second is told the same
            answer = await door.post(f"{one}/cancel", person_id=early)
            assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        door.set_time(CUTOFF)
        refused = await door.post(f"{two}/cancel", person_id=late)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/cutoff-passed")
        assert refused.json()["cutoff"] == "2027-03-29T12:00:00Z"
        assert (await door.get(two, late)).json()["status"] == "pending"

    async def test_of_somebody_elses_or_of_none_is_not_found(self, door: Door) -> None:
        campaign = launched()
        await door.hear(campaign)
        placed = await door.post(f"/campaigns/{campaign.campaign_id}/pledges", body())
        for path in (placed.json()["links"]["self"], f"/pledges/{MISSING}"):
            for answer in (await door.post(f"{path}/cancel"), await door.get(path, new_id())):
                assert (answer.status_code, answer.json()["type"]) == (404, "/problems/pledge-unknown")


class TestMine:
    async def test_are_listed_newest_first_page_by_page_and_only_mine(self, door: Door) -> None:
        backer = new_id()
        placed = []
        for _ in range(5):
            campaign = launched()
            await door.hear(campaign)
            path = f"/campaigns/{campaign.campaign_id}/pledges"
            placed.append((await door.post(path, body(), person_id=backer)).json()["id"])
            await door.post(path, body())
        pages = [page async for page in _pages(door, "/me/pledges?limit=2", backer)]
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [pledge["id"] for page in pages for pledge in page] == placed[::-1]

    async def test_a_broken_query_is_refused(self, door: Door) -> None:
        for query in ("limit=0", "limit=101", "limit=x", "cursor=" + "x" * 65):
            answer = await door.get(f"/me/pledges?{query}", new_id())
            assert (query, answer.status_code, answer.json()["type"]) == (query, 422, "/problems/invalid-request")


async def _pages(door: Door, path: str | None, backer: UUID) -> AsyncIterator[list[Any]]:
    while path:
        page = (await door.get(path, backer)).json()
        yield page["items"]
        path = page["links"]["next"]


async def test_the_running_service_closes_its_books_by_itself(door: Door) -> None:
    campaign = launched()
    await door.hear(campaign)
    door.set_time(DEADLINE)
    async with asyncio.timeout(10):  # a second on a machine that has nothing else to do
        while not await door.runtime.pool.fetchval(  # noqa: ASYNC110 - the database wakes nobody
            "SELECT 1 FROM event WHERE type = 'pledge.PledgeBookClosed.v1'"
        ):
            await asyncio.sleep(0.02)


async def test_the_api_page_describes_every_route_with_its_problems(door: Door) -> None:
    paths = (await door.http.get("/openapi/pledge.json")).json()["paths"]
    place = paths["/campaigns/{campaign_id}/pledges"]["post"]
    assert {"201", "401", "404", "409", "422"} <= place["responses"].keys()
    assert place["security"]
    assert {"/pledges/{pledge_id}", "/pledges/{pledge_id}/cancel", "/me/pledges"} <= paths.keys()
