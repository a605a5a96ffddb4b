"""Who may do what with payments, at every operation of the API page (DOMAIN H2)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from contracts.campaign import CampaignLaunched, PaymentStrategy
from contracts.ids import CampaignId, PersonId, PledgeId, new_id
from contracts.payment import PaymentCaptured
from eventing.tokens import Role
from payment.cases import CaseKind, case_id_of
from payment.domain_refunds import RefundReason
from payment.handlers_cases import OpenCase
from payment.handlers_refunds import OrderRefund
from tests.integration.eventing.shell import AUDIENCE, ISSUER
from tests.integration.payment.platform import Platform, euros
from tests.integration.served import Served
from tests.integration.who_may import (
    Asked,
    Who,
    bad_tokens,
    expected,
    guarded,
    operations,
    send,
    verdicts,
)

CASE: Final = "/operations/cases/{case_id}"
REFUNDS: Final = "/pledges/{pledge_id}/refunds"
OPERATORS: Final = frozenset({Who.OPERATOR})
NOBODY_YET: Final[frozenset[Who]] = frozenset()  # The pledge's backer, while their bank waits.
OWN: Final = frozenset({Who.OWNER, Who.OPERATOR})

MAY: Final = {
    "GET /campaigns/{campaign_id}/ledger": OWN,
    "GET /campaigns/{campaign_id}/ledger/postings": OWN,
    "GET /campaigns/{campaign_id}/disputes": OWN,
    "GET /campaigns/{campaign_id}/statement": OWN,
    "GET /campaigns/{campaign_id}/statement.csv": OWN,
    "GET /pledges/{pledge_id}/next-action": NOBODY_YET,
    f"POST {REFUNDS}": OWN,
    f"GET {REFUNDS}": OWN,
    f"GET {REFUNDS}/{{refund_id}}": OWN,
    "GET /operations": OPERATORS,
    "GET /operations/switches": OPERATORS,
    "PUT /operations/switches/{kind}": OPERATORS,
    "GET /operations/cases": OPERATORS,
    f"GET {CASE}": OPERATORS,
    f"POST {CASE}/comments": OPERATORS,
    f"POST {CASE}/resolve": OPERATORS,
}
PROVIDERS: Final = (
    "POST /webhooks/stripe"  # Guarded by its signature alone: tests/integration/payment/test_webhooks.py.
)
BODIES: Final[dict[str, Any]] = {
    f"POST {REFUNDS}": {"amount": {"amount": 100, "currency": "EUR"}, "reason": "requested_by_backer"},
    "PUT /operations/switches/{kind}": {"stopped": False},
    f"POST {CASE}/comments": {"text": "I look"},
    f"POST {CASE}/resolve": {"text": "It is mended"},
}


async def document(service: Served) -> dict[str, Any]:
    return dict((await service.http.get("/openapi.json")).json())


async def a_case(service: Served) -> UUID:
    about = str(new_id())
    await service.runtime.commit.execute(OpenCase(CaseKind.DRIFT, about, "It differs"))
    return case_id_of(CaseKind.DRIFT, about)


async def a_campaign(platform: Platform) -> CampaignLaunched:
    """Another campaign, of another creator."""
    changed = {"campaign_id": CampaignId(new_id()), "creator_id": PersonId(new_id())}
    launched = platform.launched().model_copy(update=changed)
    await platform.tell(launched)
    return launched


async def a_refund(platform: Platform, launched: CampaignLaunched) -> tuple[PledgeId, UUID]:
    """Of a part of a pledge that was charged."""
    placed = platform.placed(strategy=PaymentStrategy.IMMEDIATE, campaign_id=launched.campaign_id)
    await platform.tell(placed)
    await platform.until_said(placed.pledge_id, PaymentCaptured)
    order = OrderRefund(placed.pledge_id, new_id(), launched.creator_id, euros(100), RefundReason.REQUESTED_BY_BACKER)
    await platform.commit.execute(order)
    return placed.pledge_id, order.refund_id


async def ask(service: Served, platform: Platform, operation: str) -> Asked:
    """A campaign and a case for each operation, and everybody who may ask about them."""
    launched = await a_campaign(platform)

    def token(person_id: UUID, role: Role) -> str:
        return service.bearer(person_id, role)["Authorization"].removeprefix("Bearer ")

    tokens = {
        Who.NOBODY: "",
        Who.WRONG_ROLE: token(new_id(), Role.BACKER),
        Who.OPERATOR: token(new_id(), Role.OPERATOR),
        Who.OTHER_OWNER: token(new_id(), Role.CREATOR),
        Who.OWNER: token(launched.creator_id, Role.CREATOR),
    }
    pledge_id, refund_id = await a_refund(platform, launched) if REFUNDS in operation else (new_id(), new_id())
    path = operation.partition(" ")[2].format(
        campaign_id=launched.campaign_id,
        case_id=await a_case(service),
        kind="capture",
        pledge_id=pledge_id,
        refund_id=refund_id,
    )
    return Asked(path, tokens, BODIES.get(operation))


async def test_whoever_is_not_listed_is_refused_at_every_operation(service: Served, platform: Platform) -> None:
    names = operations(await document(service))
    assert set(names) == {*MAY, PROVIDERS}
    asked = [name for name in names if name != PROVIDERS]
    found = await verdicts(service.http, asked, lambda name: ask(service, platform, name))
    assert found == expected(asked, MAY)


async def test_a_token_that_does_not_hold_is_refused_wherever_one_is_looked_at(
    service: Served, platform: Platform
) -> None:
    bad = bad_tokens(service.issuer.keys["first"], "first", issuer=ISSUER, audience=AUDIENCE, role="operator")
    asked = {name: await ask(service, platform, name) for name in guarded(await document(service))}
    before = await platform.pool.fetchval("SELECT count(*) FROM payment_case_comment")
    answers = {
        (name, wrong): await send(service.http, name, request, token)
        for name, request in asked.items()
        for wrong, token in bad.items()
    }
    assert set(asked) == set(MAY)
    assert answers == dict.fromkeys(answers, (401, "unauthenticated"))
    assert await platform.pool.fetchval("SELECT count(*) FROM payment_case_comment") == before
