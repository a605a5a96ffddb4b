"""Every problem that the campaign service's API page names can be had, and no other (DOMAIN H1)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from campaign.app import HOUSE
from campaign.domain_commands import PostUpdate
from campaign.domain_tiers import TIERS_MAX
from campaign.domain_updates import UPDATES_MAX
from contracts.campaign import UpdateKind
from contracts.ids import CampaignId, PersonId, UpdateId, new_id
from deploy.local.plain_http import NO_TLS
from tests.integration.campaign.client import Person, Running, Site, draft_body, price, tier_body, until
from tests.integration.campaign.test_who_may import UPDATE, ask, document
from tests.integration.eventing.shell import serving
from tests.integration.problems import IMPATIENT_SECONDS, Notebook, ask_in_vain, ask_too_slowly, ask_wrongly, documented
from tests.integration.who_may import Asked, operations, send, verdicts


@dataclass
class Noted:
    service: Running
    notes: Notebook
    impatient: str

    @property
    def names(self) -> list[str]:
        return operations(self.notes.document, "/campaigns")

    async def ask(self, operation: str) -> Asked:
        return await ask(self.service, operation, launched=True)


@pytest.fixture
async def noted(site: Site) -> AsyncIterator[Noted]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(HOUSE.build(site.settings))
        address = await stack.enter_async_context(serving(app))
        hasty = site.settings.model_copy(update={"http_timeout_seconds": IMPATIENT_SECONDS})
        impatient = await stack.enter_async_context(serving(await stack.enter_async_context(HOUSE.build(hasty))))
        http = await stack.enter_async_context(httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=30))
        service = Running(http, app.state.runtime, site.issuer)
        yield Noted(service, Notebook(await document(service), http), impatient)


async def test_every_problem_of_the_page_can_be_had_and_no_other_comes(noted: Noted) -> None:
    service, creator = noted.service, noted.service.creator()
    await creator.send("/campaigns", draft_body(), key="used")
    await ask_wrongly(noted.notes, noted.names, noted.ask, (creator.token, "used"))
    await ask_too_slowly(noted.notes, noted.names, noted.impatient)
    await ask_in_vain(noted.notes, noted.names, noted.ask, noted.impatient, service.runtime.pool)
    for launched in (True, False):
        await verdicts(service.http, noted.names, lambda name: ask(service, name, launched=launched))  # noqa: B023 - used at once
    await of_unknown_things(noted, creator)
    await of_drafts(creator)
    await of_launches(creator)
    await of_tiers(creator)
    await of_updates(service, creator)
    await of_what_is_late(service, creator)
    assert noted.notes.had == documented(noted.notes.document, "/campaigns")


async def of_unknown_things(noted: Noted, creator: Person) -> None:
    active = (await creator.launches(tier_body())).rpartition("/")[2]
    for campaign_id in (active, new_id()):
        for name in noted.names:
            asked = await noted.ask(name)
            path = name.partition(" ")[2].format(campaign_id=campaign_id, tier_id=new_id(), number=999)
            if campaign_id != active or "tier_id" in name or "number" in name:
                await send(noted.service.http, name, Asked(path, {}, asked.body), creator.token)
    await creator.send(f"/campaigns/{active}/tiers", tier_body(pool_of=str(new_id())))
    await creator.send(f"/campaigns/{active}/updates", UPDATE | {"tier_id": str(new_id())})
    await creator.get("/campaigns?cursor=x")


async def of_drafts(creator: Person) -> None:
    path, past = await creator.drafts(), {"deadline": "2020-01-01T00:00:00Z"}
    await creator.send("/campaigns", draft_body(**past))
    await creator.send(path, past, method="PATCH")
    await creator.send(path, {"title": "Mine"}, method="PATCH", if_match='"old"')


async def of_launches(creator: Person) -> None:
    low = await creator.drafts(stretch_goals=[{"title": "Less", "amount": price(9_000)}])
    mixed = await creator.drafts(tier_body())
    await creator.send(mixed, {"goal": price(10_000, "USD")}, method="PATCH")
    for path in (low, mixed):
        await creator.send(f"{path}/launch", {})
    await creator.send(f"{await creator.drafts()}/launch", {"policy": {"payment_strategy": "immediate"}})


async def of_tiers(creator: Person) -> None:
    path = await creator.launches(tier_body(title="Few", limit=5), tier_body(title="Free"))
    few, free = [tier["id"] for tier in (await creator.page(path))["tiers"]]
    change: dict[str, Any]
    for tier, change in ((few, {"limit": 4}), (few, {"title": "Fewer"}), (free, {"limit": 4})):
        await creator.send(f"{path}/tiers/{tier}", change, method="PATCH")
    await creator.send(f"{path}/tiers/{few}", {"limit": 6}, method="PATCH", if_match='"old"')
    await creator.send(f"{path}/tiers", tier_body(pool_of=free))
    await creator.send(f"{path}/tiers", tier_body(minimum=price(100, "USD")))
    draft = await creator.drafts(tier_body())
    await creator.send(f"{draft}/tiers/{new_id()}", method="DELETE")
    (tier,) = (await creator.page(draft))["tiers"]
    await creator.send(f"{draft}/tiers/{tier['id']}", {"minimum": price(100, "USD")}, method="PATCH")
    await asyncio.gather(*(creator.send(f"{path}/tiers", tier_body()) for _ in range(TIERS_MAX - 1)))
    await creator.send(f"{path}/cancel", {})
    await creator.send(f"{path}/tiers", tier_body())
    await creator.send(f"{path}/tiers/{few}", {"limit": 6}, method="PATCH")


async def of_what_is_late(service: Running, creator: Person) -> None:
    draft, active = await creator.drafts(), await creator.launches()
    service.runtime.clock.frozen_at = datetime.now(UTC) + timedelta(days=31)
    await creator.send(f"{draft}/launch", {})
    await until(lambda: creator.page(active), lambda page: bool(page["status"] == "settling"))
    await creator.send(f"{active}/cancel", {})


async def of_updates(service: Running, creator: Person) -> None:
    path = await creator.launches()
    whose = CampaignId(UUID(path.rpartition("/")[2])), PersonId(creator.person_id)
    news = (PostUpdate(*whose, UpdateId(new_id()), UpdateKind.GENERAL, "News", "!") for _ in range(UPDATES_MAX))
    await asyncio.gather(*map(service.runtime.commit.execute, news))
    await creator.send(f"{path}/updates", UPDATE)
