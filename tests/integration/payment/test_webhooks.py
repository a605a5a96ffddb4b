"""What claims to be Stripe's webhook, and what real ones set right (DOMAIN Y5)."""

import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from contracts.payment import PaymentAuthorized
from tests.integration.payment.conftest import SECRETS
from tests.integration.payment.platform import Platform, until
from tests.integration.served import Served

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_800_000_000,
    "data": {"object": {"id": "ch_1", "billing_details": {"email": "backer@example.com", "name": "Ada Backer"}}},
}


def signature(body: bytes, secret: str = SECRETS[1], at: float | None = None) -> str:
    moment = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v0=other,v1={mac}"


async def post(service: Served, body: bytes, header: str | None, kind: str = "application/json") -> httpx.Response:
    headers = {b"content-type": kind.encode()}
    if header is not None:
        headers[b"stripe-signature"] = header.encode("latin-1")
    return await service.http.post("/webhooks/stripe", content=body, headers=headers)


async def kept(platform: Platform) -> list[str]:
    return [row["event_id"] for row in await platform.pool.fetch("SELECT event_id FROM webhook")]


BODY = json.dumps(EVENT).encode()

FORGED = [
    None,
    "",
    "t=now,v1=00",
    "v1=00",
    "t=²,v1=00",
    "t=1,t=2,v1=00",
    signature(BODY, "whsec_strange"),
    signature(BODY + b" "),
    signature(BODY, at=time.time() - 3_600),
    signature(BODY, at=time.time() + 3_600),
    signature(BODY).replace("v1=", "v1=é"),
]
_SHAPE = '{"id": %s, "object": "event", "type": "a", "created": %s, "data": {"object": {"id": "x"}}}'
NO_EVENTS = [
    b"\xff\xfe\x00",
    b"[]",
    b"{}",
    b'"text"',
    b"[" * 1_000,
    (_SHAPE % ("1", "1")).encode(),
    (_SHAPE % ('"e"', "1e300")).encode(),
    (_SHAPE % ('"e"', "999999999999")).encode(),
    (_SHAPE % (r'"e\u0000"', "1")).encode(),
    (_SHAPE % (r'"\ud800"', "1")).encode(),
    (_SHAPE % (f'"{"e" * 300}"', "1")).encode(),
]


class TestDoor:
    async def test_one_signed_with_any_active_secret_is_kept_once(self, platform: Platform, service: Served) -> None:
        for secret in (*SECRETS, *SECRETS):
            assert (await post(service, BODY, signature(BODY, secret))).status_code == 204
        assert await kept(platform) == ["evt_1"]

    async def test_only_id_type_time_and_object_are_kept(self, platform: Platform, service: Served) -> None:
        await post(service, BODY, signature(BODY))
        row = await platform.pool.fetchrow("SELECT * FROM webhook")
        assert row is not None
        assert (row["event_id"], row["type"], row["object_id"]) == ("evt_1", "payment_intent.succeeded", "ch_1")
        assert row["created_at"].timestamp() == EVENT["created"]
        assert "Ada" not in repr(dict(row))

    async def test_a_forged_old_or_future_one_is_refused(self, platform: Platform, service: Served) -> None:
        for header in FORGED:
            answer = await post(service, BODY, header)
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-signature"), header
        assert await kept(platform) == []

    async def test_a_signed_body_that_is_no_event_is_refused(self, platform: Platform, service: Served) -> None:
        for body in NO_EVENTS:
            for kind in ("application/json", "text/plain"):
                answer = await post(service, body, signature(body), kind)
                assert answer.status_code == 400, (body, kind)
        assert await kept(platform) == []

    async def test_one_too_large_is_refused(self, platform: Platform, service: Served) -> None:
        body = b" " * 70_000
        assert (await post(service, body, signature(body))).status_code == 413

    async def test_a_thin_event_is_kept(self, platform: Platform, service: Served) -> None:
        thin = {
            "id": "evt_2",
            "object": "v2.core.event",
            "type": "v2.core.account.updated",
            "created": "2027-03-01T12:00:00.000Z",
            "related_object": {"id": "acct_1", "type": "account", "url": "/"},
        }
        body = json.dumps(thin).encode()
        assert (await post(service, body, signature(body))).status_code == 204
        assert await kept(platform) == ["evt_2"]


class TestWork:
    async def test_an_event_before_our_own_answer_resolves_what_that_answer_left_open(
        self, platform: Platform, service: Served
    ) -> None:
        """The answer was lost and a 500 comes again under the key: the event names the payment to read back."""
        await platform.sandbox.fault("error", when="after", path="/v1/payment_intents", method="POST")
        for _ in range(20):  # looking through the list of payments is of no use either
            await platform.sandbox.fault("html", path="/v1/payment_intents", method="GET")
        placed = platform.placed()
        await platform.tell(placed)
        body = await self._event(platform, "payment_intent.amount_capturable_updated")
        assert (await post(service, body, signature(body))).status_code == 204
        authorized = await platform.until_said(placed.pledge_id, PaymentAuthorized)
        assert authorized.hold_id == json.loads(body)["data"]["object"]["id"]
        await platform.books_agree()

    async def test_events_of_what_is_known_or_of_strangers_are_worked_and_change_nothing(
        self, platform: Platform, service: Served
    ) -> None:
        placed = platform.placed()
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        known = await self._event(platform, "payment_intent.amount_capturable_updated")
        stranger = json.dumps({**EVENT, "id": "evt_9", "data": {"object": {"id": "pi_stranger"}}}).encode()
        for body in (known, stranger, known, BODY):
            assert (await post(service, body, signature(body))).status_code == 204

        async def worked() -> bool:
            query = "SELECT count(*) = 3 AND count(*) FILTER (WHERE worked_at IS NULL) = 0 FROM webhook"
            return bool(await platform.pool.fetchval(query))

        await until(worked)
        assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done")]
        await platform.books_agree()

    @staticmethod
    async def _event(platform: Platform, kind: str) -> bytes:
        """The sandbox's own event of that type, as it would be delivered."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            answer = await platform.sandbox.raw.get("/v1/events", params={"type": kind})
            found[:] = answer.json()["data"]
            return bool(found)

        await until(there)
        return json.dumps(found[0]).encode()
