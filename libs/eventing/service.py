"""The command line of a service, `<service> serve | migrate | rebuild | republish | parked`, and its life as a process.

A service names its settings, how to build its app and its commands in `app.py`; everything around that is here.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Generic, Protocol, TypeVar

import structlog
import typer
import uvicorn
import uvloop
from fastapi import FastAPI

from eventing import log
from eventing.settings import ServiceSettings, SettingsError, load

STOP_SECONDS = 10  # Answers under way get this long after SIGTERM; orchestrators kill after 30.
IDLE_SECONDS = 75  # A client that keeps connections must give one up before we do, or a command meets a closed door.
BACKLOG = 4_096  # Ten thousand checkouts at once arrive as a burst of connections.
# The 2 000 events that a consumer has on its way are 42 000 objects, none of them garbage: looking through them again
# and again took up to a third of its time.
GARBAGE_OBJECTS = 50_000
EXIT_FORCED = 130
EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2

S = TypeVar("S", bound=ServiceSettings)
S_contra = TypeVar("S_contra", bound=ServiceSettings, contravariant=True)

logger = structlog.get_logger()


class CommandError(Exception):
    """A command cannot be done. The text is for the operator; no traceback is shown."""


@dataclass(frozen=True)
class Republish:
    """Which events to publish again, of these types and recorded since then, and into which queue."""

    types: tuple[str, ...]
    since: datetime | None
    to: str


class Parked(Protocol[S_contra]):
    """What an operator does with events that could not be taken in."""

    async def list(self, settings: S_contra) -> Sequence[object]: ...

    async def show(self, settings: S_contra, parked_id: int) -> object: ...

    async def retry(self, settings: S_contra, parked_id: int | None) -> int:
        """Take in one again, or all. Returns how many went through."""

    async def discard(self, settings: S_contra, parked_id: int) -> None: ...


@dataclass(frozen=True)
class Commands(Generic[S]):
    """What stands behind the command line. `after_migrate` declares queues and bindings."""

    migrations: Path
    after_migrate: Callable[[S], Awaitable[None]]
    rebuild: Callable[[S, str | None], Awaitable[None]]
    republish: Callable[[S, Republish], Awaitable[int]]
    restored: Callable[[S], Awaitable[int]]
    parked: Parked[S]


# Opens all that a service needs, yields its app, and on leaving stops in order: take nothing more, finish the group,
# confirm, close.
Build = Callable[[S], AbstractAsyncContextManager[FastAPI]]

Command = Callable[[S], Awaitable[object]]  # what it gives, if not None, is printed
Run = Callable[[Command[S]], None]


def build_cli(name: str, settings: type[S], build: Build[S], commands: Commands[S]) -> typer.Typer:
    """The command line of a service, for its console script."""
    cli = typer.Typer(
        name=name, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=f"{name} service"
    )

    run = runner(settings)

    @cli.command("serve")
    def serve_command() -> None:
        """Serve HTTP, take in events, relay. SIGTERM stops it in order, a second one at once."""
        run(lambda loaded: serve(loaded, build))

    @cli.command()
    def migrate() -> None:
        """Bring schema, queues and bindings up to date."""
        run(lambda loaded: _migrate(loaded, commands))

    _add_history(cli, run, commands)
    cli.add_typer(_parked_cli(run, commands.parked), name="parked")
    return cli


def runner(settings: type[S]) -> Run[S]:
    """Runs a command with the service's settings; a service's own commands use it too."""

    def run(command: Command[S]) -> None:
        loaded = _loaded(settings)

        async def told() -> None:
            answer = await command(loaded)
            if answer is not None:
                typer.echo(answer)

        with _explained():
            uvloop.run(told())

    return run


def _add_history(cli: typer.Typer, run: Run[S], commands: Commands[S]) -> None:
    """The commands that read the event store again."""

    @cli.command()
    def rebuild(projection: Annotated[str | None, typer.Option(help="Only this one")] = None) -> None:
        """Fill projections again from the event store, while the service runs."""
        run(lambda loaded: commands.rebuild(loaded, projection))

    @cli.command()
    def republish(
        types: Annotated[str, typer.Option(help="Event types, separated by commas")],
        to: Annotated[str, typer.Option(help="The queue of the subscriber that wants them")],
        since: Annotated[datetime | None, typer.Option(help="From this time (UTC)")] = None,
    ) -> None:
        """Publish recorded events again, into the queue of a new subscriber."""
        names = tuple(filter(None, (name.strip() for name in types.split(","))))
        wanted = Republish(names, _utc(since), to)

        async def command(loaded: S) -> str:
            return f"{await commands.republish(loaded, wanted)} events published"

        run(command)

    @cli.command()
    def restored() -> None:
        """Say that the database was brought back to an earlier moment; before the service starts on it."""

        async def command(loaded: S) -> str:
            floor = await commands.restored(loaded)
            return (
                f"Streams go on above version {floor}, so that what is said from now on is new to everybody.\n"
                "Start the service, then let the others republish what they have said since that moment."
            )

        run(command)


def _parked_cli(run: Run[S], parked: Parked[S]) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True, help="Events that could not be taken in")

    @cli.command("list")
    def list_() -> None:
        """All of them, one per line."""

        async def command(settings: S) -> str | None:
            return "\n".join(map(str, await parked.list(settings))) or None

        run(command)

    @cli.command()
    def show(parked_id: int) -> None:
        """One of them whole, with its error."""
        run(lambda settings: parked.show(settings, parked_id))

    @cli.command()
    def retry(parked_id: Annotated[int | None, typer.Argument(help="All, if none is named")] = None) -> None:
        """Take in again."""

        async def command(settings: S) -> str:
            return f"{await parked.retry(settings, parked_id)} taken in"

        run(command)

    @cli.command()
    def discard(parked_id: int) -> None:
        """Forget one for good."""
        run(lambda settings: parked.discard(settings, parked_id))

    return cli


async def _migrate(settings: S, commands: Commands[S]) -> None:
    from eventing import migrations  # noqa: PLC0415 - it brings SQLAlchemy, 20 MB that serving does without

    try:
        url = settings.database_url.get_secret_value()
        applied = await migrations.migrate(url, migrations.CORE, commands.migrations)
    except migrations.MigrationError as error:
        raise CommandError(str(error)) from error
    await commands.after_migrate(settings)
    logger.info("migrated", applied=applied)


async def serve(settings: S, build: Build[S]) -> None:
    """Run a service until SIGTERM or SIGINT; a second signal ends it at once.

    Stopping: no new connections, answers under way are finished (`STOP_SECONDS`), then `build` closes what it opened.
    `app.state.stopping` is set first, for streams that would otherwise go on.
    """
    async with build(settings) as app:
        app.state.stopping = stopping = asyncio.Event()
        server = _Server(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            ),
            stopping,
        )
        collect_less()
        await server.serve()
    logger.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn that leaves the process alive when it has stopped, so that the service can finish its work."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        if self._stopping.is_set():
            logger.warning("stop_forced")
            os._exit(EXIT_FORCED)
        logger.info("stopping")
        self._stopping.set()
        self.should_exit = True


def collect_less() -> None:
    """What is there at start lives for ever: take it out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)


def _loaded(settings: type[S]) -> S:
    try:
        loaded = load(settings)
    except SettingsError as error:
        typer.echo(f"{settings.service}: settings are missing or wrong\n{error}", err=True)
        raise typer.Exit(EXIT_WRONG_SETTINGS) from None
    log.configure(settings.service, loaded.log_level)
    return loaded


@contextmanager
def _explained() -> Iterator[None]:
    """Errors that an operator can act on are told in a sentence; all others are logged with their traceback."""
    try:
        yield
    except CommandError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_FAILED) from None
    except Exception:
        logger.exception("failed")
        sys.exit(EXIT_FAILED)


def _utc(time: datetime | None) -> datetime | None:
    return time and (time if time.tzinfo else time.replace(tzinfo=UTC))
