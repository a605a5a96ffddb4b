"""Finds or starts what the platform stands on: PostgreSQL, RabbitMQ, Redis, and the gateway program Caddy.

    with backing_servers("demo") as servers:
        servers.backing.postgres_url ...

Each is looked for on its own, in this order: an address in the environment (`ADDRESS_VARIABLES`); a Docker
engine of this machine; programs installed here, started as private instances with data under `.local/<name>/`;
apt-get, as root or with sudo; else `MissingProgramsError` says what to install. Servers that run already are
never touched. Everything blocks; from a coroutine call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from deploy.local import apt, containers
from deploy.local.postgres import find_postgres
from deploy.local.private import PrivateServer, Recipe, find_program
from deploy.local.probes import postgres_answers, rabbitmq_answers, redis_answers
from deploy.local.processes import LOCAL, ProcessFailedError, Run, open_run
from deploy.local.rabbitmq import find_rabbitmq
from deploy.local.redis_server import find_redis


class MissingProgramsError(Exception):
    """A server can be neither reached nor started nor installed. The message says what to do."""


class NotOursError(Exception):
    """A server that was given by its address is not ours to stop."""


class Server(Protocol):
    """One backing server; `urls` are its addresses, with an administrator's credentials.

    `stop` shuts down in order, `kill` does not, `freeze` leaves its connections open and silent. After `start`
    or `thaw` it answers at the same addresses with the same data. All of them raise NotOursError unless
    `controllable`.
    """

    @property
    def controllable(self) -> bool: ...
    @property
    def urls(self) -> tuple[str, ...]: ...
    def wait_ready(self) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


@dataclass(frozen=True)
class Kind:
    """One of the three servers, and what is needed for each way to it."""

    name: str
    variables: tuple[str, ...]
    answers: Callable[..., bool]
    image: containers.Image
    find: Callable[[], Recipe | None]
    package: str


POSTGRES = Kind(
    "PostgreSQL",
    ("GROUNDSWELL_POSTGRES_URL",),
    postgres_answers,
    containers.POSTGRES,
    find_postgres,
    "postgresql",
)
RABBITMQ = Kind(
    "RabbitMQ",
    ("GROUNDSWELL_RABBITMQ_URL", "GROUNDSWELL_RABBITMQ_API_URL"),
    rabbitmq_answers,
    containers.RABBITMQ,
    find_rabbitmq,
    "rabbitmq-server",
)
REDIS = Kind(
    "Redis",
    ("GROUNDSWELL_REDIS_URL",),
    redis_answers,
    containers.REDIS,
    find_redis,
    "redis-server",
)
KINDS = (POSTGRES, RABBITMQ, REDIS)
ADDRESS_VARIABLES = tuple(variable for kind in KINDS for variable in kind.variables)


@dataclass(frozen=True)
class Backing:
    """Where the servers are, with an administrator's credentials, and the program of the gateway."""

    postgres_url: str
    rabbitmq_url: str
    rabbitmq_api_url: str
    redis_url: str
    caddy: Path


@dataclass(frozen=True)
class Servers:
    """The servers of one run; `run` starts further processes that end with it."""

    postgres: Server
    rabbitmq: Server
    redis: Server
    caddy: Path
    run: Run

    @property
    def backing(self) -> Backing:
        """Where they are once they are ready: until then one may still be tried again on other ports."""
        (postgres_url,), (rabbitmq_url, api_url), (redis_url,) = (
            self.postgres.urls,
            self.rabbitmq.urls,
            self.redis.urls,
        )
        return Backing(postgres_url, rabbitmq_url, api_url, redis_url, self.caddy)

    def wait_ready(self) -> None:
        for server in (self.postgres, self.rabbitmq, self.redis):
            server.wait_ready()


@contextlib.contextmanager
def backing_servers(
    name: str = "run", *, local: Path = LOCAL, environ: Mapping[str, str] = os.environ, in_memory: bool = False
) -> Iterator[Servers]:
    """`launched_servers`, ready to work."""
    with launched_servers(name, local=local, environ=environ, in_memory=in_memory) as servers:
        servers.wait_ready()
        yield servers


