"""What everybody says about a campaign: its page, settlement, analytics, ledger, the provider's books, the mailbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from deploy.local.platform import Addresses
from scenarios.client import Client
from scenarios.model import Tally
from scenarios.play import Play

REQUEST_SECONDS: Final = 25.0
KIND: Final = "X-Groundswell-Notice"
CAMPAIGN: Final = "X-Groundswell-Campaign"


@dataclass(frozen=True)
class Books:
    """The provider's own lines and alarms about one campaign."""

    lines: dict[str, Tally]
    anomalies: dict[str, int]

    def __getitem__(self, kind: str) -> Tally:
        return self.lines.get(kind, Tally())


@dataclass(frozen=True)
class Mails:
    """By kind of notice. `repeated`: how many came more than once."""

    kinds: dict[str, int]
    messages: int
    repeated: int


@dataclass(frozen=True)
class Evidence:
    """`ledger` is by account, debits positive."""

    page: dict[str, Any]
    settlement: dict[str, Any]
    analytics: dict[str, Any]
    ledger: dict[str, int]
    books: Books
    mails: Mails


class Witnesses:
    """Asks the platform through the gateway, and the stand-ins at their own doors."""

    def __init__(self, client: Client, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses
        self._http = httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def about(self, play: Play) -> Evidence:
        path, token = f"/campaigns/{play.campaign_id}", play.cast.creator.token
        page, settlement, analytics, ledger, books, mails = await asyncio.gather(
            self._client.get(path),
            self._client.get(f"{path}/settlement", token),
            self._client.get(f"{path}/analytics", token),
            self._client.get(f"{path}/ledger", token),
            self._books(play),
            self._mails(play),
        )
        return Evidence(
            page.expect(200).body,
            settlement.expect(200).body,
            analytics.expect(200).body,
            _balances(ledger.expect(200).body),
            books,
            mails,
        )

    async def _books(self, play: Play) -> Books:
        document = (await self._http.get(f"{self._addresses.stripe_sandbox}/sandbox/books")).raise_for_status().json()
        lines = document["campaigns"].get(str(play.campaign_id), {}).get(play.scenario.campaign.currency.lower(), {})
        return Books(
            {kind: Tally(count=line["count"], amount=line["minor"]) for kind, line in lines.items()},
            {name: alarms(play, found) for name, found in document["anomalies"].items()},
        )

    async def _mails(self, play: Play) -> Mails:
        of_campaign = {"header": f"{CAMPAIGN}: {play.campaign_id}"}
        mailbox = self._addresses.mailbox
        kinds = await self._http.get(f"{mailbox}/counts", params=of_campaign | {"by": KIND})
        count = (await self._http.get(f"{mailbox}/count", params=of_campaign)).raise_for_status().json()
        return Mails(kinds.raise_for_status().json(), count["messages"], count["repeated"])


def alarms(play: Play, found: dict[str, Any]) -> int:
    """The provider names a hundred pledges at most; of the others it is not known whose they are, so they count."""
    own = {pledge.id for pledge in play.pledges}
    others: int = sum(named not in own for named in found["pledge_ids"])
    return int(found["count"]) - others


def _balances(ledger: dict[str, Any]) -> dict[str, int]:
    return {
        one["account"]: one["balance"]["amount"] * (-1 if one["side"] == "credit" else 1) for one in ledger["accounts"]
    }
