"""A lean route answers every request as FastAPI's own route with the same endpoint does (ADR 0023)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from eventing.http import IdempotencyKey, build_app
from eventing.lean import LeanRoute, UnfitForLeanRouteError
from eventing.refusal import Refusal
from eventing.tokens import Principal, Role, TokenVerifier, require
from tests.integration.eventing.shell import AUDIENCE, ISSUER, Issuer, client, serving, settings
from tests.integration.eventing.test_http import CAMPAIGN, Body

GOOD = b'{"tier": "0190f2c4-0000-7000-8000-000000000001", "goal": {"amount": 5, "currency": "EUR"}, "note": "\xc3\xbc"}'


class NotToday(Refusal):
    code = "not-today"
    title = "Not today"


async def endpoint(
    campaign_id: UUID, body: Body, backer: Annotated[Principal, require(Role.BACKER)], key: IdempotencyKey
) -> Response:
    if body.note == "refuse":
        raise NotToday("Come back tomorrow.")
    text = f"{campaign_id} {backer.person_id} {sorted(backer.roles)} {key} {body.model_dump_json()}"
    return Response(text, 201, {"Location": "/somewhere"}, "text/plain")


@dataclass(frozen=True)
class Both:
    http: httpx.AsyncClient
    issuer: Issuer

    async def answers(self, method: str = "POST", about: str = CAMPAIGN, **request: object) -> list[httpx.Response]:
        addresses = (f"/{kind}/campaigns/{about}/pledges" for kind in ("plain", "lean"))
        return [
            await self.http.request(method, address, **request)  # type: ignore[arg-type]  # whatever httpx takes
            for address in addresses
        ]


@pytest.fixture(scope="module")
async def both() -> AsyncIterator[Both]:
    issuer, router = Issuer(), APIRouter()
    for prefix, route_class in (("plain", APIRoute), ("lean", LeanRoute)):
        path = f"/{prefix}/campaigns/{{campaign_id}}/pledges"
        router.add_api_route(path, endpoint, methods=["POST"], response_model=None, route_class_override=route_class)
    async with serving(issuer.app) as address:
        verifier = TokenVerifier(jwks_url=f"{address}/jwks.json", issuer=ISSUER, audience=AUDIENCE)
        app = build_app(settings(), title="Pledges", version="1", routers=[router], verifier=verifier)
        async with client(app) as http:
            yield Both(http, issuer)


def shown(response: httpx.Response) -> tuple[int, str, dict[str, str]]:
    apart = {"x-request-id", "date"}
    return response.status_code, response.text, {k: v for k, v in response.headers.items() if k not in apart}


def headers(token: str, **changed: str | None) -> dict[str, str]:
    given = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": "key-1",
        "Content-Type": "application/json",
    } | changed
    return {name: value for name, value in given.items() if value is not None}


async def test_a_good_request_reaches_the_endpoint_with_the_same_arguments(both: Both) -> None:
    plain, lean = await both.answers(content=GOOD, headers=headers(both.issuer.token()))
    assert lean.status_code == 201
    assert shown(lean) == shown(plain)
    assert "ü" in lean.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"{", 400),
        (GOOD.replace(b"0190", b"019"), 422),
        (GOOD.replace(b"5", b"5.5"), 422),
        (GOOD.replace(b'"note"', b'"unknown"'), 422),
        (GOOD.replace(b"\xc3\xbc", b"refuse"), 409),
        (GOOD.replace(b"\xc3\xbc", b"\\u0000"), 400),
    ],
)
async def test_a_body_that_does_not_fit_is_told_so_in_the_same_words(both: Both, body: bytes, status: int) -> None:
    plain, lean = await both.answers(content=body, headers=headers(both.issuer.token()))
    assert lean.status_code == status
    assert shown(lean) == shown(plain)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer forged.token.here"}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        ({"Idempotency-Key": None}, 400),
        ({"Idempotency-Key": "a b"}, 400),
        ({"Idempotency-Key": "x" * 256}, 400),
        ({"Content-Type": None}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/cloudevents+json; charset=utf-8"}, 201),
    ],
)
async def test_headers_count_the_same(both: Both, changed: dict[str, str | None], status: int) -> None:
    plain, lean = await both.answers(content=GOOD, headers=headers(both.issuer.token(), **changed))
    assert lean.status_code == status
    assert shown(lean) == shown(plain)


async def test_who_may_not_is_told_so_before_what_is_wrong(both: Both) -> None:
    for content in (GOOD, b"{}"):
        plain, lean = await both.answers(content=content, headers=headers(both.issuer.token(roles=["creator"])))
        assert lean.status_code == 403
        assert shown(lean) == shown(plain)


async def test_addresses_and_methods_count_the_same(both: Both) -> None:
    token = both.issuer.token()
    for about, method, status in (("not-an-id", "POST", 422), (CAMPAIGN, "DELETE", 405), (CAMPAIGN, "GET", 405)):
        plain, lean = await both.answers(method, about, content=GOOD, headers=headers(token))
        assert lean.status_code == status
        assert shown(lean) == shown(plain)


async def test_both_are_documented_alike(both: Both) -> None:
    paths = (await both.http.get("/openapi.json")).json()["paths"]
    plain, lean = (paths[f"/{kind}/campaigns/{{campaign_id}}/pledges"]["post"] for kind in ("plain", "lean"))
    del plain["operationId"], lean["operationId"]
    assert lean == plain


async def with_query(limit: Annotated[int, Query()]) -> Response:
    return Response(str(limit))


async def with_request(request: Request) -> Response:
    return Response(request.url.path)


async def with_optional_header(key: Annotated[str, "unused"] = "") -> Response:
    return Response(key)


@pytest.mark.parametrize("unfit", [with_query, with_request, with_optional_header])
def test_an_endpoint_that_takes_more_than_is_read_is_refused_at_once(unfit: object) -> None:
    with pytest.raises(UnfitForLeanRouteError, match="/somewhere"):
        LeanRoute("/somewhere", unfit, response_model=None)
