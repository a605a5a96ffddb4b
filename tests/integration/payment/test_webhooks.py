"""What claims to be Stripe's webhook, and what real ones set right (DOMAIN Y5)."""

import hashlib
import hmac
import json
import random
import time
from datetime import timedelta
from typing import Any

import httpx

from contracts.payment import PaymentAuthorized, PaymentCaptured
from payment.stripe_gateway import API_VERSION
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
    b'{"id": "e", "type": "a", "created": "0001-01-01T00:00:00+23:59"}',  # a time that no clock has in UTC
    b'{"id": "e", "type": "a", "created": "yesterday"}',
    b'{"id": "e", "object": "event", "type": "a", "created": 1}',  # about nothing at all
    b'{"id": "e", "object": "event", "type": "a", "created": 1, "data": {"object": "x"}}',
    '{"id": "é"}'.encode("latin-1"),
    b"\xef\xbb\xbf" + b"{}",
    b"",
]

# Personal data as it comes in the events of cards, customers, disputes and setup intents.
PERSONAL = ("4242", "Ada Backer", "backer@example.com", "10115", "123456789", "pi_secret", "203.0.113.9")
PERSON = {
    "billing_details": {"email": "backer@example.com", "name": "Ada Backer", "address": {"postal_code": "10115"}},
    "payment_method_details": {"card": {"last4": "4242", "fingerprint": "123456789"}},
    "client_secret": "pi_secret",
    "evidence": {"customer_purchase_ip": "203.0.113.9"},
}


def event(number: int, about: Any, **changed: Any) -> bytes:
    """A snapshot event, full of personal data."""
    given = {"id": f"evt_{number}", "object": "event", "type": "charge.updated", "created": 1_800_000_000}
    given |= {"livemode": False, "api_version": API_VERSION, "data": {"object": about}}
    return json.dumps(given | changed).encode()


def thin(number: int, **changed: Any) -> bytes:
    """An event of the second version: it names the object that it is about, and no more."""
    given = {"id": f"evt_{number}", "object": "v2.core.event", "type": "v2.core.account.updated", "livemode": False}
    given |= {"created": "2027-03-01T12:00:00.000Z", "related_object": {"id": "acct_1", "type": "a", "url": "/"}}
    return json.dumps(given | changed).encode()


CHARGE = PERSON | {"id": "ch_1", "object": "charge"}
# What each is kept as: object, note, and whether it is done with at once.
STRANGE: dict[str, tuple[bytes, str, str]] = {
    "of a type that nobody knows": (event(1, CHARGE, type="moon.landed"), "ch_1", ""),
    "about something without an id": (event(2, {"object": "balance"} | PERSON), "", ""),
    "three days old": (event(3, CHARGE, created=int(time.time()) - 3 * 86_400), "ch_1", ""),
    "from the future": (event(4, CHARGE, created=int(time.time()) + 86_400), "ch_1", ""),
    "thin": (thin(5), "acct_1", ""),
    "thin, about nothing": (thin(6, related_object=None), "", ""),
    "thin, without a time zone": (thin(7, created="2027-03-01T12:00:00"), "acct_1", ""),
    "of another API version": (event(8, CHARGE, api_version="2019-12-03"), "ch_1", "other_version"),
    "of a connected account": (event(9, CHARGE, account="acct_creator"), "ch_1", "other_account"),
    "thin, of a connected account": (thin(10, context="acct_creator"), "acct_1", "other_account"),
    "real money": (event(11, CHARGE, livemode=True), "ch_1", "other_mode"),
    "thin, real money": (thin(12, livemode=True), "acct_1", "other_mode"),
}


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

    async def test_what_the_door_stops_is_refused(self, platform: Platform, service: Served) -> None:
        for body, status in (
            (b" " * 70_000, 413),
            (event(1, {"id": "x", "n": 10**18}), 400),
            (b'{"a": "\\u0000"}', 400),
        ):
            assert (await post(service, body, signature(body))).status_code == status
        assert await kept(platform) == []

    async def test_every_strange_one_is_taken_on_purpose_and_once(self, platform: Platform, service: Served) -> None:
        for name, (body, _, _) in STRANGE.items():
            for _ in range(2):
                assert (await post(service, body, signature(body))).status_code == 204, name
        rows = await platform.pool.fetch("SELECT event_id, object_id, note FROM webhook")
        found = {row["event_id"]: (row["object_id"], row["note"]) for row in rows}
        assert found == {json.loads(body)["id"]: (about, note) for body, about, note in STRANGE.values()}
        cases = await platform.pool.fetch("SELECT kind, about FROM payment_case ORDER BY about")
        assert [tuple(case) for case in cases] == [("foreign_event", "other_account"), ("foreign_event", "other_mode")]

    async def test_nothing_personal_is_anywhere_in_the_database(self, platform: Platform, service: Served) -> None:
        for body, _, _ in STRANGE.values():
            await post(service, body, signature(body))
        await post(service, event(20, CHARGE), signature(b"another body"))
        texts = await all_texts(platform)
        assert "evt_1" in texts
        assert [word for word in PERSONAL if word in texts] == []


async def all_texts(platform: Platform) -> str:
    """Every value that can hold a text, of every table of the service."""
    query = """
        SELECT table_name, column_name
          FROM information_schema.columns
         WHERE table_schema = current_schema() AND data_type IN ('text', 'jsonb', 'json', 'bytea', 'ARRAY')
    """
    columns = await platform.pool.fetch(query)
    assert {"event", "webhook", "operation", "payment_case", "parked_event"} <= {row["table_name"] for row in columns}
    found = [
        row[0]
        for table, column in columns
        for row in await platform.pool.fetch(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL')
    ]
    return "\n".join(found)


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

        await self._until_worked(platform, 3)
        assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done")]
        await platform.books_agree()

    async def test_all_of_them_doubled_reordered_and_days_late_change_nothing(
        self, platform: Platform, service: Served
    ) -> None:
        placed = platform.placed()
        await platform.tell(placed, platform.capture(placed))
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        before = await platform.said(placed.pledge_id), await platform.balances()
        operations = await platform.operations(placed.pledge_id)
        events = (await platform.sandbox.raw.get("/v1/events", params={"limit": 100})).json()["data"]
        assert {one["type"] for one in events} >= {"payment_intent.succeeded", "charge.captured"}
        service.runtime.clock.offset = timedelta(days=3)
        for body in map(json.dumps, random.Random(4).sample(events * 3, len(events) * 3)):
            assert (await post(service, body.encode(), signature(body.encode()))).status_code == 204
        await self._until_worked(platform, len(events))
        assert (await platform.said(placed.pledge_id), await platform.balances()) == before
        assert await platform.operations(placed.pledge_id) == operations
        await platform.books_agree()

    @staticmethod
    async def _until_worked(platform: Platform, events: int) -> None:
        async def worked() -> bool:
            query = "SELECT count(*) = $1 AND count(*) FILTER (WHERE worked_at IS NULL) = 0 FROM webhook"
            return bool(await platform.pool.fetchval(query, events))

        await until(worked)

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
