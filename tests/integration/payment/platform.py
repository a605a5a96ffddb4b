"""The payment service between its neighbours: told what they say, asked what it said, beside the sandbox's books."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic_core import from_json

from contracts.campaign import CampaignLaunched, FundingModel, PaymentStrategy, Policy
from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId, new_id
from contracts.money import Money
from contracts.pledge import PledgeCancelled, PledgeDeclined, PledgePlaced
from contracts.registry import PUBLIC_EVENTS
from contracts.settlement import CaptureRequested, PayoutRequested, VoidRequested
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from tests.integration.house import Stories

PATIENCE_SECONDS = 20.0
E = TypeVar("E", bound=Event)


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that another task or process does; an AssertionError when it does not happen in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@dataclass
class Sandbox:
    """The Stripe sandbox's own routes, and its API for looking things up."""

    address: str
    raw: httpx.AsyncClient

    async def fault(self, kind: str, **more: object) -> None:
        (await self.raw.post("/sandbox/faults", json={"kind": kind, **more})).raise_for_status()

    async def faults_left(self) -> int:
        return len((await self.raw.get("/sandbox/faults")).json()["faults"])

    async def books(self) -> Mapping[str, Any]:
        return dict((await self.raw.get("/sandbox/books")).raise_for_status().json())

    async def line(self, campaign_id: UUID, name: str) -> tuple[int, int]:
        """Count and minor units of one line of a campaign's books in EUR."""
        books = (await self.books())["campaigns"].get(str(campaign_id), {})
        line = books.get("eur", {}).get(name, {"count": 0, "minor": 0})
        return line["count"], line["minor"]

    async def anomalies(self) -> list[str]:
        return [name for name, entry in (await self.books())["anomalies"].items() if entry["count"]]


@dataclass
class Platform:
    """One campaign of a creator, told to a payment service."""

    commit: GroupCommit
    pool: Pool
    sandbox: Sandbox
    campaign_id: CampaignId = field(default_factory=lambda: CampaignId(new_id()))
    creator_id: PersonId = field(default_factory=lambda: PersonId(new_id()))
    stories: Stories = field(default_factory=Stories)

    async def tell(self, *events: Event) -> None:
        await self.commit.take_in(self.stories.tell(*events))

    def launched(self, model: FundingModel = FundingModel.ALL_OR_NOTHING) -> CampaignLaunched:
        now = datetime.now(UTC)
        return CampaignLaunched(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            title="A book",
            goal=euros(100_000),
            model=model,
            deadline=now + timedelta(days=30),
            policy=Policy(),
            launched_at=now,
        )

    def placed(self, minor: int = 5000, **changed: Any) -> PledgePlaced:
        now = datetime.now(UTC)
        given: dict[str, Any] = {
            "pledge_id": PledgeId(new_id()),
            "campaign_id": self.campaign_id,
            "backer_id": PersonId(new_id()),
            "amount": euros(minor),
            "country": "DE",
            "payment_method": "pm_card_visa",
            "strategy": PaymentStrategy.HOLD,
            "placed_at": now,
            "lease_until": now + timedelta(minutes=15),
        }
        return PledgePlaced(**(given | changed))

    def cancelled(self, placed: PledgePlaced) -> PledgeCancelled:
        return PledgeCancelled(**_fact(placed), cancelled_at=datetime.now(UTC), reason="backer")

    def declined(self, placed: PledgePlaced, reason: str = "lease_expired") -> PledgeDeclined:
        return PledgeDeclined(**_fact(placed), reason=reason)

    def capture(self, placed: PledgePlaced) -> CaptureRequested:
        return CaptureRequested(pledge_id=placed.pledge_id, campaign_id=self.campaign_id, amount=placed.amount)

    def void(self, placed: PledgePlaced) -> VoidRequested:
        return VoidRequested(pledge_id=placed.pledge_id, campaign_id=self.campaign_id)

    def payout(self, captured: int) -> PayoutRequested:
        return PayoutRequested(
            campaign_id=self.campaign_id, creator_id=self.creator_id, captured=euros(captured), platform_fee_bps=500
        )

    async def said(self, subject: UUID) -> list[Event]:
        """The public events that the service has recorded about a pledge or a campaign."""
        rows = await self.pool.fetch(
            "SELECT type, data FROM event WHERE source = 'payment' AND stream_id = $1 ORDER BY version", subject
        )
        return [
            PUBLIC_EVENTS[row["type"]].model_validate(from_json(row["data"]))
            for row in rows
            if row["type"] in PUBLIC_EVENTS
        ]

    async def until_said(self, subject: UUID, kind: type[E]) -> E:
        await until(lambda: self._has_said(subject, kind))
        (found,) = [event for event in await self.said(subject) if isinstance(event, kind)]
        return found

    async def _has_said(self, subject: UUID, kind: type[Event]) -> bool:
        return any(isinstance(event, kind) for event in await self.said(subject))

    async def until_quiet(self) -> None:
        """Until no operation is undecided."""
        await until(self._quiet)

    async def _quiet(self) -> bool:
        query = "SELECT NOT EXISTS (SELECT FROM operation WHERE decided_at IS NULL)"
        return bool(await self.pool.fetchval(query))

    async def operations(self, subject: UUID) -> list[tuple[str, int, str]]:
        """Kind, attempt and state of the operations about a pledge or campaign."""
        query = "SELECT kind, attempt, state FROM operation WHERE subject_id = $1 ORDER BY created_at, kind"
        return [(row["kind"], row["attempt"], row["state"]) for row in await self.pool.fetch(query, subject)]

    async def balances(self) -> dict[str, int]:
        """The campaign's ledger in EUR; debits are positive, zeros left out."""
        rows = await self.pool.fetch(
            "SELECT account, sum(amount)::bigint AS balance FROM entry WHERE campaign_id = $1 GROUP BY account",
            self.campaign_id,
        )
        return {row["account"]: row["balance"] for row in rows if row["balance"]}

    async def books_agree(self, *, swapped: bool = False) -> None:
        """The ledger says the same as the sandbox's books, and nobody was charged or held twice.

        `swapped`: a hold was taken before the one that it replaced was released, so two were alive for a moment.
        """
        held, captured, fees, refunded, transferred = [
            (await self.sandbox.line(self.campaign_id, name))[1]
            for name in ("held", "captured", "fees", "refunded", "transferred")
        ]
        ours = await self.balances()
        receivable = captured - fees - refunded - transferred
        assert (ours.get("holds", 0), ours.get("refunds", 0), ours.get("payouts", 0)) == (held, refunded, transferred)
        assert ours.get("provider_receivable", 0) == receivable
        assert sum(ours.values()) == 0
        assert set(await self.sandbox.anomalies()) == ({"two_live_holds_ever"} if swapped else set())


def _fact(placed: PledgePlaced) -> dict[str, Any]:
    return {
        "pledge_id": placed.pledge_id,
        "campaign_id": placed.campaign_id,
        "backer_id": placed.backer_id,
        "amount": placed.amount,
        "country": placed.country,
    }
