"""Who may do what with a campaign, at every operation of the API page (DOMAIN H2)."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from campaign.app import HOUSE
from deploy.local.plain_http import NO_TLS
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from tests.integration.campaign.client import Running, Site, draft_body, tier_body, until
from tests.integration.eventing.shell import serving
from tests.integration.who_may import (
    EVERYBODY,
    OWNER,
    Asked,
    Who,
    bad_tokens,
    expected,
    guarded,
    operations,
    send,
    verdicts,
)

CAMPAIGN: Final = "/campaigns/{campaign_id}"
TIER: Final = f"{CAMPAIGN}/tiers/{{tier_id}}"
CREATORS: Final = frozenset({Who.OWNER, Who.OTHER_OWNER})  # of what does not exist yet, everybody becomes the owner

# Of a launched campaign. What only a draft can do stands below.
MAY: Final = {
    "GET /campaigns": EVERYBODY,
    "POST /campaigns": CREATORS,
    f"GET {CAMPAIGN}": EVERYBODY,
    f"GET {CAMPAIGN}/live": EVERYBODY,
    f"GET {TIER}": EVERYBODY,
    f"POST {CAMPAIGN}/tiers": OWNER,
    f"PATCH {TIER}": OWNER,
    f"POST {CAMPAIGN}/cancel": OWNER,
    f"POST {CAMPAIGN}/updates": OWNER,
    f"GET {CAMPAIGN}/updates": EVERYBODY,
    f"GET {CAMPAIGN}/updates/{{number}}": EVERYBODY,
}
MAY_WITH_A_DRAFT: Final = {
    "GET /campaigns": EVERYBODY,
    "POST /campaigns": CREATORS,
    f"GET {CAMPAIGN}": OWNER,
    f"PATCH {CAMPAIGN}": OWNER,
    f"DELETE {CAMPAIGN}": OWNER,
    f"GET {TIER}": OWNER,
    f"POST {CAMPAIGN}/tiers": OWNER,
    f"PATCH {TIER}": OWNER,
    f"DELETE {TIER}": OWNER,
    f"POST {CAMPAIGN}/launch": OWNER,
    f"POST {CAMPAIGN}/cancel": OWNER,
}
UPDATE: Final = {"kind": "general", "title": "News", "text": "All is well."}
BODIES: Final[dict[str, Any]] = {
    f"PATCH {CAMPAIGN}": {"title": "Mine"},
    f"POST {CAMPAIGN}/tiers": tier_body(),
    f"PATCH {TIER}": {"limit": 9},
    f"POST {CAMPAIGN}/updates": UPDATE,
}


@pytest.fixture(scope="module")
async def service(site: Site) -> AsyncIterator[Running]:
    async with (
        HOUSE.build(site.settings) as app,
        serving(app) as address,
        httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=10) as http,
    ):
        yield Running(http, app.state.runtime, site.issuer)


async def document(service: Running) -> dict[str, Any]:
    return dict((await service.http.get("/openapi.json")).json())


async def ask(service: Running, operation: str, *, launched: bool) -> Asked:
    """A campaign for each operation, and everybody who may ask about it."""
    owner = service.creator()
    path = await (owner.launches if launched else owner.drafts)(tier_body(limit=5))
    if launched:
        await owner.send(f"{path}/updates", UPDATE)
    tier_id = (await owner.page(path))["tiers"][0]["id"]
    tokens = {
        Who.NOBODY: "",
        Who.WRONG_ROLE: service.person("backer").token,
        Who.OTHER_OWNER: service.creator().token,
        Who.OWNER: owner.token,
        Who.OPERATOR: service.person("operator").token,
    }
    address = operation.partition(" ")[2].format(campaign_id=path.rpartition("/")[2], tier_id=tier_id, number=1)
    body = draft_body() if operation == "POST /campaigns" else BODIES.get(operation)
    return Asked(address, tokens, body)


@pytest.mark.parametrize("launched", [True, False], ids=["launched", "draft"])
async def test_whoever_is_not_listed_is_refused_at_every_operation(service: Running, launched: bool) -> None:
    may = MAY if launched else MAY_WITH_A_DRAFT
    names = operations(await document(service), "/campaigns")
    assert set(may) <= set(names)
    found = await verdicts(service.http, names, lambda name: ask(service, name, launched=launched))
    wanted = expected(names, may)
    for name in set(MAY | MAY_WITH_A_DRAFT) - set(may):  # the status, not the person, is what is wrong then
        assert found[name].pop(Who.OWNER) in {"409 wrong-campaign-status", "refused"}, name
        wanted[name].pop(Who.OWNER)
    assert found == wanted


async def test_every_operation_is_somebodys(service: Running) -> None:
    assert set(operations(await document(service), "/campaigns")) == set(MAY | MAY_WITH_A_DRAFT)


async def test_a_token_that_does_not_hold_is_refused_wherever_one_is_looked_at(service: Running) -> None:
    key = service.issuer.keys()[-1]
    tokens = bad_tokens(key.private, key.kid, issuer=JWT_ISSUER, audience=JWT_AUDIENCE, role="creator")
    asked = {name: await ask(service, name, launched=True) for name in guarded(await document(service))}
    before = await service.events()
    answers = {
        (name, wrong): await send(service.http, name, request, token)
        for name, request in asked.items()
        for wrong, token in tokens.items()
    }
    assert answers == dict.fromkeys(answers, (401, "unauthenticated"))
    assert (len(answers) >= 12 * len(tokens), await service.events()) == (True, before)


async def test_a_new_key_of_the_issuer_is_taken_without_a_restart_and_an_old_one_goes_on(service: Running) -> None:
    old = service.creator()
    await old.drafts()
    service.issuer.rotate()
    new = service.creator()

    async def status() -> int:
        return (await new.send("/campaigns", draft_body())).status_code

    assert await until(status, lambda found: found == 201)
    assert (await old.send("/campaigns", draft_body())).status_code == 201
