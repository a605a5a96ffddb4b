"""Any input to the campaign service gets an answer that its page describes, and nothing hostile gets in (DOMAIN H4)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from campaign.app import HOUSE
from contracts.ids import new_id
from deploy.local.plain_http import NO_TLS
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from tests.integration.api_page import without_example, without_problems
from tests.integration.campaign.client import Person, Running, Site, tier_body
from tests.integration.eventing.shell import serving
from tests.integration.fuzz import EXAMPLES, Target, fuzz, send_hostile
from tests.integration.who_may import bad_tokens, operations


@dataclass
class Served:
    target: Target
    creator: Person
    people: Running


@pytest.fixture(scope="module")
async def service(site: Site) -> AsyncIterator[Served]:
    async with (
        HOUSE.build(site.settings) as app,
        serving(app) as address,
        httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=10) as http,
    ):
        people = Running(http, app.state.runtime, site.issuer)
        creator = people.creator()
        draft, active = await creator.drafts(tier_body(limit=5)), await creator.launches(tier_body(limit=5))
        await creator.send(f"{active}/updates", {"kind": "general", "title": "News", "text": "All is well."})
        tiers = [(await creator.page(path))["tiers"][0]["id"] for path in (active, draft)]
        key = site.issuer.keys()[-1]
        bad = bad_tokens(key.private, key.kid, issuer=JWT_ISSUER, audience=JWT_AUDIENCE, role="creator")
        target = Target(
            address=address,
            document=(await http.get("/openapi.json")).json(),
            tokens=[creator.token] * 6 + [people.creator().token, people.person("backer").token],
            bad_tokens=list(bad.values()),
            known={
                "campaign_id": [active.rpartition("/")[2], draft.rpartition("/")[2], str(new_id())],
                "tier_id": tiers,
            },
            endless=frozenset({"/campaigns/{campaign_id}/live"}),
        )
        yield Served(target, creator, people)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
async def test_every_answer_is_one_that_the_page_describes(service: Served) -> None:
    assert await fuzz(service.target) > len(operations(service.target.document)) * EXAMPLES


async def test_hostile_bodies_stop_at_the_door_of_every_command(service: Served) -> None:
    before = await service.people.events()
    assert await send_hostile(service.target, service.creator.token) == {}
    assert await service.people.events() == before


class TestApiPage:
    async def test_names_each_problem_of_each_route(self, service: Served) -> None:
        assert service.target.document["openapi"].startswith("3.1")
        assert without_problems(service.target.document, "/campaigns") == []

    async def test_has_an_example_for_each_body_and_each_answer(self, service: Served) -> None:
        assert without_example(service.target.document, "/campaigns") == []
