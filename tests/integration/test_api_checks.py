"""The checks of an API that all services share can fail: each is shown a service that does what it must not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from deploy.local.plain_http import NO_TLS
from eventing.api_page import ALL_LISTED, refusals
from eventing.http import build_app
from eventing.refusal import Refusal
from eventing.tokens import Role, public, require
from tests.integration.api_page import without_example, without_problems
from tests.integration.eventing.shell import AUDIENCE, ISSUER, Issuer, serving, settings
from tests.integration.fuzz import HOSTILE, Target, UndescribedError, fuzz, send_hostile
from tests.integration.problems import Notebook, ask_wrongly, documented
from tests.integration.who_may import Asked, Who, bad_tokens, expected, guarded, operations, send, verdicts


class Listed(Refusal):
    code = "listed"


class Unlisted(Refusal):
    code = "unlisted"


class Shown(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"number": None}]})

    number: int | None


class Wrong(Shown):
    model_config = ConfigDict(json_schema_extra={"examples": [{"number": "five"}]})


class Bare(BaseModel):
    number: int


def service(*, fault: str = "") -> APIRouter:
    """One route that is as its page says, but for the fault."""
    routes = APIRouter(responses={} if fault == "lists nothing" else {**ALL_LISTED})

    @routes.get(
        "/things",
        dependencies=[public()],
        response_model={"wrong example": Wrong, "no example": Bare}.get(fault, Shown),
        responses=refusals(Listed),
    )
    async def things(limit: Annotated[int, Query(ge=1, le=100)] = 5) -> Any:
        if limit % 2:
            raise (Unlisted if fault == "unlisted problem" else Listed)("No.")
        match fault:
            case "unlisted status":
                return Response(status_code=418)
            case "another schema":
                return Response('{"number": "five"}', media_type="application/json")
            case "another kind":
                return Response("five", media_type="text/plain")
            case "a mistake":
                raise RuntimeError
            case _:
                return {"number": limit}

    return routes


@asynccontextmanager
async def target(routes: APIRouter, jwks_url: str = "http://127.0.0.1:1") -> AsyncIterator[Target]:
    app = build_app(settings(jwks_url=jwks_url), title="Things", version="1", routers=[routes])
    async with serving(app) as address:
        yield Target(address, app.openapi(), tokens=[""], bad_tokens=[])


class TestFuzz:
    async def test_a_service_that_keeps_its_word_passes(self) -> None:
        async with target(service()) as one:
            assert await fuzz(one) > one.examples

    @pytest.mark.provokes_5xx
    @pytest.mark.parametrize(
        "fault", ["unlisted problem", "unlisted status", "another schema", "another kind", "a mistake"]
    )
    async def test_one_that_breaks_it_is_found(self, fault: str) -> None:
        async with target(service(fault=fault)) as one:
            with pytest.raises(UndescribedError):
                await fuzz(one)


class TestHostile:
    async def test_a_command_that_the_door_does_not_watch_is_found(self) -> None:
        routes = APIRouter(dependencies=[public()])

        @routes.post("/things")
        async def take(body: Bare) -> Response:
            return Response('{"type": "/problems/taken"}')

        async with target(routes) as one:
            assert await send_hostile(one, "-") == {}
            unwatched = build_app(
                settings(http_body_bytes_max=10_485_760), title="Things", version="1", routers=[routes]
            )
            async with serving(unwatched) as address:
                wide = Target(address, one.document, tokens=[""], bad_tokens=[])
                assert set(await send_hostile(wide, "-")) == {"POST /things: 1 MB"}
        assert len(HOSTILE) >= 10


class TestPage:
    def test_a_route_that_leaves_its_problems_open_is_found(self) -> None:
        for fault, found in (("", []), ("lists nothing", ["GET /things"])):
            app = build_app(settings(), title="Things", version="1", routers=[service(fault=fault)])
            assert without_problems(app.openapi(), "/things") == found

    @pytest.mark.parametrize(("fault", "found"), [("", 0), ("wrong example", 1), ("no example", 1)])
    def test_an_example_that_is_wrong_or_missing_is_found(self, fault: str, found: int) -> None:
        app = build_app(settings(), title="Things", version="1", routers=[service(fault=fault)])
        assert len(without_example(app.openapi(), "/things")) == found


class TestProblems:
    async def test_one_on_the_page_that_nothing_provoked_and_one_that_is_not_there_are_found(self) -> None:
        listed, invalid = "GET /things: 409 listed", "GET /things: 422 invalid-request"
        for fault, had in (("", listed), ("unlisted problem", "GET /things: 409 unlisted")):
            async with (
                target(service(fault=fault)) as one,
                httpx.AsyncClient(verify=NO_TLS, base_url=one.address) as http,
            ):
                notes = Notebook(one.document, http)
                assert {listed, invalid} <= documented(one.document)
                for limit in (5, 6, 0):
                    await http.get(f"/things?limit={limit}")
            assert notes.had == {had, invalid}

    async def test_what_every_service_refuses_is_provoked_and_what_stands_in_vain_on_the_page_is_left(self) -> None:
        async with target(service()) as one, httpx.AsyncClient(verify=NO_TLS, base_url=one.address) as http:
            notes = Notebook(one.document, http)

            async def ask(_operation: str) -> Asked:
                return Asked("/things", dict.fromkeys(Who, "-"))

            await ask_wrongly(notes, operations(one.document), ask, ("", ""))
            await http.get("/things?limit=5")
            left = {"GET /things: 408 request-timeout", "GET /things: 503 unavailable"}
            assert documented(one.document) - notes.had == left


class TestWhoMay:
    async def test_whoever_gets_in_or_stays_out_against_the_list_is_found(self) -> None:
        routes, issuer = APIRouter(responses={**ALL_LISTED}), Issuer()

        @routes.get("/things", dependencies=[require(Role.CREATOR)])
        async def things() -> dict[str, str]:
            return {}

        async def ask(_operation: str) -> Asked:
            roles = {Who.WRONG_ROLE: "backer", Who.OPERATOR: "operator"}
            tokens = {who: issuer.token(roles=[roles.get(who, "creator")]) for who in Who}
            return Asked("/things", tokens | {Who.NOBODY: ""})

        async with (
            serving(issuer.app) as keys,
            target(routes, f"{keys}/jwks.json") as one,
            httpx.AsyncClient(verify=NO_TLS, base_url=one.address) as http,
        ):
            names = operations(one.document)
            assert (names, list(guarded(one.document))) == (["GET /things"],) * 2
            found = await verdicts(http, names, ask)
            assert found == expected(names, {"GET /things": frozenset({Who.OWNER, Who.OTHER_OWNER})})
            assert found != expected(names, {"GET /things": frozenset({Who.OWNER})})
            assert found != expected(names, {})
            key = issuer.keys["first"]
            bad = bad_tokens(key, "first", issuer=ISSUER, audience=AUDIENCE, role="creator")
            asked = await ask("")
            assert {await send(http, "GET /things", asked, token) for token in bad.values()} == {
                (401, "unauthenticated")
            }
