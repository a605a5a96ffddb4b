"""The creator's numbers over HTTP: who may see them, as JSON, CSV and a page (DOMAIN A1, A5, H2)."""

import csv
import io
import re
from collections.abc import AsyncIterator

import pytest

from analytics.app import HOUSE, Settings
from analytics.report import SECTIONS
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized
from deploy.local.provision import Provisioned
from eventing.tokens import Role
from tests.integration.analytics.world import World
from tests.integration.served import Served, served


@pytest.fixture
async def service(provisioned: Provisioned) -> AsyncIterator[Served]:
    async with served(HOUSE, Settings, provisioned) as opened:
        yield opened


@pytest.fixture
async def world(service: Served) -> World:
    made = World()
    told = made.campaign() + made.tell(made.facts(made.tiers[1], 4000, "DE"), [PledgeAuthorized])
    await service.runtime.commit.take_in(told)
    return made


class TestWhoSees:
    @pytest.mark.parametrize("path", ["analytics", *(f"analytics/{section}.csv" for section in SECTIONS)])
    async def test_its_creator_and_operators_and_nobody_else(self, service: Served, world: World, path: str) -> None:
        async def status(*who: object) -> int:
            headers = service.bearer(*who) if who else {}  # type: ignore[arg-type]  # a person and a role
            return (await service.http.get(f"/campaigns/{world.campaign_id}/{path}", headers=headers)).status_code

        assert await status(world.creator_id, Role.CREATOR) == 200
        assert await status(new_id(), Role.OPERATOR) == 200
        assert await status(new_id(), Role.CREATOR) == 404
        assert await status(new_id(), Role.BACKER) == 403
        assert await status() == 401

    async def test_an_unknown_campaign_section_or_id_is_refused(self, service: Served, world: World) -> None:
        headers = service.bearer(world.creator_id, Role.CREATOR)
        for path, expected in (
            (f"/campaigns/{new_id()}/analytics", 404),
            (f"/campaigns/{world.campaign_id}/analytics/backers.csv", 422),
            ("/campaigns/x/analytics", 422),
        ):
            assert (await service.http.get(path, headers=headers)).status_code == expected


class TestNumbers:
    async def test_json_has_every_section(self, service: Served, world: World) -> None:
        headers = service.bearer(world.creator_id, Role.CREATOR)
        found = (await service.http.get(f"/campaigns/{world.campaign_id}/analytics", headers=headers)).json()
        assert set(SECTIONS) < set(found)
        assert found["totals"]["pledged"] == {"amount": 4000, "currency": "EUR"}
        assert found["campaign"]["title"] == world.title
        for section in SECTIONS:
            assert (await service.http.get(found["links"][section], headers=headers)).status_code == 200

    async def test_csv_has_a_header_line_and_amounts_in_minor_units(self, service: Served, world: World) -> None:
        headers = service.bearer(world.creator_id, Role.CREATOR)
        answer = await service.http.get(f"/campaigns/{world.campaign_id}/analytics/countries.csv", headers=headers)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.DictReader(io.StringIO(answer.text))) == [
            {"country": "DE", "backers": "1", "pledged_minor": "4000", "pledged_currency": "EUR"}
        ]

    async def test_csv_disarms_what_a_spreadsheet_would_run(self, service: Served) -> None:
        world = World()
        world.tiers[0] = world.tiers[0].model_copy(update={"title": '=HYPERLINK("http://x")'})
        await service.runtime.commit.take_in(world.campaign())
        headers = service.bearer(world.creator_id, Role.CREATOR)
        answer = await service.http.get(f"/campaigns/{world.campaign_id}/analytics/tiers.csv", headers=headers)
        titles = [row["title"] for row in csv.DictReader(io.StringIO(answer.text))]
        assert titles[0] == '\'=HYPERLINK("http://x")'


class TestPage:
    async def test_is_public_and_has_no_numbers_and_no_foreign_parts(self, service: Served, world: World) -> None:
        answer = await service.http.get(f"/campaigns/{world.campaign_id}/dashboard")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert str(world.campaign_id) in answer.text
        assert "lighthouses" not in answer.text
        assert not re.search(r"(src|href)=\"(?!data:)", answer.text)

    async def test_lets_only_its_own_script_run(self, service: Served, world: World) -> None:
        policies = []
        for _ in range(2):
            answer = await service.http.get(f"/campaigns/{world.campaign_id}/dashboard")
            policy = answer.headers["content-security-policy"]
            nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", policy)
            assert nonce
            assert f'<script nonce="{nonce[1]}">' in answer.text
            assert "default-src 'none'" in policy
            policies.append(policy)
        assert policies[0] != policies[1]

    async def test_of_a_broken_id_is_refused(self, service: Served) -> None:
        assert (await service.http.get("/campaigns/<script>/dashboard")).status_code == 422
