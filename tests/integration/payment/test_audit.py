"""`payment audit` finds what differs between events, ledger and provider, and is quiet otherwise (DOMAIN M3, Y6)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest
from typer.testing import Result

from contracts.campaign import PaymentStrategy
from contracts.ids import CampaignId, PersonId, new_id
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentVoided, PayoutSent
from contracts.pledge import PledgePlaced
from deploy.local.provision import Provisioned
from deploy.local.servers import Servers
from payment import audit
from payment.audit import Auditor, Difference, Report, Wrong
from payment.cases import CaseKind
from payment.handlers_cases import OpenCase
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.payment.command_line import payment, payment_process
from tests.integration.payment.conftest import TIMEOUT_SECONDS
from tests.integration.payment.platform import Platform

CHARGE = {
    "amount": 700,
    "currency": "eur",
    "payment_method": "pm_card_visa",
    "confirm": "true",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}


@pytest.fixture
async def provider(platform: Platform) -> AsyncIterator[StripeProvider]:
    made = StripeProvider(API_KEY, platform.sandbox.address, TIMEOUT_SECONDS * 5)
    yield made
    await made.close()


@asynccontextmanager
async def unguarded(servers: Servers, provisioned: Provisioned) -> AsyncIterator[asyncpg.Connection]:
    """A superuser for whom no trigger and no foreign key works."""
    address = urlsplit(servers.backing.postgres_url)
    database = urlsplit(provisioned.database_urls["payment"]).path
    connection = await asyncpg.connect(urlunsplit(address._replace(path=database)))
    await connection.execute("SET search_path = payment; SET session_replication_role = replica")
    yield connection
    await connection.close()


async def busy(platform: Platform) -> dict[str, PledgePlaced]:
    """One of each: held, voided, captured in two phases, charged, and a payout."""
    now = PaymentStrategy.IMMEDIATE
    placed = {name: platform.placed(minor) for name, minor in (("held", 1_000), ("voided", 2_000), ("captured", 3_000))}
    placed["charged"] = platform.placed(4_000, strategy=now)
    await platform.tell(*placed.values())
    for name, one in placed.items():
        await platform.until_said(one.pledge_id, PaymentCaptured if name == "charged" else PaymentAuthorized)
    await platform.tell(platform.cancelled(placed["voided"]), platform.capture(placed["captured"]))
    await platform.until_said(placed["voided"].pledge_id, PaymentVoided)
    await platform.until_said(placed["captured"].pledge_id, PaymentCaptured)
    await platform.tell(platform.payout(7_000))
    await platform.until_said(platform.campaign_id, PayoutSent)
    await platform.until_quiet()
    return placed


async def audited(platform: Platform, provider: StripeProvider | None, campaign_id: UUID | None = None) -> Report:
    return await Auditor(platform.pool, provider, campaign_id).run()


def kinds(differences: list[Difference]) -> list[Wrong]:
    return [one.kind for one in differences]


class TestCleanBooks:
    async def test_agree_in_chunks_of_any_size(
        self, platform: Platform, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await audited(platform, provider) == Report(movements=0)
        await busy(platform)
        report = await audited(platform, provider)
        assert report.differences == []
        # holds 3, void, capture, charge, payout; the charge is two postings
        assert (report.facts, report.postings, report.movements, report.own_movements) == (7, 8, 3, 0)
        assert report.entries == 4 * 2 + 2 + 2 * 6 + 6
        for chunk in (1, 2, 3):
            monkeypatch.setattr(audit, "CHUNK_ROWS", chunk)
            monkeypatch.setattr(audit, "POSTINGS_CHUNK", chunk)
            assert await audited(platform, provider) == report

    async def test_of_one_campaign_are_read_alone(self, platform: Platform, provider: StripeProvider) -> None:
        await busy(platform)
        other = replace(platform, campaign_id=CampaignId(new_id()), creator_id=PersonId(new_id()))
        await other.tell(other.launched())
        charged = other.placed(900, strategy=PaymentStrategy.IMMEDIATE)
        await other.tell(charged)
        await other.until_said(charged.pledge_id, PaymentCaptured)
        mine = await audited(platform, provider, other.campaign_id)
        assert (mine.facts, mine.postings, mine.differences) == (1, 2, [])
        (await platform.sandbox.raw.post("/v1/payment_intents", data=CHARGE)).raise_for_status()
        assert (await audited(platform, provider, other.campaign_id)).differences == []
        assert kinds((await audited(platform, provider)).differences) == [Wrong.UNKNOWN_MOVEMENT]


class TestDifferences:
    async def test_in_the_ledger_are_found(
        self, platform: Platform, provider: StripeProvider, servers: Servers, provisioned: Provisioned
    ) -> None:
        placed = await busy(platform)
        strange, orphan = new_id(), new_id()
        enter = (
            "INSERT INTO entry (posting_id, line, campaign_id, account, amount, currency, booked_at)"
            " VALUES ($1, $2, $3, $4, $5, 'EUR', now())"
        )
        async with unguarded(servers, provisioned) as root:
            await root.execute(  # smuggled in, and balanced
                "INSERT INTO posting (posting_id, campaign_id, pledge_id, event, booked_at, phase, reference)"
                " VALUES ($1, $2, $3, 'payment.PaymentRefunded.v1', now(), 'plain', 're_none')",
                strange,
                platform.campaign_id,
                placed["charged"].pledge_id,
            )
            for line, (account, amount) in enumerate((("refunds", 9), ("provider_receivable", -9))):
                await root.execute(enter, strange, line, platform.campaign_id, account, amount)
            await root.execute(enter, orphan, 1, platform.campaign_id, "payouts", 5)
            for delete in ("DELETE FROM entry WHERE posting_id IN", "DELETE FROM posting WHERE posting_id IN"):
                query = "(SELECT posting_id FROM posting WHERE pledge_id = $1)"
                await root.execute(f"{delete} {query}", placed["held"].pledge_id)
            await root.execute(  # off by one, and still balanced
                "UPDATE entry SET amount = amount + sign(amount) WHERE account IN ('holds', 'hold_promises')"
                " AND posting_id = (SELECT posting_id FROM posting WHERE pledge_id = $1 AND phase = 'void')",
                placed["voided"].pledge_id,
            )
            await root.execute("UPDATE posting SET phase = 'plain', pending_id = NULL WHERE phase = 'post'")
        found = (await audited(platform, provider)).differences
        about = {(one.kind, one.pledge_id): (one.expected, one.found) for one in found}
        assert len(found) == len(about) == 6
        assert about[Wrong.NO_FACT, placed["charged"].pledge_id] == (
            "nothing",
            "refunds 9 EUR, provider_receivable -9 EUR",
        )
        assert about[Wrong.NO_POSTING, None] == ("nothing", "payouts 5 EUR")
        assert about[Wrong.NOT_BOOKED, placed["held"].pledge_id] == (
            "holds 1000 EUR, hold_promises -1000 EUR",
            "nothing",
        )
        assert about[Wrong.BOOKED_OTHERWISE, placed["voided"].pledge_id] == (
            "hold_promises 2000 EUR, holds -2000 EUR",
            "hold_promises 2001 EUR, holds -2001 EUR",
        )
        for name in ("captured", "charged"):
            expected, phase = about[Wrong.BOOKED_OTHERWISE, placed[name].pledge_id]
            assert (expected.startswith("post of "), phase) == (True, "plain")
        unasked = await audited(platform, None)
        assert (unasked.differences, unasked.movements) == (found, None)

    async def test_at_the_provider_are_found(
        self, platform: Platform, provider: StripeProvider, servers: Servers, provisioned: Provisioned
    ) -> None:
        placed = await busy(platform)
        captured = await platform.until_said(placed["captured"].pledge_id, PaymentCaptured)
        raw = platform.sandbox.raw
        strange = (await raw.post("/v1/payment_intents", data=CHARGE)).raise_for_status().json()
        back = {"payment_intent": captured.hold_id, "amount": 500}
        (await raw.post("/v1/refunds", data=back)).raise_for_status()
        found = (await audited(platform, provider)).differences
        assert sorted(one.about for one in found) == sorted((strange["id"], captured.hold_id))
        assert set(kinds(found)) == {Wrong.UNKNOWN_MOVEMENT}

        (await raw.post("/sandbox/reset")).raise_for_status()  # and now nothing of ours has moved
        found = (await audited(platform, provider)).differences
        assert kinds(found) == [Wrong.NO_MOVEMENT] * 3
        charged = next(one for one in found if one.pledge_id == placed["charged"].pledge_id)
        assert (charged.expected, charged.found) == ("3915 EUR", "nothing")
        async with unguarded(servers, provisioned) as root:
            await root.execute("DELETE FROM entry; DELETE FROM posting; DELETE FROM event WHERE source = 'payment'")
        assert await audited(platform, provider) == Report(movements=0)

    async def test_amounts_off_by_one_are_found_on_both_sides(
        self, platform: Platform, provider: StripeProvider, servers: Servers, provisioned: Provisioned
    ) -> None:
        placed = await busy(platform)
        async with unguarded(servers, provisioned) as root:
            await root.execute(
                "UPDATE entry SET amount = amount + CASE account WHEN 'provider_receivable' THEN 1 ELSE -1 END"
                " WHERE (account, line) IN (('provider_receivable', 3), ('campaign_payable', 4))"
                " AND posting_id = (SELECT posting_id FROM posting WHERE pledge_id = $1 AND phase = 'post')",
                placed["charged"].pledge_id,
            )
        found = (await audited(platform, provider)).differences
        assert kinds(found) == [Wrong.BOOKED_OTHERWISE, Wrong.OTHER_AMOUNT]
        assert "provider_receivable 4001 EUR" in found[0].found
        assert found[1].expected == "3916 EUR"

    async def test_past_the_limit_are_counted(
        self, platform: Platform, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "DIFFERENCES_MAX", 1)
        for _ in range(3):
            (await platform.sandbox.raw.post("/v1/payment_intents", data=CHARGE)).raise_for_status()
        report = await audited(platform, provider)
        assert (report.found, len(report.differences)) == (3, 1)


class TestCommands:
    """As an operator runs them."""

    async def test_tell_people_and_programs_what_they_found(self, platform: Platform, provisioned: Provisioned) -> None:
        async def run(*arguments: str) -> Result:
            return await payment(provisioned, *arguments, stripe=platform.sandbox.address)

        placed, campaign_id = await busy(platform), str(platform.campaign_id)
        clean = await run("audit")
        assert clean.stdout == "7 facts, 8 postings, 28 entries, 3 movements: everything agrees\n"
        assert clean.exit_code == 0
        assert "holds                1000" in (await run("ledger", campaign_id)).stdout
        past = await run("ledger", campaign_id, "--at", "2020-01-01T00:00:00", "--json")
        assert json.loads(past.stdout)["accounts"] == []

        (await platform.sandbox.raw.post("/v1/payment_intents", data=CHARGE)).raise_for_status()
        wrong = await run("audit")
        assert (wrong.exit_code, wrong.stderr.strip()) == (1, "1 differences")
        assert "unknown movement" in wrong.stdout
        told = await run("audit", "--json")
        assert (told.exit_code, json.loads(told.stdout)["found"]) == (1, 1)
        unasked = await run("audit", "--ledger-only", "--campaign", str(new_id()))
        assert (unasked.exit_code, unasked.stdout.split(",")[0]) == (0, "0 facts")
        assert placed["held"].amount.amount == 1_000

    async def test_are_programs_that_say_nothing_else(self, platform: Platform, provisioned: Provisioned) -> None:
        """At the usual level of logs, so that what they print can be read by another program."""

        async def run(*arguments: str) -> Any:
            done = await payment_process(provisioned, *arguments, stripe=platform.sandbox.address)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        assert (await run("audit", "--json"))["found"] == 0
        await platform.commit.execute(OpenCase(CaseKind.DRIFT, "txn_1", "txn_1 differs"))
        (case,) = await run("cases", "list", "--json")
        resolved = await run("cases", "resolve", case["case_id"], "--by", str(new_id()), "--json")
        assert resolved["state"] == "resolved"
