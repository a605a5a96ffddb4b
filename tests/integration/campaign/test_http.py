"""The campaign service behind its real HTTP door, with real tokens (DOMAIN C1 to C10, H1 to H4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.ids import new_id
from tests.integration.campaign.client import Running, Site, check_problem, draft_body, price, tier_body, until

GOAL = {"amount": 10_000, "currency": "EUR"}
NOBODY = "01890000-0000-7000-8000-000000000000"  # an id that nothing has
UNKNOWN = f"/campaigns/{NOBODY}"


@pytest.fixture(scope="module")
async def service(site: Site) -> Any:
    async with site.running() as running:
        yield running


class TestLife:
    async def test_from_draft_to_launch(self, service: Running) -> None:
        creator = service.creator()
        answer = await creator.send(
            "/campaigns", draft_body(stretch_goals=[{"title": "Shade", "amount": price(20_000)}])
        )
        assert answer.status_code == 201
        path = answer.headers["Location"]
        drafted = answer.json()
        assert {name: drafted[name] for name in ("id", "status", "goal", "model")} == {
            "id": path.split("/")[-1],
            "status": "draft",
            "goal": GOAL,
            "model": "all_or_nothing",
        }
        assert drafted["links"] == {"self": path, "tiers": f"{path}/tiers", "launch": f"{path}/launch"}
        red = await creator.send(f"{path}/tiers", tier_body(title="Red", limit=50))
        assert (red.status_code, red.headers["Location"]) == (201, f"{path}/tiers/{red.json()['tier_id']}")
        blue = await creator.send(f"{path}/tiers", tier_body(title="Blue", pool_of=red.json()["tier_id"]))
        assert blue.status_code == 201
        launched = await creator.send(f"{path}/launch", {"policy": {"cancellation_cutoff_seconds": 60}})
        assert (launched.status_code, launched.json()["status"]) == (200, "active")
        page = (await service.http.get(path)).json()
        assert [(t["title"], t["limit"], t["slots_left"]) for t in page["tiers"]] == [("Red", 50, 50), ("Blue", 50, 50)]
        assert (page["goal"], page["pledged"], page["at_risk"]) == (GOAL, price(0), price(0))
        assert (page["status"], page["backers"], page["percent"]) == ("active", 0, 0)
        assert [(m["threshold"]["amount"], m["percent"]) for m in page["milestones"]] == [
            (2_500, 25),
            (5_000, 50),
            (7_500, 75),
            (10_000, 100),
            (20_000, None),
        ]
        assert 29 * 86_400 < page["time_left_seconds"] <= 30 * 86_400
        assert page["policy"]["cancellation_cutoff_seconds"] == 60
        assert page["links"] == {"self": path} | {
            name: f"{path}/{name}" for name in ("tiers", "pledges", "updates", "live", "cancel")
        }

    async def test_a_launch_needs_no_body(self, service: Running) -> None:
        creator = service.creator()
        answer = await creator.send(f"{await creator.drafts()}/launch")
        assert (answer.status_code, answer.json()["status"]) == (200, "active")

    async def test_a_draft_is_changed_and_thrown_away(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts(tier_body())
        deadline = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        changes = {"title": "Two lamps", "goal": price(500), "model": "keep_it_all", "deadline": deadline}
        assert (await creator.send(path, changes, method="PATCH")).status_code == 200
        page = await creator.page(path)
        assert {name: page[name] for name in ("title", "goal", "model", "story")} == {
            "title": "Two lamps",
            "goal": price(500),
            "model": "keep_it_all",
            "story": "It glows.",
        }
        tier_path = f"{path}/tiers/{page['tiers'][0]['id']}"
        assert (await creator.send(tier_path, method="DELETE")).status_code == 200
        assert (await creator.page(path))["tiers"] == []
        gone = await creator.send(path, method="DELETE")
        assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")

    async def test_a_draft_is_its_creators_alone(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.drafts()
        assert (await creator.page(path))["status"] == "draft"
        check_problem(await service.http.get(path), 404, "campaign-not-found")
        check_problem(await service.creator().get(path), 404, "campaign-not-found")

    async def test_cancelling_is_seen_at_once(self, service: Running) -> None:
        creator = service.creator()
        path = await creator.launches()
        answer = await creator.send(f"{path}/cancel", {"reason": "no parts"})
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        page = await creator.page(path)
        assert (page["status"], page["time_left_seconds"]) == ("cancelled", 0)


class TestTokens:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/campaigns"),
            ("PATCH", UNKNOWN),
            ("DELETE", UNKNOWN),
            ("POST", f"{UNKNOWN}/tiers"),
            ("PATCH", f"{UNKNOWN}/tiers/{NOBODY}"),
            ("DELETE", f"{UNKNOWN}/tiers/{NOBODY}"),
            ("POST", f"{UNKNOWN}/launch"),
            ("POST", f"{UNKNOWN}/cancel"),
        ],
    )
    async def test_a_command_needs_a_creators_token_that_holds(self, service: Running, method: str, path: str) -> None:
        before = await service.events()
        bare = await service.http.request(method, path, json={}, headers={"Idempotency-Key": "k"})
        check_problem(bare, 401, "unauthenticated")
        expired = await service.person("creator", seconds=-60).send(path, {}, method=method)
        check_problem(expired, 401, "unauthenticated")
        backer = await service.person("backer").send(path, {}, method=method)
        check_problem(backer, 403, "forbidden")
        assert await service.events() == before

    async def test_a_reader_with_a_bad_token_is_told(self, service: Running) -> None:
        path = await service.creator().launches()
        check_problem(await service.person("backer", seconds=-60).get(path), 401, "unauthenticated")


class TestSomebodyElse:
    async def test_finds_no_draft_to_launch_change_cancel_or_throw_away(self, service: Running) -> None:
        path = await service.creator().drafts()
        stranger, before = service.creator(), await service.events()
        for answer in (
            await stranger.send(f"{path}/launch", {}),
            await stranger.send(f"{path}/cancel", {}),
            await stranger.send(f"{path}/tiers", tier_body()),
            await stranger.send(path, {"title": "Mine"}, method="PATCH"),
            await stranger.send(path, method="DELETE"),
        ):
            check_problem(answer, 404, "campaign-not-found")
        assert await service.events() == before

    async def test_may_not_touch_an_active_campaign(self, service: Running) -> None:
        path = await service.creator().launches()
        stranger, before = service.creator(), await service.events()
        check_problem(await stranger.send(f"{path}/cancel", {}), 403, "not-your-campaign")
        check_problem(await stranger.send(f"{path}/tiers", tier_body()), 403, "not-your-campaign")
        assert await service.events() == before

    async def test_unknown_campaigns_are_not_found(self, service: Running) -> None:
        creator, path = service.creator(), f"/campaigns/{new_id()}"
        check_problem(await creator.send(f"{path}/launch", {}), 404, "campaign-not-found")
        check_problem(await service.http.get(path), 404, "campaign-not-found")
        check_problem(await service.http.get("/campaigns/one"), 422, "invalid-request")


BAD_DRAFTS: list[tuple[dict[str, Any], int, str]] = [
    ({"goal": price(0)}, 422, "invalid-request"),
    ({"goal": price(-1)}, 422, "invalid-request"),
    ({"goal": price(1.5)}, 422, "invalid-request"),
    ({"goal": price(1.0)}, 422, "invalid-request"),
    ({"goal": price(10**12 + 1)}, 400, "number-too-large"),
    ({"goal": price(10**18)}, 400, "number-too-large"),
    ({"goal": price("100")}, 422, "invalid-request"),
    ({"goal": price(None)}, 422, "invalid-request"),
    ({"goal": price(100, "EURO")}, 422, "invalid-request"),
    ({"goal": price(100, "XXX")}, 422, "invalid-request"),
    ({"goal": 100}, 422, "invalid-request"),
    ({"goal": {**GOAL, "more": 1}}, 422, "invalid-request"),
    ({"title": ""}, 422, "invalid-request"),
    ({"title": " "}, 422, "invalid-request"),
    ({"title": 5}, 422, "invalid-request"),
    ({"title": "x" * 201}, 422, "invalid-request"),
    ({"title": "a\x00b"}, 400, "nul"),
    ({"story": None}, 422, "invalid-request"),
    ({"model": "lottery"}, 422, "invalid-request"),
    ({"deadline": "2020-01-01T00:00:00Z"}, 422, "deadline-out-of-bounds"),
    ({"deadline": "2999-01-01T00:00:00Z"}, 422, "deadline-out-of-bounds"),
    ({"deadline": "2027-01-01T00:00:00"}, 422, "invalid-request"),
    ({"deadline": "0001-01-01T00:00:00+23:59"}, 422, "invalid-request"),
    ({"deadline": 1_900_000_000}, 422, "invalid-request"),
    ({"deadline": "soon"}, 422, "invalid-request"),
    ({"stretch_goals": [{"title": "A", "amount": price(1)}] * 21}, 422, "invalid-request"),
    ({"stretch_goals": "none"}, 422, "invalid-request"),
    ({"creator_id": str(new_id())}, 422, "invalid-request"),
]


class TestBadInput:
    @pytest.mark.parametrize(("changed", "status", "code"), BAD_DRAFTS)
    async def test_a_bad_draft_is_refused_and_nothing_recorded(
        self, service: Running, changed: dict[str, Any], status: int, code: str
    ) -> None:
        before = await service.events()
        check_problem(await service.creator().send("/campaigns", draft_body(**changed)), status, code)
        assert await service.events() == before

    @pytest.mark.parametrize("body", ["{", "[1", '{"title": "\ud800"}', "", "null", "[]", '"text"', "{'a': 1}"])
    async def test_a_body_that_is_no_json_object_is_refused(self, service: Running, body: str) -> None:
        creator, before = service.creator(), await service.events()
        headers = {
            "Authorization": f"Bearer {creator.token}",
            "Idempotency-Key": "k",
            "Content-Type": "application/json",
        }
        content = body.encode("utf-8", "surrogatepass")
        answer = await service.http.post("/campaigns", content=content, headers=headers)
        assert (answer.status_code in {400, 422}, "detail" in answer.json()) == (True, True), answer.text
        assert await service.events() == before

    @pytest.mark.parametrize(
        ("changed", "status", "code"),
        [
            ({"minimum": price(100, "USD")}, 422, "wrong-currency"),
            ({"minimum": price(0)}, 422, "invalid-request"),
            ({"limit": 0}, 422, "invalid-request"),
            ({"limit": True}, 422, "invalid-request"),
            ({"limit": "5"}, 422, "invalid-request"),
            ({"limit": 1_000_001}, 422, "invalid-request"),
            ({"estimated_delivery": "2027-13"}, 422, "invalid-request"),
            ({"pool_of": str(new_id())}, 404, "tier-not-found"),
            ({"pool_of": str(new_id()), "limit": 5}, 422, "invalid-request"),
            ({"pool_of": "red"}, 422, "invalid-request"),
        ],
    )
    async def test_a_bad_tier_is_refused_and_nothing_recorded(
        self, service: Running, changed: dict[str, Any], status: int, code: str
    ) -> None:
        creator = service.creator()
        path = await creator.drafts()
        before = await service.events()
        check_problem(await creator.send(f"{path}/tiers", tier_body(**changed)), status, code)
        assert await service.events() == before

    @pytest.mark.parametrize(
        ("policy", "code"),
        [
            ({"platform_fee_bps": 0}, "invalid-request"),
            ({"cancellation_cutoff_seconds": -1}, "invalid-request"),
            ({"payment_strategy": "cash"}, "invalid-request"),
            ({"payment_strategy": "immediate"}, "payment-strategy-not-offered"),
        ],
    )
    async def test_a_bad_policy_is_refused_and_nothing_recorded(
        self, service: Running, policy: dict[str, Any], code: str
    ) -> None:
        creator = service.creator()
        path = await creator.drafts()
        before = await service.events()
        check_problem(await creator.send(f"{path}/launch", {"policy": policy}), 422, code)
        assert await service.events() == before

    async def test_a_launch_too_near_its_deadline_is_refused(self, service: Running) -> None:
        creator = service.creator()
        deadline = datetime.now(UTC) + timedelta(seconds=1.5)
        path = await creator.drafts(deadline=deadline.isoformat())

        async def left() -> timedelta:
            return deadline - datetime.now(UTC)

        await until(left, lambda left: left < timedelta(seconds=0.95))
        before = await service.events()
        check_problem(await creator.send(f"{path}/launch", {}), 422, "deadline-out-of-bounds")
        assert await service.events() == before


class TestIdempotencyKey:
    async def test_the_same_key_and_body_give_the_first_answer_again(self, service: Running) -> None:
        creator, body = service.creator(), draft_body()
        first = await creator.send("/campaigns", body, key="mine")
        before = await service.events()
        again = await creator.send("/campaigns", body, key="mine")
        assert (again.status_code, again.json(), again.headers["Location"]) == (
            201,
            first.json(),
            first.headers["Location"],
        )
        assert await service.events() == before

    async def test_with_another_body_it_is_refused(self, service: Running) -> None:
        creator = service.creator()
        await creator.send("/campaigns", draft_body(), key="mine")
        before = await service.events()
        other = await creator.send("/campaigns", draft_body(title="Another"), key="mine")
        check_problem(other, 422, "idempotency-key-reused")
        assert await service.events() == before

    async def test_a_command_needs_one(self, service: Running) -> None:
        creator = service.creator()
        headers = {"Authorization": f"Bearer {creator.token}"}
        answer = await service.http.post("/campaigns", json=draft_body(), headers=headers)
        check_problem(answer, 400, "idempotency-key")


async def test_the_api_page_describes_every_route(service: Running) -> None:
    document = (await service.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} >= {
        ("/campaigns", "post"),
        ("/campaigns", "get"),
        ("/campaigns/{campaign_id}", "get"),
        ("/campaigns/{campaign_id}", "patch"),
        ("/campaigns/{campaign_id}", "delete"),
        ("/campaigns/{campaign_id}/launch", "post"),
        ("/campaigns/{campaign_id}/cancel", "post"),
        ("/campaigns/{campaign_id}/tiers", "post"),
        ("/campaigns/{campaign_id}/tiers/{tier_id}", "patch"),
        ("/campaigns/{campaign_id}/tiers/{tier_id}", "delete"),
    }
