"""Any input to the pledge service gets an answer that its page describes, and nothing hostile gets in (DOMAIN H4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from contracts.ids import new_id
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from tests.integration.api_page import without_example, without_problems
from tests.integration.eventing.shell import AUDIENCE, ISSUER
from tests.integration.fuzz import EXAMPLES, Target, fuzz, send_hostile
from tests.integration.house import START
from tests.integration.pledge.backers import tier
from tests.integration.pledge.replicas import Replicas, replicas
from tests.integration.pledge.test_who_may import document, sold_out
from tests.integration.who_may import bad_tokens, operations


@dataclass
class Fuzzed:
    target: Target
    service: Replicas
    backer: str


@pytest.fixture
async def fuzzed(provisioned: Provisioned) -> AsyncIterator[Fuzzed]:
    async with replicas(provisioned, 1, DatabaseClock(frozen_at=START)) as service:
        gold = tier(limit=1)
        campaign, pledge_id, backer_id = await sold_out(service, gold)
        backer, creator = service.token(backer_id), service.token(campaign.creator_id, "creator")
        bad = bad_tokens(service.issuer.keys["first"], "first", issuer=ISSUER, audience=AUDIENCE, role="backer")
        target = Target(
            address=service.addresses[0],
            document=await document(service),
            tokens=[backer] * 4 + [creator] * 2 + [service.token(new_id()) for _ in range(3)],
            bad_tokens=list(bad.values()),
            known={
                "campaign_id": [str(campaign.campaign_id), str(new_id())],
                "pledge_id": [str(pledge_id), str(new_id())],
                "tier_id": [str(gold.tier_id), str(new_id())],
            },
        )
        yield Fuzzed(target, service, backer)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
async def test_every_answer_is_one_that_the_page_describes(fuzzed: Fuzzed) -> None:
    assert await fuzz(fuzzed.target) > len(operations(fuzzed.target.document)) * EXAMPLES


async def test_hostile_bodies_stop_at_the_door_of_every_command(fuzzed: Fuzzed) -> None:
    recorded = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM idempotency)"
    before = await fuzzed.service.runtime.pool.fetchval(recorded)
    assert await send_hostile(fuzzed.target, fuzzed.backer) == {}
    assert await fuzzed.service.runtime.pool.fetchval(recorded) == before


async def test_the_api_page_names_each_problem_and_has_an_example_for_each_body_and_answer(fuzzed: Fuzzed) -> None:
    assert fuzzed.target.document["openapi"].startswith("3.1")
    assert without_problems(fuzzed.target.document, "/") == []
    assert without_example(fuzzed.target.document, "/") == []
