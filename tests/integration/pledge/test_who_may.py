"""Who may do what with pledges, at every operation of the API page (DOMAIN H2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import pytest

from contracts.campaign import CampaignLaunched, RewardTier
from contracts.ids import PledgeId, new_id
from contracts.payment import PaymentAuthorized, PaymentCaptured
from contracts.settlement import Outcome
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from tests.integration.eventing.shell import AUDIENCE, ISSUER
from tests.integration.house import START
from tests.integration.pledge.backers import euros, launched, placing, tier
from tests.integration.pledge.replicas import Replicas, replicas
from tests.integration.pledge.test_http import body, price
from tests.integration.pledge.test_lists_http import settled
from tests.integration.who_may import OWNER, Asked, Who, bad_tokens, expected, guarded, operations, send, verdicts

PLEDGE: Final = "/pledges/{pledge_id}"
CAMPAIGN: Final = "/campaigns/{campaign_id}"
WAITLIST: Final = f"{CAMPAIGN}/tiers/{{tier_id}}/waitlist"
BACKERS: Final = frozenset({Who.OWNER, Who.OTHER_OWNER})  # what is their own to make or to see, every backer may

MAY: Final = {
    f"POST {CAMPAIGN}/pledges": BACKERS,
    f"GET {PLEDGE}": OWNER,
    f"PATCH {PLEDGE}": OWNER,
    f"POST {PLEDGE}/cancel": OWNER,
    "GET /me/pledges": BACKERS,
    f"POST {WAITLIST}": BACKERS,
    f"DELETE {WAITLIST}": BACKERS,
    "GET /me/waitlist": BACKERS,
    f"GET {CAMPAIGN}/backers": OWNER,
    f"GET {CAMPAIGN}/fulfilment.csv": OWNER,
}
BODIES: Final[dict[str, Any]] = {f"POST {CAMPAIGN}/pledges": body(), f"PATCH {PLEDGE}": price(4000)}
OF_CREATORS: Final = (f"GET {CAMPAIGN}/backers", f"GET {CAMPAIGN}/fulfilment.csv")


@pytest.fixture
async def service(provisioned: Provisioned) -> AsyncIterator[Replicas]:
    async with replicas(provisioned, 1, DatabaseClock(frozen_at=START)) as running:
        yield running


async def document(service: Replicas) -> dict[str, Any]:
    return dict((await service.http.get(f"{service.addresses[0]}/openapi.json")).json())


async def sold_out(service: Replicas, gold: RewardTier) -> tuple[CampaignLaunched, UUID, UUID]:
    """A campaign with one tier, and the pledge and the backer that have its only slot."""
    campaign = launched(gold)
    await service.hear(campaign)
    command = placing(campaign.campaign_id, tier_id=gold.tier_id)
    await service.runtime.commit.execute(command)
    about = {"pledge_id": PledgeId(command.pledge_id), "campaign_id": campaign.campaign_id, "amount": euros(2500)}
    await service.hear(PaymentAuthorized(**about, hold_id="pi_1"))
    return campaign, command.pledge_id, command.backer_id


async def ask(service: Replicas, operation: str) -> Asked:
    """A pledge for each operation, and everybody who may ask about it."""
    gold = tier(limit=1)
    campaign, pledge_id, backer_id = await sold_out(service, gold)
    if operation.endswith("fulfilment.csv"):
        about = {"pledge_id": PledgeId(pledge_id), "campaign_id": campaign.campaign_id, "amount": euros(2500)}
        await service.hear(PaymentCaptured(**about, hold_id="pi_1", provider_fee=euros(30)))
        await service.hear(settled(campaign, Outcome.FUNDED))
    owner, role = (campaign.creator_id, "creator") if operation in OF_CREATORS else (backer_id, "backer")
    if operation.startswith("POST /campaigns"):
        owner = new_id()  # who has a pledge already is refused for that
    tokens = {
        Who.NOBODY: "",
        Who.WRONG_ROLE: service.token(owner, "backer" if role == "creator" else "creator"),
        Who.OPERATOR: service.token(new_id(), "operator"),
        Who.OTHER_OWNER: service.token(new_id(), role),
        Who.OWNER: service.token(owner, role),
    }
    path = operation.partition(" ")[2]
    path = path.format(pledge_id=pledge_id, campaign_id=campaign.campaign_id, tier_id=gold.tier_id)
    return Asked(f"{service.addresses[0]}{path}", tokens, BODIES.get(operation))


async def test_whoever_is_not_listed_is_refused_at_every_operation(service: Replicas) -> None:
    names = operations(await document(service))
    assert set(names) == set(MAY), "every operation is somebody's"
    found = await verdicts(service.http, names, lambda name: ask(service, name))
    assert found == expected(names, MAY)


async def test_a_token_that_does_not_hold_is_refused_everywhere(service: Replicas) -> None:
    tokens = bad_tokens(service.issuer.keys["first"], "first", issuer=ISSUER, audience=AUDIENCE, role="backer")
    asked = {name: await ask(service, name) for name in guarded(await document(service))}
    recorded = "SELECT count(*) FROM event WHERE source = 'pledge'"
    before = await service.runtime.pool.fetchval(recorded)
    answers = {
        (name, wrong): await send(service.http, name, request, token)
        for name, request in asked.items()
        for wrong, token in tokens.items()
    }
    assert answers == dict.fromkeys(answers, (401, "unauthenticated"))
    assert len(answers) == len(MAY) * len(tokens)
    assert await service.runtime.pool.fetchval(recorded) == before
