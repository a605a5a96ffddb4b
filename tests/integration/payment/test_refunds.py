"""Refunds ordered by people, and those made in the provider's own dashboard (DOMAIN Y8)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import PledgeId, new_id
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentRefunded
from contracts.pledge import PledgePlaced
from eventing.tokens import Role
from payment.domain_events import Kind
from payment.gateway_found import RefundStatus, SeenRefund
from payment.handlers_refunds import NoteRefunds
from payment.look_ups import RefundLookUp
from payment.stripe_gateway import StripeProvider
from payment.tables import operation_id_of
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.payment.platform import Platform, Sandbox, euros, until
from tests.integration.served import Served


@pytest.fixture
async def look_up(platform: Platform, sandbox: Sandbox) -> AsyncIterator[RefundLookUp]:
    provider = StripeProvider(API_KEY, sandbox.address, timeout_seconds=5)
    yield RefundLookUp(platform.commit, provider)
    await provider.close()


@pytest.fixture
async def placed(platform: Platform) -> PledgePlaced:
    """A pledge of 50.00 that was charged."""
    pledge = platform.placed(5_000, strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(pledge)
    await platform.until_said(pledge.pledge_id, PaymentCaptured)
    return pledge


def path(pledge: PledgePlaced) -> str:
    return f"/pledges/{pledge.pledge_id}/refunds"


async def order(
    service: Served, pledge: PledgePlaced, person: Mapping[str, str], key: str | None = None, **body: Any
) -> httpx.Response:
    headers = {**person, "Idempotency-Key": key or str(new_id())}
    return await service.http.post(path(pledge), json={"reason": "cannot_deliver", **body}, headers=headers)


def price(minor: int, currency: str = "EUR") -> dict[str, Any]:
    return {"amount": minor, "currency": currency}


async def given(platform: Platform, pledge: PledgePlaced, count: int) -> list[PaymentRefunded]:
    """All refunds that were said of a pledge, once there are so many."""

    async def refunds() -> list[PaymentRefunded]:
        return [fact for fact in await platform.said(pledge.pledge_id) if isinstance(fact, PaymentRefunded)]

    async def enough() -> bool:
        return len(await refunds()) >= count

    await until(enough)
    return await refunds()


async def payment_of(platform: Platform, pledge: PledgePlaced) -> str:
    return (await platform.until_said(pledge.pledge_id, PaymentCaptured)).hold_id


async def in_dashboard(sandbox: Sandbox, payment_id: str, amount: int) -> str:
    answer = await sandbox.raw.post("/sandbox/refund", json={"payment_intent": payment_id, "amount": amount})
    return str(answer.raise_for_status().json()["id"])


async def cases(platform: Platform) -> dict[str, str]:
    rows = await platform.pool.fetch("SELECT kind, summary FROM payment_case ORDER BY opened_at")
    return {row["kind"]: row["summary"] for row in rows}


class TestOrdered:
    async def test_parts_and_then_the_rest(self, platform: Platform, service: Served, placed: PledgePlaced) -> None:
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        first = await order(service, placed, creator, amount=price(1_000))
        second = await order(service, placed, creator, amount=price(500), reason="duplicate")
        rest = await order(service, placed, creator)
        assert [answer.status_code for answer in (first, second, rest)] == [201, 201, 201]
        assert rest.json()["amount"] == price(3_500)
        facts = await given(platform, placed, 3)
        assert [fact.amount for fact in facts] == [euros(1_000), euros(500), euros(3_500)]
        assert [fact.refunded for fact in facts] == [euros(1_000), euros(1_500), euros(5_000)]
        assert [fact.reason for fact in facts] == ["cannot_deliver", "duplicate", "cannot_deliver"]
        assert all(fact.refund_id.startswith("re_") for fact in facts)
        assert await platform.sandbox.line(platform.campaign_id, "refunded") == (3, 5_000)
        await platform.books_agree()

    async def test_has_a_link_that_says_what_became_of_it(
        self, platform: Platform, service: Served, placed: PledgePlaced
    ) -> None:
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        answer = await order(service, placed, creator, amount=price(1_000))
        link = answer.json()["links"]["self"]
        assert answer.headers["location"] == link
        (fact,) = await given(platform, placed, 1)
        shown = (await service.http.get(link, headers=creator)).json()
        assert (shown["status"], shown["provider_id"], shown["amount"]) == ("given", fact.refund_id, price(1_000))
        missing = await service.http.get(f"{path(placed)}/{new_id()}", headers=creator)
        assert missing.json()["type"].endswith("refund-not-found")

    async def test_the_same_key_orders_it_once(self, platform: Platform, service: Served, placed: PledgePlaced) -> None:
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        await platform.sandbox.fault("drop", when="after", path="/v1/refunds", method="POST")
        answers = [await order(service, placed, creator, "k", amount=price(1_000)) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        other = await order(service, placed, creator, "k", amount=price(2_000))
        assert other.status_code == 422
        await given(platform, placed, 1)
        await platform.until_quiet()
        assert await platform.sandbox.line(platform.campaign_id, "refunded") == (1, 1_000)
        await platform.books_agree()

    async def test_backer_creator_and_operator_see_the_list_and_nobody_else(
        self, platform: Platform, service: Served, placed: PledgePlaced
    ) -> None:
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        await order(service, placed, creator, amount=price(1_000))
        await given(platform, placed, 1)
        readers = (
            creator,
            service.bearer(placed.backer_id, Role.BACKER),
            service.bearer(new_id(), Role.OPERATOR),
        )
        seen = [(await service.http.get(path(placed), headers=reader)).json() for reader in readers]
        assert seen[0] == seen[1] == seen[2]
        assert [item["status"] for item in seen[0]["items"]] == ["given"]
        for stranger in (service.bearer(new_id(), Role.BACKER), service.bearer(new_id(), Role.CREATOR)):
            assert (await service.http.get(path(placed), headers=stranger)).status_code == 404

    async def test_an_operator_may_order_one(self, platform: Platform, service: Served, placed: PledgePlaced) -> None:
        answer = await order(service, placed, service.bearer(new_id(), Role.OPERATOR), amount=price(1_000))
        assert answer.status_code == 201
        await given(platform, placed, 1)


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"amount": price(5_001)}, (409, "more-than-is-left")),
            ({"amount": price(1_000, "USD")}, (422, "wrong-currency")),
            ({"amount": price(0)}, (422, "invalid-request")),
            ({"amount": price(-5)}, (422, "invalid-request")),
            ({"reason": "he asked for it"}, (422, "invalid-request")),
        ],
    )
    async def test_what_cannot_be_given(
        self, platform: Platform, service: Served, placed: PledgePlaced, body: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        answer = await order(service, placed, service.bearer(platform.creator_id, Role.CREATOR), **body)
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1].rsplit(":", 1)[-1]) == expected
        assert await platform.sandbox.line(platform.campaign_id, "refunded") == (0, 0)

    async def test_says_how_much_is_left(self, platform: Platform, service: Served, placed: PledgePlaced) -> None:
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        await order(service, placed, creator, amount=price(4_000))
        refused = await order(service, placed, creator, amount=price(1_001))
        assert refused.json()["left"] == price(1_000)
        await order(service, placed, creator)
        assert (await order(service, placed, creator)).json()["title"] == (
            "All of it was given back already, or is about to be"
        )

    async def test_before_the_capture(self, platform: Platform, service: Served) -> None:
        held = platform.placed()
        await platform.tell(held)
        await platform.until_said(held.pledge_id, PaymentAuthorized)
        answer = await order(service, held, service.bearer(platform.creator_id, Role.CREATOR))
        assert (answer.status_code, answer.json()["title"]) == (409, "Nothing was taken for this pledge yet")

    async def test_somebody_elses_and_unknown_pledges_look_alike(
        self, platform: Platform, service: Served, placed: PledgePlaced
    ) -> None:
        other = await order(service, placed, service.bearer(new_id(), Role.CREATOR))
        unknown = platform.placed()
        nowhere = await order(service, unknown, service.bearer(platform.creator_id, Role.CREATOR))
        assert (other.status_code, nowhere.status_code) == (404, 404)
        assert other.json() == nowhere.json()
        backer = await order(service, placed, service.bearer(placed.backer_id, Role.BACKER))
        assert backer.status_code == 403


class TestFromTheDashboard:
    async def test_is_booked_once_however_often_it_is_looked_up(
        self, platform: Platform, sandbox: Sandbox, placed: PledgePlaced, look_up: RefundLookUp
    ) -> None:
        payment_id = await payment_of(platform, placed)
        first = await in_dashboard(sandbox, payment_id, 1_000)
        second = await in_dashboard(sandbox, payment_id, 500)
        for object_id in (second, first, payment_id, first):
            assert await look_up(object_id)
        facts = await given(platform, placed, 2)
        assert [(fact.refund_id, fact.amount, fact.reason) for fact in facts] == [
            (first, euros(1_000), "provider_dashboard"),
            (second, euros(500), "provider_dashboard"),
        ]
        assert [fact.refunded for fact in facts] == [euros(1_000), euros(1_500)]
        await platform.books_agree()
        assert await cases(platform) == {}

    async def test_our_own_that_is_seen_first_is_booked_by_its_operation_alone(
        self, platform: Platform, service: Served, placed: PledgePlaced, look_up: RefundLookUp
    ) -> None:
        payment_id = await payment_of(platform, placed)
        await platform.sandbox.fault("drop", when="after", path="/v1/refunds", method="POST", count=2)
        await order(service, placed, service.bearer(platform.creator_id, Role.CREATOR), amount=price(1_000))

        async def there() -> bool:
            return (await platform.sandbox.line(platform.campaign_id, "refunded"))[0] == 1

        await until(there)
        assert await look_up(payment_id)
        await given(platform, placed, 1)
        assert await look_up(payment_id)
        assert len(await given(platform, placed, 1)) == 1
        await platform.books_agree()

    async def test_while_ours_is_under_way_both_are_booked(
        self, platform: Platform, service: Served, sandbox: Sandbox, placed: PledgePlaced, look_up: RefundLookUp
    ) -> None:
        payment_id = await payment_of(platform, placed)
        await platform.sandbox.fault("delay", seconds=0.8, path="/v1/refunds", method="POST")
        await order(service, placed, service.bearer(platform.creator_id, Role.CREATOR), amount=price(1_000))
        await in_dashboard(sandbox, payment_id, 700)
        assert await look_up(payment_id)
        facts = await given(platform, placed, 2)
        assert {fact.reason for fact in facts} == {"provider_dashboard", "cannot_deliver"}
        assert [fact.refunded for fact in facts][-1] == euros(1_700)
        await platform.until_quiet()
        await platform.books_agree()

    async def test_an_order_that_the_dashboard_overtook_fails_and_says_so(
        self, platform: Platform, service: Served, sandbox: Sandbox, placed: PledgePlaced, look_up: RefundLookUp
    ) -> None:
        payment_id = await payment_of(platform, placed)
        await in_dashboard(sandbox, payment_id, 4_500)
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        link = (await order(service, placed, creator, amount=price(1_000))).json()["links"]["self"]
        assert await look_up(payment_id)

        async def failed() -> bool:
            return bool((await service.http.get(link, headers=creator)).json()["status"] == "failed")

        await until(failed)
        await platform.until_quiet()
        assert await platform.sandbox.line(platform.campaign_id, "refunded") == (1, 4_500)
        await platform.books_agree()

    async def test_one_that_came_back_opens_a_case(self, platform: Platform, placed: PledgePlaced) -> None:
        payment_id = await payment_of(platform, placed)
        seen = SeenRefund("re_x", euros(1_000), RefundStatus.GIVEN)
        back = SeenRefund("re_x", euros(1_000), RefundStatus.FAILED, failure="lost_or_stolen_card")
        for one in (seen, back, back):
            await platform.commit.execute(NoteRefunds(placed.pledge_id, payment_id, (one,)))
        assert len(await given(platform, placed, 1)) == 1
        assert await cases(platform) == {"refund_failed": "the refund re_x of 10.00 EUR came back: lost_or_stolen_card"}

    async def test_one_of_an_operation_that_is_not_known_is_for_a_person(
        self, platform: Platform, placed: PledgePlaced
    ) -> None:
        """As after a restore: the operation may be made again, under the same key."""
        payment_id = await payment_of(platform, placed)
        lost = operation_id_of(placed.pledge_id, Kind.REFUND, 7)
        seen = SeenRefund("re_x", euros(1_000), RefundStatus.GIVEN, lost)
        await platform.commit.execute(NoteRefunds(placed.pledge_id, payment_id, (seen,)))
        assert list(await cases(platform)) == ["foreign_event"]
        assert not any(isinstance(fact, PaymentRefunded) for fact in await platform.said(placed.pledge_id))

    async def test_waits_for_the_capture_to_be_recorded(self, platform: Platform) -> None:
        held = platform.placed()
        await platform.tell(held)
        hold_id = (await platform.until_said(held.pledge_id, PaymentAuthorized)).hold_id
        seen = (SeenRefund("re_x", euros(1_000), RefundStatus.GIVEN),)
        assert await platform.commit.execute(NoteRefunds(held.pledge_id, hold_id, seen)) == {"noted": False}

    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            (euros(5_001), "of more than was captured"),
            (euros(1).model_copy(update={"currency": "USD"}), "in USD of a pledge in EUR"),
        ],
    )
    async def test_what_does_not_fit_is_not_booked(
        self, platform: Platform, placed: PledgePlaced, amount: Any, text: str
    ) -> None:
        payment_id = await payment_of(platform, placed)
        seen = (SeenRefund("re_x", amount, RefundStatus.GIVEN),)
        await platform.commit.execute(NoteRefunds(placed.pledge_id, payment_id, seen))
        assert text in (await cases(platform))["mismatch"]

    async def test_of_a_payment_that_is_not_known_is_for_a_person(self, platform: Platform) -> None:
        strange: UUID = new_id()
        seen = (SeenRefund("re_x", euros(5), RefundStatus.GIVEN),)
        await platform.commit.execute(NoteRefunds(PledgeId(strange), "pi_x", seen))
        assert "not known here" in (await cases(platform))["mismatch"]
