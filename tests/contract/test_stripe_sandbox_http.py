"""What the sandbox does with broken input, idempotency keys, faults and too many requests."""

import asyncio
import json

import httpx
import pytest
import stripe

from deploy.local.plain_http import NO_TLS
from tests.contract.stripe_openapi import OffSpecError, validate_request, validate_response
from tests.contract.stripe_sandbox_server import Sandbox

HOLD = (
    "amount=5000&currency=eur&capture_method=manual&confirm=true&payment_method=pm_card_visa"
    "&payment_method_types[0]=card&metadata[campaign_id]=c-1&metadata[pledge_id]=p-1"
)
INTENTS = "/v1/payment_intents"
DAY_SECONDS = 86_400


def error_of(answer: httpx.Response) -> dict[str, str]:
    validate_response("POST", INTENTS, answer.status_code, answer.json())
    return dict(answer.json()["error"])


async def holds(sandbox: Sandbox) -> int:
    answer = await sandbox.raw.get("/sandbox/books")
    return int(answer.json()["totals"].get("eur", {"held": {"count": 0}})["held"]["count"])


class TestBrokenInput:
    @pytest.mark.parametrize(
        ("form", "code", "param"),
        [
            ("", "parameter_missing", "currency"),
            ("currency=eur", "parameter_missing", "amount"),
            ("amount=0&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=-1&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=1.5&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=%D9%A1&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=" + "9" * 400 + "&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=1000000000000000000&currency=eur", "parameter_invalid_integer", "amount"),
            ("amount=100000000&currency=eur", "amount_too_large", "amount"),
            ("amount=49&currency=usd", "amount_too_small", "amount"),
            ("amount=5001&currency=kwd", "parameter_invalid_integer", "amount"),
            ("amount=&currency=eur", "parameter_invalid_empty", "amount"),
            ("amount=500&currency=xxx", None, "currency"),
            ("amount[a]=1&currency=eur", None, "amount"),
            ("amount=500&currency=eur&metadata=x", None, "metadata"),
            ("amount=500&currency=eur&metadata[a][b]=x", None, "metadata[a]"),
            ("amount=500&currency=eur&metadata[" + "k" * 41 + "]=x", None, "metadata"),
            ("amount=500&currency=eur&metadata[k]=" + "v" * 501, None, "metadata"),
            ("amount=500&currency=eur&confirm=yes", None, "confirm"),
            ("amount=500&currency=eur&capture_method=later", None, "capture_method"),
            ("amount=500&currency=eur&amonut=1", "parameter_unknown", "amonut"),
            ("amount=500&currency=eur&expand[]=metadata", None, "expand"),
            ("amount=500&currency=eur&customer=cus_none", "resource_missing", "customer"),
            ("amount=500&currency=eur&payment_method=pm_none", "resource_missing", "payment_method"),
            ("amount=500&currency=eur&payment_method_types[]=klarna", None, "payment_method_types"),
            ("amount=500&currency=eur&off_session=true", None, "off_session"),
            ("amount=500&currency=eur&description=%00", None, None),
            ("amount=500&currency=eur&description=%ff", None, None),
            ("amount=500&currency=eur&a[b=1", None, None),
            ("amount=500&currency=eur&a=1&a[b]=1", None, "a"),
            ("amount=500&currency=eur&a[b][c][d][e][f]=1", None, None),
            ("&".join(f"k{n}=1" for n in range(501)), None, None),
        ],
    )
    async def test_is_refused_with_a_reason_and_records_nothing(
        self, sandbox: Sandbox, form: str, code: str | None, param: str | None
    ) -> None:
        answer = await sandbox.post(INTENTS, form, valid=False)
        error = error_of(answer)
        events = await sandbox.raw.get("/v1/events")
        assert answer.status_code == 400
        assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", code, param)
        assert error["message"]
        assert events.json()["data"] == []

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"amount": 500, "currency": "eur"}'),
            ("application/x-www-form-urlencoded", "amount=500&currency=eur&description=ü".encode()),
            ("application/x-www-form-urlencoded", b"\xff\xfe\x00"),
        ],
    )
    async def test_that_is_no_form_is_refused(self, sandbox: Sandbox, content_type: str, body: bytes) -> None:
        answer = await sandbox.raw.post(INTENTS, content=body, headers={"content-type": content_type})
        assert (answer.status_code, error_of(answer)["type"]) == (400, "invalid_request_error")

    async def test_too_large_a_body_is_refused(self, sandbox: Sandbox) -> None:
        answer = await sandbox.post(INTENTS, "a=" + "x" * 300_000, valid=False)
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/unknown"),
            ("POST", "/v1/payment_intents/pi_1/explode"),
            ("DELETE", "/v1/payment_intents/pi_1"),
            ("GET", "/v1/payment_intents/pi_1/capture/now"),
            ("GET", "/v1/"),
            ("GET", "/elsewhere"),
        ],
    )
    async def test_an_unknown_address_is_404(self, sandbox: Sandbox, method: str, path: str) -> None:
        answer = await sandbox.raw.request(method, path)
        assert answer.status_code == 404
        assert "Unrecognized request URL" in answer.json()["error"]["message"]

    async def test_an_unknown_object_is_404(self, sandbox: Sandbox) -> None:
        answer = await sandbox.raw.get(f"{INTENTS}/pi_none")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "resource_missing")

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "starting_after=pi_none", "created[on]=1", "x=1"])
    async def test_a_bad_list_query_is_refused(self, sandbox: Sandbox, query: str) -> None:
        answer = await sandbox.raw.get(f"{INTENTS}?{query}")
        assert answer.status_code == 400


