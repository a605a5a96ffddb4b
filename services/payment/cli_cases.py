"""Operators' commands beside those of every service: `payment cases …`. Tables for people, `--json` for programs."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from eventing.database import Pool, connect_pool
from eventing.refusal import Refusal
from eventing.runtime import running
from eventing.service import CommandError, Run, runner
from eventing.settings import ServiceSettings
from payment import queries_cases
from payment.api_cases import LIST_MAX, CaseOut, CommentBody, ResolveBody, WholeCase, shown, shown_whole
from payment.cases import CaseKind, CaseState
from payment.handlers import DEFINITION
from payment.handlers_cases import CommentCase, ResolveCase
from payment.match import DailyMatch, Matched
from payment.stripe_gateway import StripeProvider

S = TypeVar("S", bound=ServiceSettings)

AsJson = Annotated[bool, typer.Option("--json", help="For programs")]
BY: Final = typer.Option(help="The id of the operator who says so; it is kept")


def add_commands(cli: typer.Typer, settings: type[S], provider_of: Callable[[S], StripeProvider]) -> None:
    run = runner(settings)
    cases = typer.Typer(no_args_is_help=True, help="What a person has to look at")
    cli.add_typer(cases, name="cases")
    _add_reads(cases, run)
    _add_writes(cases, run)

    @cli.command("match")
    def match_(
        day: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Yesterday (UTC), if not given")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Match a day's movements at the provider with the ledger, both ways. Cases open and close; no money moves."""

        async def command(loaded: S) -> str:
            provider = provider_of(loaded)
            try:
                async with running(loaded, DEFINITION, consume=False) as runtime:
                    matching = DailyMatch(runtime.pool, runtime.commit, runtime.clock, provider.movements)
                    found = await matching.match(day.date() if day else await matching.yesterday())
            finally:
                await provider.close()
            return TypeAdapter(Matched).dump_json(found, indent=2).decode() if as_json else matched(found)

        run(command)


def _add_reads(cases: typer.Typer, run: Run[S]) -> None:
    @cases.command("list")
    def list_(
        state: Annotated[CaseState | None, typer.Option(help="Only these; without it all")] = None,
        kind: Annotated[CaseKind | None, typer.Option(help="Only of this kind")] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIST_MAX, help="So many at most, the newest first")] = LIST_MAX,
        as_json: AsJson = False,
    ) -> None:
        """The newest first."""

        async def command(loaded: S) -> str:
            async with _pool(loaded) as pool:
                found, _ = await queries_cases.listed(pool, state=state, kind=kind, after=None, limit=limit)
            return listed([shown(case) for case in found], as_json=as_json)

        run(command)

    @cases.command()
    def show(
        case_id: UUID,
        as_json: AsJson = False,
    ) -> None:
        """One of them, with what was said of it and the operation that it is about."""

        async def command(loaded: S) -> str:
            async with _pool(loaded) as pool:
                found = await queries_cases.whole(pool, case_id)
            if found is None:
                raise CommandError(f"There is no case {case_id}.")
            whole = shown_whole(found)
            return whole.model_dump_json(indent=2) if as_json else page(whole)

        run(command)


def _add_writes(cases: typer.Typer, run: Run[S]) -> None:
    @cases.command()
    def comment(case_id: UUID, text: str, by: Annotated[UUID, BY], as_json: AsJson = False) -> None:
        """Say something about a case. No names, addresses or card data."""

        async def command(loaded: S) -> str:
            said = CommentCase(case_id, by, _checked(CommentBody, text))
            return await _execute(loaded, said, "said", as_json=as_json)

        run(command)

    @cases.command()
    def resolve(
        case_id: UUID,
        by: Annotated[UUID, BY],
        text: Annotated[str, typer.Option(help="Why; kept as a comment")] = "",
        resume: Annotated[bool, typer.Option("--resume", help="Let the payment or payout that stopped go on")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Resolve a case. Nothing but the case changes, unless its payment is to go on."""

        async def command(loaded: S) -> str:
            resolved = ResolveCase(case_id, by, _checked(ResolveBody, text), resume=resume)
            return await _execute(loaded, resolved, "resolved", as_json=as_json)

        run(command)


def _checked(body: type[CommentBody | ResolveBody], text: str) -> str:
    """As strict as over HTTP."""
    try:
        return body(text=text).text
    except ValidationError as error:
        raise CommandError(f"This text cannot be kept. {error.errors()[0]['msg']}.") from None


@asynccontextmanager
async def _pool(loaded: ServiceSettings) -> AsyncIterator[Pool]:
    async with await connect_pool(loaded.database_url.get_secret_value(), "cases") as pool:
        yield pool


async def _execute(loaded: ServiceSettings, command: Any, done: str, *, as_json: bool) -> str:
    try:
        async with running(loaded, DEFINITION, consume=False) as runtime:
            answer = await runtime.commit.execute(command)
    except Refusal as refusal:
        raise CommandError(f"{refusal.title}. {refusal.detail}") from None
    return to_json(answer, indent=2).decode() if as_json else done


def listed(found: Sequence[CaseOut], *, as_json: bool) -> str:
    if as_json:
        return TypeAdapter(list[CaseOut]).dump_json(list(found), indent=2).decode()
    if not found:
        return "No cases. Nothing waits for a person."
    rows = [(f"{c.opened_at:%Y-%m-%d %H:%M}", c.state, c.kind, str(c.case_id), c.summary) for c in found]
    return table(("opened (UTC)", "state", "kind", "case", "summary"), rows)


def page(case: WholeCase) -> str:
    about = {**case.model_dump(mode="json", exclude={"comments", "operation", "links"})}
    parts = [_pairs(about)]
    if case.operation is not None:
        operation = case.operation
        amount = f"{operation.amount.amount} {operation.amount.currency} (minor units)"
        parts.append("operation\n" + _pairs(operation.model_dump(mode="json") | {"amount": amount}))
    said = [(f"{c.at:%Y-%m-%d %H:%M}", str(c.author or "the platform"), c.text) for c in case.comments]
    parts.append(table(("at (UTC)", "by", "comment"), said) if said else "No comments.")
    return "\n\n".join(parts)


def matched(found: Matched) -> str:
    """A day's match for people."""
    head = f"{found.day}: {found.movements} movements, {found.postings} postings, {len(found.differences)} differences"
    if not found.differences:
        return f"{head}. All of it agrees."
    rows = [(one.about, str(one.campaign_id or "-"), one.what) for one in found.differences]
    return f"{head}\n\n" + table(("about", "campaign", "difference"), rows)


def _pairs(values: dict[str, Any]) -> str:
    width = max(map(len, values))
    return "\n".join(f"{name:<{width}}  {'-' if value is None else value}" for name, value in values.items())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what is in them; the last one may run on."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    lines = (head, ["-" * len(name) for name in head], *rows)
    return "\n".join("  ".join([*map(str.ljust, line, widths), line[-1]]) for line in lines)
