"""`payment stop | go | switches`: the kill switch (`switches.py`) from a shell; it needs the database alone."""

import getpass
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
import uvloop

from eventing.clock import DatabaseClock
from eventing.database import Pool, connect_pool
from eventing.settings import ServiceSettings, SettingsError, load
from payment import switches
from payment.switches import REASON_MAX, SWITCHES, Switch

EXIT_WRONG_SETTINGS = 2
T = TypeVar("T")


def _known(kind: str) -> str:
    if kind not in SWITCHES:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(SWITCHES)}")
    return kind


Kind = Annotated[str, typer.Argument(callback=_known, help=", ".join(SWITCHES))]


def add_commands(cli: typer.Typer, settings: type[ServiceSettings]) -> None:
    def ask(question: Callable[[Pool], Awaitable[T]]) -> T:
        return uvloop.run(_with_pool(_loaded(settings), question))

    @cli.command("stop")
    def stop_command(
        kind: Kind,
        reason: Annotated[str, typer.Option(help="For whoever finds it stopped", prompt=True)],
    ) -> None:
        """Stop calls of one kind to the provider, on every replica. What waits is kept."""
        text = reason.strip()[:REASON_MAX]
        if not text:
            raise typer.BadParameter("It must not be empty.", param_hint="--reason")
        ask(lambda pool: switches.stop(pool, DatabaseClock(), kind, getpass.getuser(), text))
        typer.echo(f"{kind}: stopped. Calls under way end by themselves.")

    @cli.command("go")
    def go_command(kind: Kind) -> None:
        """Let calls of one kind go on."""
        was = ask(lambda pool: switches.go(pool, kind))
        typer.echo(f"{kind}: {'goes on' if was else 'was not stopped'}.")

    @cli.command("switches")
    def switches_command(
        as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
    ) -> None:
        """What is stopped, and how many operations wait."""
        states = ask(switches.states)
        typer.echo(json.dumps([asdict(one) for one in states], default=str) if as_json else "\n".join(_table(states)))


def _table(states: Iterable[Switch]) -> Iterable[str]:
    yield f"{'kind':<10} {'waiting':>8} {'under way':>9}  state"
    for one in states:
        at = one.stopped_at
        state = f"stopped {at:%Y-%m-%d %H:%M:%S} by {one.stopped_by}: {one.reason}" if at else "goes"
        yield f"{one.kind:<10} {one.waiting:>8} {one.under_way:>9}  {state}"


async def _with_pool(settings: ServiceSettings, question: Callable[[Pool], Awaitable[T]]) -> T:
    async with await connect_pool(settings.database_url.get_secret_value(), "switches") as pool:
        return await question(pool)


def _loaded(settings: type[ServiceSettings]) -> ServiceSettings:
    try:
        return load(settings)
    except SettingsError as error:
        typer.echo(f"{settings.service}: settings are missing or wrong\n{error}", err=True)
        raise typer.Exit(EXIT_WRONG_SETTINGS) from None
