"""A backer changes amount and card through the gateway, and all who keep books follow (DOMAIN P6, C7, M4)."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from deploy.local.plain_http import NO_TLS
from deploy.local.platform import LocalPlatform

REST_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
Found = dict[str, Any]


def euros(minor: int) -> Found:
    return {"amount": minor, "currency": "EUR"}


@dataclass(frozen=True)
class Story:
    """One campaign with one pledge of 25 euros, asked about in every place that knows of it."""

    http: httpx.AsyncClient
    creator: str
    backer: str
    sandbox: str
    campaign: str = ""
    pledge: str = ""

    async def send(self, method: str, path: str, token: str, body: Found, **headers: str) -> httpx.Response:
        headers |= {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
        return await self.http.request(method, path, json=body, headers=headers)

    async def see(self, path: str, token: str) -> httpx.Response:
        return (await self.http.get(path, headers={"Authorization": f"Bearer {token}"})).raise_for_status()

    async def shown(self) -> Found:
        found: Found = (await self.see(self.pledge, self.backer)).json()
        return found

    async def public(self) -> tuple[int, Found]:
        page = (await self.see(self.campaign, self.backer)).json()
        return page["backers"], page["pledged"]

    async def held_in_ledger(self) -> int:
        """What the payment service holds for the campaign, by its own books."""
        accounts = (await self.see(f"{self.campaign}/ledger", self.creator)).json()["accounts"]
        return sum(one["balance"]["amount"] for one in accounts if one["account"] == "holds")

    async def books(self) -> tuple[dict[str, tuple[int, int]], set[str]]:
        """What the provider has of the campaign, and which alarms it has about the pledge."""
        books = (await self.http.get(f"{self.sandbox}/sandbox/books")).raise_for_status().json()
        campaign_id, pledge_id = (path.rpartition("/")[2] for path in (self.campaign, self.pledge))
        lines = books["campaigns"][campaign_id]["eur"]
        alarms = {name for name, one in books["anomalies"].items() if pledge_id in one["pledge_ids"]}
        return {kind: (line["count"], line["minor"]) for kind, line in lines.items() if line["count"]}, alarms


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + REST_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "it does not come to rest"
        await asyncio.sleep(POLL_SECONDS)


async def launched(story: Story) -> str:
    draft = {"title": "A lamp", "story": "It glows.", "goal": euros(100_000), "model": "all_or_nothing"}
    draft["deadline"] = (datetime.now(UTC) + timedelta(days=5)).isoformat()
    path = f"/campaigns/{(await story.send('POST', '/campaigns', story.creator, draft)).json()['id']}"
    (await story.send("POST", f"{path}/launch", story.creator, {})).raise_for_status()
    return path


@pytest.fixture
async def story(platform: LocalPlatform) -> AsyncIterator[Story]:
    """Up to the authorized pledge."""
    mint, addresses = platform.mint, platform.addresses
    people = mint(uuid.uuid4(), ["creator"]), mint(uuid.uuid4(), ["backer"])
    async with httpx.AsyncClient(verify=NO_TLS, base_url=addresses.gateway, timeout=30) as http:
        begun = Story(http, *people, addresses.stripe_sandbox)
        told = replace(begun, campaign=await launched(begun))
        wish = {"amount": euros(2500), "payment_method": "pm_card_visa", "country": "DE"}
        placed: list[httpx.Response] = []

        async def taken() -> bool:  # Right after the launch the pledge service may not have heard of it.
            placed.append(await told.send("POST", f"{told.campaign}/pledges", told.backer, wish))
            return placed[-1].status_code == 201

        await until(taken)
        told = replace(told, pledge=placed[-1].json()["links"]["self"])
        await until(lambda: is_so(told.public, (1, euros(2500))))
        assert (await told.shown())["status"] == "authorized"
        yield told


async def is_so(ask: Callable[[], Awaitable[object]], expected: object) -> bool:
    return await ask() == expected


async def test_a_new_hold_is_taken_before_the_old_is_released_and_all_totals_follow(story: Story) -> None:
    seen = (await story.see(story.pledge, story.backer)).headers["ETag"]
    wish = {"amount": euros(4000), "payment_method": "pm_card_mastercard"}
    answer = await story.send("PATCH", story.pledge, story.backer, wish, **{"If-Match": seen})
    assert (answer.status_code, answer.json()["undecided"], answer.json()["amount"]) == (202, True, euros(2500))

    await until(lambda: is_so(story.public, (1, euros(4000))))
    shown = await story.shown()
    assert (shown["status"], shown["amount"], shown["change"]) == ("authorized", euros(4000), None)
    one_hold = {"authorized": (2, 6500), "voided": (1, 2500), "held": (1, 4000)}
    await until(lambda: is_so(story.books, (one_hold, {"two_live_holds_ever"})))  # both lived at the same moment
    await until(lambda: is_so(story.held_in_ledger, 4000))
    late = await story.send("PATCH", story.pledge, story.backer, {"amount": euros(5000)}, **{"If-Match": seen})
    assert (late.status_code, late.json()["type"]) == (412, "/problems/changed-meanwhile")


async def test_a_declined_change_leaves_the_pledge_and_its_hold(story: Story) -> None:
    wish = {"amount": euros(4000), "payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
    assert (await story.send("PATCH", story.pledge, story.backer, wish)).status_code == 202

    async def dropped() -> bool:
        change = (await story.shown())["change"]
        return bool(change["decide_by"] is None)

    await until(dropped)
    shown = await story.shown()
    assert (shown["status"], shown["amount"], shown["change"]["reason"]) == (
        "authorized",
        euros(2500),
        "insufficient_funds",
    )
    assert await story.public() == (1, euros(2500))
    lines, alarms = await story.books()
    assert (lines.pop("declined")[0], lines, alarms) == (1, {"authorized": (1, 2500), "held": (1, 2500)}, set())
    assert await story.held_in_ledger() == 2500


async def test_a_bank_that_wants_the_backer_is_passed_through_the_gateway(story: Story) -> None:
    """3-D Secure (DOMAIN P5): the pledge shows the way, the payment service opens it, a webhook ends it."""
    wish = {"amount": euros(4000), "payment_method": "pm_card_authenticationRequired"}
    assert (await story.send("PATCH", story.pledge, story.backer, wish)).status_code == 202

    async def wanted() -> bool:
        return (await story.shown())["next_action"] is not None

    await until(wanted)
    shown = await story.shown()
    assert (shown["status"], shown["amount"]) == ("authorized", euros(2500))  # the pledge stands as it was
    link = shown["next_action"]["link"]
    hidden = await story.http.get(link, headers={"Authorization": f"Bearer {story.creator}"})
    assert hidden.status_code == 403
    secret: str = (await story.see(link, story.backer)).json()["client_secret"]
    bank = f"{story.sandbox}/sandbox/authenticate/{secret.partition('_secret_')[0]}"
    (await story.http.post(bank, data={"result": "passed"})).raise_for_status()
    await until(lambda: is_so(story.public, (1, euros(4000))))
    shown = await story.shown()
    assert (shown["status"], shown["amount"], shown["next_action"]) == ("authorized", euros(4000), None)