class TestKeyOfTheAccount:
    @pytest.mark.parametrize(
        "headers",
        [{}, {"authorization": "Bearer sk_test_wrong"}, {"authorization": "Basic !!"}, {"authorization": "Other x"}],
    )
    async def test_is_asked_for(self, sandbox: Sandbox, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(verify=NO_TLS, base_url=sandbox.base) as stranger:
            answer = await stranger.get(INTENTS, headers=headers)
        assert (answer.status_code, error_of(answer)["type"]) == (401, "invalid_request_error")
        assert "sk_test_wrong" not in answer.text

    async def test_may_come_as_bearer(self, sandbox: Sandbox) -> None:
        async with httpx.AsyncClient(verify=NO_TLS, base_url=sandbox.base) as client:
            answer = await client.get(INTENTS, headers={"authorization": "Bearer sk_test_contract"})
        assert answer.status_code == 200
        assert answer.headers["request-id"].startswith("req_")


class TestIdempotency:
    async def test_the_first_answer_comes_again(self, sandbox: Sandbox) -> None:
        first = await sandbox.post(INTENTS, HOLD, key="k-1")
        again = await sandbox.post(INTENTS, HOLD, key="k-1")
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["original-request"] == first.headers["request-id"]
        assert await holds(sandbox) == 1

    async def test_the_first_answer_is_kept_as_it_was(self, sandbox: Sandbox) -> None:
        first = await sandbox.post(INTENTS, HOLD + "&expand[]=latest_charge", key="k-1")
        await sandbox.post(f"{INTENTS}/{first.json()['id']}/capture", "")
        again = await sandbox.post(INTENTS, HOLD + "&expand[]=latest_charge", key="k-1")
        assert again.json()["latest_charge"]["captured"] is False
        assert again.json()["status"] == "requires_capture"

    async def test_declines_and_refusals_are_kept_too(self, sandbox: Sandbox) -> None:
        declined = HOLD.replace("pm_card_visa", "pm_card_chargeDeclined")
        for form, status in ((declined, 402), ("amount=500", 400)):
            first = await sandbox.post(INTENTS, form, key=f"k-{status}", valid=False)
            again = await sandbox.post(INTENTS, form, key=f"k-{status}", valid=False)
            assert (first.status_code, again.status_code) == (status, status)
            assert again.json() == first.json()
            assert again.headers["idempotent-replayed"] == "true"

    async def test_other_parameters_under_the_same_key_are_refused(self, sandbox: Sandbox) -> None:
        await sandbox.post(INTENTS, HOLD, key="k-1")
        other = await sandbox.post(INTENTS, HOLD.replace("5000", "5001"), key="k-1")
        elsewhere = await sandbox.post("/v1/customers", "", key="k-1")
        assert (other.status_code, error_of(other)["type"]) == (400, "idempotency_error")
        assert (elsewhere.status_code, error_of(elsewhere)["type"]) == (400, "idempotency_error")
        assert await holds(sandbox) == 1

    async def test_the_order_of_parameters_does_not_matter(self, sandbox: Sandbox) -> None:
        await sandbox.post(INTENTS, HOLD, key="k-1")
        again = await sandbox.post(INTENTS, "&".join(reversed(HOLD.split("&"))), key="k-1")
        assert again.headers["idempotent-replayed"] == "true"

    async def test_a_key_at_work_is_a_conflict(self, sandbox: Sandbox) -> None:
        await sandbox.fault(kind="delay", seconds=0.5)
        answers = await asyncio.gather(*(sandbox.post(INTENTS, HOLD, key="k-1") for _ in range(2)))
        by_status = {answer.status_code: answer for answer in answers}
        assert sorted(by_status) == [200, 409]
        assert error_of(by_status[409])["code"] == "idempotency_key_in_use"
        assert await holds(sandbox) == 1

    async def test_a_key_lives_for_a_day(self, sandbox: Sandbox) -> None:
        first = await sandbox.post(INTENTS, HOLD, key="k-1")
        await sandbox.advance(DAY_SECONDS)
        later = await sandbox.post(INTENTS, HOLD, key="k-1")
        assert later.json()["id"] != first.json()["id"]

    async def test_too_long_a_key_is_refused(self, sandbox: Sandbox) -> None:
        answer = await sandbox.post(INTENTS, HOLD, key="k" * 256)
        assert (answer.status_code, error_of(answer)["type"]) == (400, "idempotency_error")

    async def test_401_and_429_come_before_the_key(self, sandbox: Sandbox) -> None:
        await sandbox.fault(kind="throttle")
        throttled = await sandbox.post(INTENTS, HOLD, key="k-1")
        async with httpx.AsyncClient(verify=NO_TLS, base_url=sandbox.base, auth=("sk_test_wrong", "")) as stranger:
            refused = await stranger.post(INTENTS, headers={"idempotency-key": "k-1"}, data={"amount": "1"})
        done = await sandbox.post(INTENTS, HOLD, key="k-1")
        assert (throttled.status_code, refused.status_code, done.status_code) == (429, 401, 200)
        assert error_of(throttled)["code"] == "rate_limit"
        assert "idempotent-replayed" not in done.headers


class TestFaults:
    @pytest.mark.parametrize(("when", "held"), [("before", 0), ("after", 1)])
    async def test_a_500_is_kept_under_its_key(self, sandbox: Sandbox, when: str, held: int) -> None:
        await sandbox.fault(kind="error", when=when)
        first = await sandbox.post(INTENTS, HOLD, key="k-1")
        again = await sandbox.post(INTENTS, HOLD, key="k-1")
        assert (first.status_code, error_of(first)["type"]) == (500, "api_error")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (500, "true")
        assert await holds(sandbox) == held

    @pytest.mark.parametrize("kind", ["html", "text", "drop"])
    @pytest.mark.parametrize(("when", "held"), [("before", 0), ("after", 1)])
    async def test_what_goes_wrong_on_the_way_is_not_kept(
        self, sandbox: Sandbox, kind: str, when: str, held: int
    ) -> None:
        await sandbox.fault(kind=kind, when=when, status=502)
        if kind == "drop":
            with pytest.raises(httpx.TransportError):
                await sandbox.post(INTENTS, HOLD, key="k-1")
        else:
            broken = await sandbox.raw.post(
                INTENTS,
                content=HOLD,
                headers={"content-type": "application/x-www-form-urlencoded", "idempotency-key": "k-1"},
            )
            assert broken.status_code == 502
            assert isinstance(json.loads(broken.text)["error"], str) if kind == "text" else "<h1>" in broken.text
        assert await holds(sandbox) == held
        done = await sandbox.post(INTENTS, HOLD, key="k-1")
        assert (done.status_code, await holds(sandbox)) == (200, 1)
        assert ("idempotent-replayed" in done.headers) == (held == 1)

    async def test_the_sdk_sees_them_as_it_would_at_stripe(self, sandbox: Sandbox) -> None:
        await sandbox.fault(kind="error", status=503)
        with pytest.raises(stripe.APIError):
            await sandbox.sdk.v1.balance.retrieve_async()
        await sandbox.fault(kind="lock_timeout")
        with pytest.raises(stripe.RateLimitError) as throttled:
            await sandbox.sdk.v1.balance.retrieve_async()
        await sandbox.fault(kind="drop")
        with pytest.raises(stripe.APIConnectionError):  # A GET would be repeated by aiohttp on its own.
            await sandbox.sdk.v1.customers.create_async()
        assert throttled.value.error is not None
        assert throttled.value.error.code == "lock_timeout"

    async def test_hit_the_requests_they_are_meant_for(self, sandbox: Sandbox) -> None:
        await sandbox.fault(kind="throttle", method="POST", path=f"{INTENTS}/*/capture", skip=1, count=2)
        ids = [(await sandbox.post(INTENTS, HOLD)).json()["id"] for _ in range(4)]
        statuses = [(await sandbox.post(f"{INTENTS}/{intent}/capture", "")).status_code for intent in ids]
        left = await sandbox.raw.get("/sandbox/faults")
        assert statuses == [200, 429, 429, 200]
        assert left.json()["faults"] == []
        assert left.json()["happened"] == {"throttle": 2}

    @pytest.mark.parametrize(
        "plan", [{}, {"kind": "meteor"}, {"kind": "error", "count": 0}, {"kind": "error", "typo": 1}]
    )
    async def test_a_bad_plan_is_refused(self, sandbox: Sandbox, plan: dict[str, object]) -> None:
        answer = await sandbox.raw.post("/sandbox/faults", json=plan)
        assert answer.status_code == 400

    @pytest.mark.parametrize("move", [{"advance_seconds": -1}, {"now": 1}, {"advance_seconds": "soon"}, {"x": 1}])
    async def test_the_clock_does_not_go_back(self, sandbox: Sandbox, move: dict[str, object]) -> None:
        answer = await sandbox.raw.post("/sandbox/clock", json=move)
        assert answer.status_code == 400


class TestTheCheckItself:
    """The validator would be worth nothing if it let everything pass."""

    @pytest.mark.parametrize(
        ("method", "path", "form"),
        [
            ("POST", INTENTS, "amount=5000"),
            ("POST", INTENTS, "amount=a&currency=eur"),
            ("POST", INTENTS, "amount=1&currency=eur&amonut=1"),
            ("POST", INTENTS, "amount=1&currency=eur&capture_method=later"),
            ("POST", INTENTS, "amount=1&currency=eur&payment_method_types=card"),
            ("GET", INTENTS, "limit=ten"),
            ("GET", "/v1/nothing", ""),
        ],
    )
    def test_refuses_bad_requests(self, method: str, path: str, form: str) -> None:
        with pytest.raises(OffSpecError):
            validate_request(method, path, form)

    def test_refuses_bad_answers(self) -> None:
        balance = {"object": "balance", "available": [], "pending": [], "livemode": False}
        validate_response("GET", "/v1/balance", 200, balance)
        wrongs: list[dict[str, object]] = [{"livemode": "no"}, {"object": "scale"}, {"avialable": []}]
        for wrong in wrongs:
            with pytest.raises(OffSpecError):
                validate_response("GET", "/v1/balance", 200, balance | wrong)
        with pytest.raises(OffSpecError):
            validate_response("GET", "/v1/balance", 500, {"error": "text"})
