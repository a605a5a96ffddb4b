"""The contact book over HTTP (DOMAIN N4, P10, H4), and the running service from an event to a mail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from contracts.ids import PersonId, new_id
from contracts.settlement import Outcome
from deploy.local.provision import Provisioned
from eventing.tokens import Role
from notifier.app import HOUSE, Settings
from tests.integration.notifier.conftest import MAIL_FROM
from tests.integration.notifier.post_office import HOST, PostOffice
from tests.integration.notifier.world import World, address
from tests.integration.served import Served, served

PATIENCE_SECONDS = 30
ADA: dict[str, Any] = {"email": "ada@example.org", "name": "Ada Lovelace", "locale": "en-GB"}

UNUSABLE: list[dict[str, str]] = [
    {"email": "ada"},
    {"email": "ada@localhost"},
    {"email": "ada@example.org\r\nBcc: eve@example.org"},
    {"email": "ada@example.org\n"},
    {"email": "<ada@example.org>"},
    {"email": "ada@example.org,eve@example.org"},
    {"email": "ada..l@example.org"},
    {"email": "ädä@example.org"},
    {"email": "a" * 65 + "@example.org"},
    {"email": f"ada@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}.org"},
    {"name": ""},
    {"name": "  "},
    {"name": "Ada\r\nBcc: eve@example.org"},
    {"name": "Ada\u2028Eve"},
    {"name": "x" * 101},
    {"locale": "en_US"},
    {"locale": "../../etc"},
    {"phone": "1"},
]


@pytest.fixture
async def service(provisioned: Provisioned, office: PostOffice) -> AsyncIterator[Served]:
    given: dict[str, Any] = {
        "smtp_host": HOST,
        "smtp_port": office.port,
        "mail_from": MAIL_FROM,
        "public_url": "http://127.0.0.1:1",
    }
    async with served(HOUSE, Settings, provisioned, **given) as opened:
        yield opened


async def put(service: Served, person: PersonId, body: object, key: str = "k1") -> httpx.Response:
    headers = service.bearer(person, Role.BACKER) | {"Idempotency-Key": key}
    return await service.http.put("/me/contact", json=body, headers=headers)


async def get(service: Served, person: PersonId) -> httpx.Response:
    return await service.http.get("/me/contact", headers=service.bearer(person, Role.CREATOR))


class TestContactBook:
    async def test_everybody_keeps_their_own_entry_and_sees_no_other(self, service: Served) -> None:
        ada, bob = PersonId(new_id()), PersonId(new_id())
        assert (await get(service, ada)).status_code == 404
        stored = await put(service, ada, ADA)
        assert (stored.status_code, stored.json()) == (200, {"status": "stored", "links": {"self": "/me/contact"}})
        assert (await get(service, ada)).json() == ADA
        assert (await get(service, bob)).status_code == 404

    async def test_the_first_answer_comes_again_and_an_older_command_overwrites_nothing(self, service: Served) -> None:
        ada = PersonId(new_id())
        newer = ADA | {"email": "ada@new.example"}
        first = await put(service, ada, ADA)
        await put(service, ada, newer, key="k2")
        again = await put(service, ada, ADA)
        assert (again.status_code, again.json()) == (200, first.json())
        assert (await get(service, ada)).json() == newer
        assert (await put(service, ada, newer)).status_code == 422

    async def test_what_cannot_be_used_is_refused_without_being_repeated(self, service: Served) -> None:
        ada = PersonId(new_id())
        for wrong in UNUSABLE:
            refused = await put(service, ada, ADA | wrong)
            assert refused.status_code == 422, wrong
            assert "eve@" not in refused.text
        assert (await get(service, ada)).status_code == 404

    async def test_nobody_comes_in_without_a_token_and_no_command_without_its_key(self, service: Served) -> None:
        headers = {"Idempotency-Key": "k1"}
        assert (await service.http.put("/me/contact", json=ADA, headers=headers)).status_code == 401
        assert (await service.http.get("/me/contact")).status_code == 401
        keyless = await service.http.put("/me/contact", json=ADA, headers=service.bearer(new_id(), Role.BACKER))
        assert keyless.status_code == 400


class TestRunning:
    async def test_facts_become_mail_by_themselves(self, service: Served, office: PostOffice) -> None:
        world = World(backers=2)
        early, late = world.people
        assert (await put(service, early, ADA | {"email": address(early)})).status_code == 200
        take_in = service.runtime.commit.take_in
        await take_in([*world.launched(), *world.all_authorized(), *world.milestone()])
        await until_mailed(office, early, {"pledge_confirmed", "milestone"})
        assert (await put(service, late, ADA | {"email": address(late)})).status_code == 200
        await until_mailed(office, late, {"pledge_confirmed", "milestone"})
        captured = [one for person in world.people for one in world.captured(person)]
        await take_in([*world.settled(Outcome.FUNDED, 2), *captured])
        for person in world.people:
            await until_mailed(office, person, {"pledge_confirmed", "milestone", "campaign_funded"})
        assert set(office.copies().values()) == {1}


async def until_mailed(office: PostOffice, person: PersonId, kinds: set[str]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            mailed = {mail.headers["x-groundswell-notice"] for mail in office.mail(to=address(person))}
            if mailed == kinds:
                return
            await asyncio.sleep(0.02)  # between two looks at a condition with a deadline
