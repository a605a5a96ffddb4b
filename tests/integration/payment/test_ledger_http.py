"""A campaign's books over HTTP: at any past moment, and posting by posting (DOMAIN M3)."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import CampaignId, new_id
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentRefunded
from contracts.pledge import PledgePlaced
from eventing.tokens import Role
from payment.api_ledger import PAGE_MAX
from tests.integration.payment.platform import Platform
from tests.integration.served import Served

TICK = timedelta(microseconds=1)


async def charged(platform: Platform, minor: int) -> PledgePlaced:
    placed = platform.placed(minor, strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(placed)
    await platform.until_said(placed.pledge_id, PaymentCaptured)
    return placed


async def held(platform: Platform, *amounts: int) -> list[PledgePlaced]:
    """Holds taken one after the other: one posting each."""
    pledges = [platform.placed(minor) for minor in amounts]
    for placed in pledges:
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
    return pledges


async def booked_at(platform: Platform, kind: str) -> datetime:
    query = "SELECT booked_at FROM posting WHERE campaign_id = $1 AND event = $2"
    found: datetime = await platform.pool.fetchval(query, platform.campaign_id, f"payment.{kind}.v1")
    return found


async def ask(service: Served, platform: Platform, person: Mapping[str, str] | None = None, **query: Any) -> Any:
    answer = await ledger(service, platform, person, **{name: value for name, value in query.items() if value})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ledger(
    service: Served, platform: Platform, person: Mapping[str, str] | None = None, **query: Any
) -> httpx.Response:
    headers = person or service.bearer(platform.creator_id, Role.CREATOR)
    return await service.http.get(f"/campaigns/{platform.campaign_id}/ledger", params=query, headers=headers)


async def postings(
    service: Served, platform: Platform, person: Mapping[str, str] | None = None, **query: Any
) -> httpx.Response:
    headers = person or service.bearer(platform.creator_id, Role.CREATOR)
    return await service.http.get(f"/campaigns/{platform.campaign_id}/ledger/postings", params=query, headers=headers)


def accounts(body: Any) -> dict[str, tuple[str, int]]:
    assert all(one["balance"]["currency"] == "EUR" for one in body["accounts"])
    return {one["account"]: (one["side"], one["balance"]["amount"]) for one in body["accounts"]}


class TestPastMoments:
    async def test_the_books_are_as_they_were_to_the_microsecond(self, platform: Platform, service: Served) -> None:
        placed = platform.placed(10_000)
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        await platform.tell(platform.capture(placed))
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        taken_in, taken = [await booked_at(platform, f"Payment{name}") for name in ("Authorized", "Captured")]

        assert accounts(await ask(service, platform, at=(taken_in - TICK).isoformat())) == {}
        for moment in (taken_in, taken - TICK):
            body = await ask(service, platform, at=moment.isoformat())
            assert accounts(body) == {"holds": ("debit", 10_000), "hold_promises": ("credit", 10_000)}
            assert datetime.fromisoformat(body["at"]) == moment
        for at in (taken.isoformat(), None):
            assert accounts(await ask(service, platform, at=at)) == {
                "holds": ("debit", 0),
                "hold_promises": ("debit", 0),
                "provider_receivable": ("debit", 10_000 - 175),
                "provider_fees": ("debit", 175),
                "campaign_payable": ("credit", 10_000),
            }

    async def test_what_comes_later_changes_nothing_of_it(self, platform: Platform, service: Served) -> None:
        placed = await charged(platform, 10_000)
        taken = (await booked_at(platform, "PaymentCaptured")).isoformat()
        before = await ask(service, platform, at=taken)
        await platform.tell(platform.cancelled(placed))
        await platform.until_said(placed.pledge_id, PaymentRefunded)
        assert await ask(service, platform, at=taken) == before
        assert accounts(await ask(service, platform))["refunds"] == ("debit", 10_000)

    async def test_a_moment_may_be_in_any_time_zone(self, platform: Platform, service: Served) -> None:
        await charged(platform, 10_000)
        taken = await booked_at(platform, "PaymentCaptured")
        for text in (f"{taken:%Y-%m-%dT%H:%M:%S.%f}Z", _shifted(taken, "+05:30"), _shifted(taken, "-11:00")):
            body = await ask(service, platform, at=text)
            assert datetime.fromisoformat(body["at"]) == taken
            assert accounts(body)["campaign_payable"] == ("credit", 10_000)

    async def test_the_future_is_now(self, platform: Platform, service: Served) -> None:
        await charged(platform, 10_000)
        for text in ("2199-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59"):
            body = await ask(service, platform, at=text)
            assert datetime.fromisoformat(body["at"]) <= datetime.now(UTC) + timedelta(seconds=5)
            assert accounts(body)["campaign_payable"] == ("credit", 10_000)

    async def test_before_everything_there_is_nothing(self, platform: Platform, service: Served) -> None:
        await charged(platform, 10_000)
        for text in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"):
            assert accounts(await ask(service, platform, at=text)) == {}

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2027-03-01", "2027-03-01T12:00:00", "2027-02-30T12:00:00Z", "10000-01-01T00:00:00Z"]
    )
    async def test_a_moment_that_is_none_or_has_no_time_zone_is_refused(
        self, platform: Platform, service: Served, text: str
    ) -> None:
        answer = await ledger(service, platform, at=text)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert text == "" or text not in answer.text  # an error document never echoes input (DOMAIN H4)


def _shifted(moment: datetime, offset: str) -> str:
    """The same moment as a clock elsewhere shows it."""
    zone = datetime.fromisoformat(f"2027-03-01T00:00:00{offset}").tzinfo
    return moment.astimezone(zone).isoformat()


class TestPostings:
    async def test_are_turned_page_by_page_the_newest_first(self, platform: Platform, service: Served) -> None:
        await held(platform, 1_000, 2_000, 3_000, 4_000, 5_000)
        whole = (await postings(service, platform)).json()
        assert [_amount(one) for one in whole["items"]] == [5_000, 4_000, 3_000, 2_000, 1_000]
        assert whole["links"]["next"] is None

        creator = service.bearer(platform.creator_id, Role.CREATOR)
        pages = [(await postings(service, platform, limit=2)).json()]
        while following := pages[-1]["links"]["next"]:
            pages.append((await service.http.get(following, headers=creator)).json())
        assert [len(page["items"]) for page in pages] == [2, 2, 1]
        assert [one for page in pages for one in page["items"]] == whole["items"]

    async def test_the_last_full_page_says_that_it_is_the_last(self, platform: Platform, service: Served) -> None:
        await held(platform, 1_000, 2_000)
        page = (await postings(service, platform, limit=2)).json()
        assert (len(page["items"]), page["links"]["next"]) == (2, None)

    async def test_what_is_booked_between_two_pages_is_on_neither(self, platform: Platform, service: Served) -> None:
        await held(platform, 1_000, 2_000, 3_000)
        first = (await postings(service, platform, limit=2)).json()
        await held(platform, 4_000)
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        rest = (await service.http.get(first["links"]["next"], headers=creator)).json()
        assert [_amount(one) for one in first["items"] + rest["items"]] == [3_000, 2_000, 1_000]

    async def test_each_sums_to_zero_and_names_the_hold_that_it_ends(self, platform: Platform, service: Served) -> None:
        placed = platform.placed(10_000)
        await platform.tell(placed, platform.capture(placed))
        await platform.until_said(placed.pledge_id, PaymentCaptured)
        taken, hold = (await postings(service, platform)).json()["items"]
        assert (hold["phase"], hold["pending_id"], taken["pending_id"]) == ("pending", None, hold["posting_id"])
        assert (hold["event"], taken["event"]) == ("payment.PaymentAuthorized.v1", "payment.PaymentCaptured.v1")
        assert {one["pledge_id"] for one in (hold, taken)} == {str(placed.pledge_id)}
        for one in (hold, taken):
            assert sum(_signed(entry) for entry in one["entries"]) == 0

    async def test_the_providers_reference_is_for_operators(self, platform: Platform, service: Served) -> None:
        [placed] = await held(platform, 1_000)
        payment_id = (await platform.until_said(placed.pledge_id, PaymentAuthorized)).hold_id
        [mine] = (await postings(service, platform)).json()["items"]
        operator = service.bearer(new_id(), Role.OPERATOR)
        [theirs] = (await postings(service, platform, operator)).json()["items"]
        assert (mine["reference"], theirs["reference"]) == (None, payment_id)
        assert {**mine, "reference": payment_id} == theirs

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "eA",
            "é",
            "?",
            urlsafe_b64encode(b"\xff" * 23).decode(),
            urlsafe_b64encode(b"\x7f" + b"\xff" * 23).decode(),
            urlsafe_b64encode(b"\x80" + b"\x00" * 23).decode(),
            "A" * 65,
        ],
    )
    async def test_a_cursor_that_no_page_has_made_is_refused(
        self, platform: Platform, service: Served, cursor: str
    ) -> None:
        answer = await postings(service, platform, cursor=cursor)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")

    @pytest.mark.parametrize("limit", [0, -1, PAGE_MAX + 1, "many", 10**30])
    async def test_a_page_has_a_size_that_can_be(self, platform: Platform, service: Served, limit: Any) -> None:
        assert (await postings(service, platform, limit=limit)).status_code == 422


class TestWhoMay:
    @pytest.mark.parametrize("page", [ledger, postings])
    async def test_the_creator_and_operators_and_nobody_else(
        self, platform: Platform, service: Served, page: Any
    ) -> None:
        stranger, unknown = new_id(), replace(platform, campaign_id=CampaignId(new_id()))
        asked = [
            await page(service, platform, service.bearer(platform.creator_id, Role.CREATOR)),
            await page(service, platform, service.bearer(stranger, Role.OPERATOR)),
            await page(service, platform, service.bearer(stranger, Role.BACKER)),
            await page(service, platform, service.bearer(platform.creator_id)),  # without a role
            await page(service, platform, {"X-Nobody": "1"}),
        ]
        assert [one.status_code for one in asked] == [200, 200, 403, 403, 401]
        theirs = await page(service, platform, service.bearer(stranger, Role.CREATOR))
        nobodys = await page(service, unknown, service.bearer(platform.creator_id, Role.CREATOR))
        assert (theirs.status_code, theirs.json()) == (404, nobodys.json())
        assert (await page(service, unknown, service.bearer(stranger, Role.OPERATOR))).status_code == 404


def _amount(hold: Any) -> int:
    [found] = [entry for entry in hold["entries"] if entry["side"] == "debit"]
    return int(found["balance"]["amount"])


def _signed(entry: Any) -> int:
    amount = int(entry["balance"]["amount"])
    return amount if entry["side"] == "debit" else -amount
