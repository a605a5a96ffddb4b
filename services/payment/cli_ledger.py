"""The operator's commands for the books: `payment ledger` and `payment audit`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import typer
from pydantic_core import to_json

from eventing.clock import DatabaseClock
from eventing.database import connect_pool
from eventing.service import CommandError, runner
from eventing.settings import ServiceSettings
from payment import audit, queries_ledger
from payment.audit import Auditor, Report
from payment.ledger import Account
from payment.stripe_gateway import StripeProvider

BIG: Final = 20_000  # From here on an audit says how far it is, at each step of this size.

S = TypeVar("S", bound=ServiceSettings)
AsJson = Annotated[bool, typer.Option("--json", help="For programs")]


def add_commands(cli: typer.Typer, settings: type[S], provider_of: Callable[[S], StripeProvider]) -> None:
    run = runner(settings)

    @cli.command("ledger")
    def ledger(
        campaign: UUID,
        at: Annotated[datetime | None, typer.Option(help="As the books were then (UTC); default: now")] = None,
        as_json: AsJson = False,
    ) -> None:
        """A campaign's balances, now or at a past moment."""
        run(lambda loaded: _ledger(loaded, campaign, at, as_json=as_json))

    @cli.command("audit")
    def audit_books(
        campaign: Annotated[UUID | None, typer.Option(help="Only this one")] = None,
        ledger_only: Annotated[bool, typer.Option(help="Do not ask the provider")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Compare the ledger with the recorded events and the provider's movements; fails if anything differs."""

        async def command(loaded: S) -> None:
            provider = None if ledger_only else provider_of(loaded)
            try:
                report = await _audited(loaded, provider, campaign)
            finally:
                if provider is not None:
                    await provider.close()
            typer.echo(to_json(report, indent=2).decode() if as_json else _told(report))
            if report.found:
                raise CommandError(f"{report.found} differences")

        run(command)


async def _ledger(settings: ServiceSettings, campaign_id: UUID, at: datetime | None, *, as_json: bool) -> str:
    async with await connect_pool(settings.database_url.get_secret_value(), "ledger") as pool, pool.acquire() as one:
        moment = (at if at.tzinfo else at.replace(tzinfo=UTC)) if at else await DatabaseClock().now(one)
        balances = await queries_ledger.balances_at(one, campaign_id, moment)
    if as_json:
        shown = [_Balance(account, currency, minor) for currency, account, minor in balances]
        return to_json({"campaign_id": campaign_id, "at": moment, "accounts": shown}, indent=2).decode()
    rows = ((account, *_sides(minor), currency) for currency, account, minor in balances)
    return table((("account", "debit", "credit", "currency"), *rows))


@dataclass(frozen=True)
class _Balance:
    """Minor units; debits are positive."""

    account: Account
    currency: str
    balance: int


def _sides(minor: int) -> tuple[str, str]:
    return (f"{minor}", "") if minor >= 0 else ("", f"{-minor}")


async def _audited(settings: ServiceSettings, provider: StripeProvider | None, campaign_id: UUID | None) -> Report:
    told: dict[str, int] = {}

    def progress(what: str, count: int) -> None:
        if count // BIG > told.get(what, 0):
            told[what] = count // BIG
            typer.echo(f"{count} {what} …", err=True)

    async with await connect_pool(settings.database_url.get_secret_value(), "audit") as pool:
        return await Auditor(pool, provider, campaign_id, progress).run()


def _told(report: Report) -> str:
    asked = "the provider was not asked" if report.movements is None else f"{report.movements} movements"
    own = f", {report.own_movements} of them of no campaign" if report.own_movements else ""
    summary = f"{report.facts} facts, {report.postings} postings, {report.entries} entries, {asked}{own}"
    if not report.found:
        return f"{summary}: everything agrees"
    hidden = report.found - len(report.differences)
    more = [f"and {hidden} more"] if hidden else []
    return "\n".join([summary, table(audit.rows_of(report)), *more])


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    found = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in found
    )
