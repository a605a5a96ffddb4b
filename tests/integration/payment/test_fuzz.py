"""Any input to the payment service gets an answer that its page describes, and nothing hostile gets in (DOMAIN H4)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from contracts.ids import new_id
from contracts.payment import PaymentAuthorized
from eventing.tokens import Role
from tests.integration.api_page import without_example, without_problems
from tests.integration.eventing.shell import AUDIENCE, ISSUER
from tests.integration.fuzz import EXAMPLES, Target, fuzz, send_hostile
from tests.integration.payment.platform import Platform
from tests.integration.payment.test_who_may import a_case, document
from tests.integration.served import Served
from tests.integration.who_may import bad_tokens, operations


@dataclass
class Fuzzed:
    target: Target
    platform: Platform
    operator: str


@pytest.fixture
async def fuzzed(service: Served, platform: Platform) -> Fuzzed:
    placed = platform.placed()
    await platform.tell(placed)
    await platform.until_said(placed.pledge_id, PaymentAuthorized)
    tokens = [
        service.issuer.token(sub=str(person_id), roles=[role.value])
        for person_id, role in (
            (new_id(), Role.OPERATOR),
            (new_id(), Role.OPERATOR),
            (new_id(), Role.OPERATOR),
            (platform.creator_id, Role.CREATOR),
            (new_id(), Role.CREATOR),
            (new_id(), Role.BACKER),
        )
    ]
    bad = bad_tokens(service.issuer.keys["first"], "first", issuer=ISSUER, audience=AUDIENCE, role="operator")
    target = Target(
        address=str(service.http.base_url).rstrip("/"),
        document=await document(service),
        tokens=tokens,
        bad_tokens=list(bad.values()),
        known={
            "campaign_id": [str(platform.campaign_id), str(new_id())],
            "kind": ["capture", "teleport"],
            "case_id": [str(await a_case(service)) for _ in range(3)] + [str(new_id())],
        },
    )
    return Fuzzed(target, platform, tokens[0])


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
async def test_every_answer_is_one_that_the_page_describes(fuzzed: Fuzzed) -> None:
    assert await fuzz(fuzzed.target) > len(operations(fuzzed.target.document)) * EXAMPLES


async def test_hostile_bodies_stop_at_the_door_of_every_command_and_the_page_is_complete(fuzzed: Fuzzed) -> None:
    recorded = "SELECT (SELECT count(*) FROM payment_case_comment) + (SELECT count(*) FROM idempotency)"
    before = await fuzzed.platform.pool.fetchval(recorded)
    assert await send_hostile(fuzzed.target, fuzzed.operator) == {}
    assert await fuzzed.platform.pool.fetchval(recorded) == before
    assert fuzzed.target.document["openapi"].startswith("3.1")
    assert without_problems(fuzzed.target.document, "/") == []
    assert without_example(fuzzed.target.document, "/") == []