@contextlib.contextmanager
def launched_servers(
    name: str = "run", *, local: Path = LOCAL, environ: Mapping[str, str] = os.environ, in_memory: bool = False
) -> Iterator[Servers]:
    """All servers, for as long as the context lasts; then nothing of ours is left. None is waited for yet.

    Args:
        name: names the directory below `local` that keeps data and logs. Two uses at the same time get two.
        local: `.local` of this checkout; tests use another.
        environ: where addresses are looked for.
        in_memory: private servers keep their data in memory if there is room, and only for this run. They survive
            being killed like any others, and make databases and queues many times faster.

    Raises:
        MissingProgramsError: something has to be installed by a person.
        ProcessFailedError: a server cannot be started.
    """
    with contextlib.ExitStack() as ending:
        given = {kind.name: server for kind in KINDS if (server := _given(kind, environ))}
        wanted = [kind for kind in KINDS if kind.name not in given]
        in_docker = bool(wanted) and containers.docker_answers()
        caddy = install_missing([] if in_docker else wanted)
        run = ending.enter_context(open_run(name, local))
        servers: dict[str, Server] = dict(given)
        for kind in wanted:
            servers[kind.name] = _container(kind, ending) if in_docker else _private(kind, run, in_memory=in_memory)
        yield Servers(servers[POSTGRES.name], servers[RABBITMQ.name], servers[REDIS.name], caddy, run)


def install_missing(kinds: Sequence[Kind]) -> Path:
    """Have every program that these servers and the gateway need; returns Caddy's."""
    missing = {kind.name: kind.package for kind in kinds if kind.find() is None}
    if find_program("caddy") is None:
        missing["Caddy"] = "caddy"
    if missing and not apt.can_install():
        raise MissingProgramsError(_advice(missing))
    if missing:
        apt.install(tuple(missing.values()))
    caddy = find_program("caddy")
    if caddy is None or any(kind.find() is None for kind in kinds):
        raise MissingProgramsError(_advice(missing))
    return caddy


def _advice(missing: Mapping[str, str]) -> str:
    return (
        f"{', '.join(missing)} cannot be found here. Do one of these:\n"
        f"  - install: sudo apt-get install {' '.join(missing.values())}   (or your system's packages)\n"
        "  - start a Docker engine that this user may use (Caddy is needed all the same)\n"
        f"  - name servers that you have in the environment: {', '.join(ADDRESS_VARIABLES)}"
    )


def _given(kind: Kind, environ: Mapping[str, str]) -> Server | None:
    """The server named in the environment. Half an address is an error, not a reason to look further."""
    urls = [environ.get(variable, "") for variable in kind.variables]
    if not any(urls):
        return None
    if not all(urls):
        raise MissingProgramsError(f"{kind.name} needs all of {', '.join(kind.variables)}, or none of them")
    return GivenServer(kind, tuple(urls))


def _container(kind: Kind, ending: contextlib.ExitStack) -> Server:
    server = containers.ContainerServer(kind.image)
    ending.callback(server.remove)
    return server


def _private(kind: Kind, run: Run, *, in_memory: bool) -> Server:
    recipe = kind.find()
    if recipe is None:
        raise MissingProgramsError(_advice({kind.name: kind.package}))
    return PrivateServer(run, recipe, in_memory=in_memory)


@dataclass(frozen=True)
class GivenServer:
    """A server that somebody else runs; its address came from the environment."""

    kind: Kind
    urls: tuple[str, ...]
    controllable: bool = False

    def wait_ready(self) -> None:
        """One try: a server that is given is up, or the address is wrong."""
        with contextlib.suppress(OSError, httpx.HTTPError):
            if self.kind.answers(*self.urls):
                return
        raise ProcessFailedError(f"{self.kind.name} does not answer at {', '.join(self.kind.variables)}")

    def start(self) -> None:
        self._refuse()

    def stop(self) -> None:
        self._refuse()

    def kill(self) -> None:
        self._refuse()

    def freeze(self) -> None:
        self._refuse()

    def thaw(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        raise NotOursError(f"unset {' and '.join(self.kind.variables)}: taking {self.kind.name} away needs our own")
