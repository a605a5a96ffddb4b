"""Every problem that the pledge service's API page names can be had, and no other (DOMAIN H1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.campaign import CampaignCancelled, CampaignLaunched, FundingModel
from contracts.ids import ChangeId, PledgeId, new_id
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentChangeDeclined, PaymentDeclined
from contracts.settlement import Outcome
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from pledge.app import HOUSE
from pledge.domain_change import CHANGES_MAX
from pledge.domain_waitlist import WAITING_MAX
from tests.integration.eventing.shell import serving
from tests.integration.house import START
from tests.integration.pledge.backers import CUTOFF, DEADLINE, euros, launched, tier
from tests.integration.pledge.replicas import Replicas, replicas
from tests.integration.pledge.test_http import body, price
from tests.integration.pledge.test_lists_http import settled
from tests.integration.pledge.test_who_may import ask, document
from tests.integration.problems import IMPATIENT_SECONDS, Notebook, ask_in_vain, ask_too_slowly, ask_wrongly, documented
from tests.integration.who_may import Asked, operations, send, verdicts


@dataclass
class Noted:
    service: Replicas
    notes: Notebook
    impatient: str

    @property
    def names(self) -> list[str]:
        return operations(self.notes.document)

    async def ask(self, operation: str) -> Asked:
        return await ask(self.service, operation)

    def at(self, time: Any) -> None:
        self.service.clock.frozen_at = time

    async def send(self, method: str, path: str, person_id: UUID, wish: Any = None) -> Any:
        return (await self.service.send(0, method, path, person_id, wish)).json()

    async def asks_as_creator(self, path: str, creator_id: UUID) -> None:
        asked = Asked(f"{self.service.addresses[0]}{path}", {})
        await send(self.service.http, f"GET {path}", asked, self.service.token(creator_id, "creator"))

    async def placed(self, campaign: CampaignLaunched, **changed: Any) -> tuple[UUID, str]:
        """A new backer and the path of the pledge."""
        backer = new_id()
        answer = await self.send("POST", f"/campaigns/{campaign.campaign_id}/pledges", backer, body(**changed))
        return backer, answer["links"]["self"]

    async def held(self, campaign: CampaignLaunched, **changed: Any) -> tuple[UUID, str]:
        backer, path = await self.placed(campaign, **changed)
        await self.service.hear(PaymentAuthorized(**about(campaign, path), hold_id="pi_1"))
        return backer, path


def about(campaign: CampaignLaunched, path: str) -> dict[str, Any]:
    pledge_id = PledgeId(UUID(path.rpartition("/")[2]))
    return {"pledge_id": pledge_id, "campaign_id": campaign.campaign_id, "amount": euros(2500)}


def given_up(campaign: CampaignLaunched) -> CampaignCancelled:
    return CampaignCancelled(campaign_id=campaign.campaign_id, cancelled_at=START)


@pytest.fixture
async def noted(provisioned: Provisioned) -> AsyncIterator[Noted]:
    clock = DatabaseClock(frozen_at=START)
    async with replicas(provisioned, 1, clock) as service, AsyncExitStack() as stack:
        hasty = service.settings.model_copy(update={"http_timeout_seconds": IMPATIENT_SECONDS})
        impatient = await stack.enter_async_context(serving(await stack.enter_async_context(HOUSE.build(hasty, clock))))
        yield Noted(service, Notebook(await document(service), service.http), impatient)


async def test_every_problem_of_the_page_can_be_had_and_no_other_comes(noted: Noted) -> None:
    await ask_wrongly(noted.notes, noted.names, noted.ask, await used(noted))
    await ask_too_slowly(noted.notes, noted.names, noted.impatient)
    await ask_in_vain(noted.notes, noted.names, noted.ask, noted.impatient, noted.service.runtime.pool)
    await verdicts(noted.service.http, noted.names, noted.ask)
    await of_placing(noted)
    await of_cancelling(noted)
    await of_changing(noted)
    await of_waiting(noted)
    await of_lists(noted)
    assert noted.notes.had == documented(noted.notes.document)


async def used(noted: Noted) -> tuple[str, str]:
    """A backer who has pledged under a key."""
    name = "POST /campaigns/{campaign_id}/pledges"
    asked, token = await noted.ask(name), noted.service.token(new_id())
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "used"}
    (await noted.service.http.post(asked.path, json=asked.body, headers=headers)).raise_for_status()
    return token, "used"


async def of_placing(noted: Noted) -> None:
    gold = tier(limit=1)
    campaign, cancelled = launched(gold), launched()
    await noted.service.hear(campaign, cancelled, given_up(cancelled))
    path = f"/campaigns/{campaign.campaign_id}/pledges"
    backer, _ = await noted.placed(campaign, tier_id=str(gold.tier_id))
    await noted.send("POST", path, backer, body())
    for wish in (
        body(tier_id=str(gold.tier_id)),
        body(tier_id=str(new_id())),
        body(tier_id=str(gold.tier_id), **price(1)),
        body(**price(2500, "USD")),
    ):
        await noted.send("POST", path, new_id(), wish)
    for unknown in (cancelled.campaign_id, new_id()):
        await noted.send("POST", f"/campaigns/{unknown}/pledges", new_id(), body())
    noted.at(DEADLINE)
    await noted.send("POST", path, new_id(), body())
    noted.at(START)


async def of_cancelling(noted: Noted) -> None:
    campaign, kept = launched(), launched(model=FundingModel.KEEP_IT_ALL)
    await noted.service.hear(campaign, kept)
    late, gone, paid = await noted.held(campaign), await noted.placed(campaign), await noted.placed(kept)
    await noted.service.hear(
        PaymentDeclined(**about(campaign, gone[1]), reason="insufficient_funds"),
        PaymentCaptured(**about(kept, paid[1]), hold_id="pi_1", provider_fee=euros(30)),
    )
    await noted.send("POST", f"{gone[1]}/cancel", gone[0])
    await noted.send("PATCH", gone[1], gone[0], price(4000))
    await noted.send("PATCH", paid[1], paid[0], price(4000))
    noted.at(CUTOFF)
    await noted.send("POST", f"{late[1]}/cancel", late[0])
    await noted.send("PATCH", late[1], late[0], price(1000))
    noted.at(DEADLINE + timedelta(days=400))
    await noted.send("POST", f"{paid[1]}/cancel", paid[0])
    noted.at(START)
    for path in (f"/pledges/{new_id()}", late[1]):
        await noted.send("GET", path, new_id())
        await noted.send("PATCH", path, new_id(), price(4000))
        await noted.send("POST", f"{path}/cancel", new_id())


async def of_changing(noted: Noted) -> None:
    gold = tier(limit=1)
    campaign = launched(gold)
    await noted.service.hear(campaign)
    undecided, (backer, path) = await noted.placed(campaign, tier_id=str(gold.tier_id)), await noted.held(campaign)
    await noted.send("PATCH", undecided[1], undecided[0], price(4000))
    for wish in (
        price(4000, "USD"),
        {"tier_id": str(new_id())},
        {"tier_id": str(gold.tier_id)},
        {"tier_id": str(gold.tier_id), **price(1)},
    ):
        await noted.send("PATCH", path, backer, wish)
    old = {"If-Match": '"0"', "Authorization": f"Bearer {noted.service.token(backer)}", "Idempotency-Key": "k"}
    await noted.service.http.patch(f"{noted.service.addresses[0]}{path}", json=price(4000), headers=old)
    for number in range(CHANGES_MAX + 1):
        await noted.send("PATCH", path, backer, price(4000))
        await noted.send("PATCH", path, backer, price(5000))
        if number < CHANGES_MAX:
            change_id = ChangeId(UUID((await noted.send("GET", path, backer))["change"]["id"]))
            await noted.service.hear(PaymentChangeDeclined(**about(campaign, path), change_id=change_id, reason="x"))
    noted.at(DEADLINE)
    await noted.send("PATCH", path, backer, price(6000))
    noted.at(START)
    answer: dict[str, Any] = {}
    while answer.get("type") != "/problems/campaign-not-open":  # else the pledge was cancelled with its campaign first
        campaign = launched()
        await noted.service.hear(campaign)
        backer, path = await noted.held(campaign)
        await noted.service.hear(given_up(campaign))
        answer = await noted.send("PATCH", path, backer, price(6000))


async def of_waiting(noted: Noted) -> None:
    gold, free, full = tier(limit=1), tier(), tier(limit=1)
    campaign = launched(gold, free, full)
    await noted.service.hear(campaign)

    async def wait(tier_id: UUID, backer: UUID, campaign_id: UUID = campaign.campaign_id) -> None:
        await noted.send("POST", f"/campaigns/{campaign_id}/tiers/{tier_id}/waitlist", backer)

    await wait(gold.tier_id, new_id())
    for one in (gold, full):
        backer, _ = await noted.held(campaign, tier_id=str(one.tier_id))
    await wait(full.tier_id, backer)
    await noted.service.runtime.pool.execute(
        "UPDATE pool SET waiting = $1 WHERE pool_id = $2", WAITING_MAX, full.pool_id
    )
    for tier_id in (full.tier_id, new_id()):
        await wait(tier_id, new_id())
    await wait(gold.tier_id, new_id(), new_id())
    noted.at(DEADLINE)
    await wait(gold.tier_id, new_id())
    noted.at(START)
    await noted.service.hear(given_up(campaign))
    await wait(gold.tier_id, new_id())


async def of_lists(noted: Noted) -> None:
    campaign, failed = launched(), launched()
    await noted.service.hear(campaign, failed, settled(failed, Outcome.FAILED))
    await noted.send("GET", "/me/pledges?cursor=x", new_id())
    of, creator = f"/campaigns/{campaign.campaign_id}", campaign.creator_id
    await noted.asks_as_creator(f"{of}/backers?cursor=x", creator)
    await noted.asks_as_creator(f"{of}/fulfilment.csv", creator)
    await noted.asks_as_creator(f"/campaigns/{failed.campaign_id}/fulfilment.csv", failed.creator_id)
    for name in ("backers", "fulfilment.csv"):
        await noted.asks_as_creator(f"{of}/{name}", new_id())
