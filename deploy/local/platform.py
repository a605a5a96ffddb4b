"""The whole platform as separate processes on this machine, for the demo, `make run` and the acceptance tests.

    with start("demo", settings={"GROUNDSWELL_MIN_CAMPAIGN_SECONDS": "5"}) as platform:
        httpx.get(platform.addresses.gateway + "/campaigns")
        platform.process("pledge").kill()

Everything blocks; from a coroutine call it through `asyncio.to_thread`. Leaving the context, also by Ctrl-C in the
middle of the start, stops everything. A platform that runs already (compose) is used through `running`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
from rich.console import Console

from deploy import topology
from deploy.gateway.routes import CADDYFILE
from deploy.local.issuer import LIFETIME_SECONDS, LIFETIME_SECONDS_MAX, Issuer, Role
from deploy.local.private import reserved_ports
from deploy.local.processes import REPOSITORY, Process, Run
from deploy.local.provision import drop_broker, drop_database, provision_broker, provision_database, provisioned
from deploy.local.servers import Backing, Servers, launched_servers
from deploy.topology import GATEWAY, ISSUER, MAILBOX, NAMESPACE, SERVICES, STAND_INS, STRIPE_SANDBOX, Part
from eventing.topology import declare

HOST = "127.0.0.1"
TOKEN_SECONDS = 10.0

People = Mapping[str, tuple[uuid.UUID, list[Role]]]  # Who they are and as what they may act, by what they are called.

# Where a platform that runs already is, for `running`; with the first of them set, nothing is started.
ADDRESS_VARIABLES = {
    "gateway": "GROUNDSWELL_GATEWAY_URL",
    "mailbox": "GROUNDSWELL_MAILBOX_URL",
    "stripe_sandbox": "GROUNDSWELL_STRIPE_SANDBOX_URL",
    "issuer": "GROUNDSWELL_ISSUER_URL",
}


@dataclass(frozen=True)
class Addresses:
    """Where a person or a client finds what; all are URLs without a final slash."""

    gateway: str
    mailbox: str
    stripe_sandbox: str
    issuer: str

    @property
    def docs(self) -> str:
        return f"{self.gateway}/docs"

    @property
    def sandbox_page(self) -> str:
        return f"{self.stripe_sandbox}/sandbox"

    def dashboard(self, campaign_id: uuid.UUID | str) -> str:
        return f"{self.gateway}/campaigns/{campaign_id}/dashboard"


class Platform(Protocol):
    """What the demo and the acceptance tests need of a platform, whoever started it."""

    @property
    def addresses(self) -> Addresses: ...
    def mint(self, person_id: uuid.UUID, roles: list[Role], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        """A token of the platform's issuer."""


@dataclass(frozen=True)
class RunningPlatform:
    """One that somebody else started, such as compose."""

    addresses: Addresses

    def mint(self, person_id: uuid.UUID, roles: list[Role], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        wanted = {"sub": str(person_id), "roles": roles, "lifetime_seconds": lifetime_seconds}
        answer = httpx.post(f"{self.addresses.issuer}/token", json=wanted, timeout=TOKEN_SECONDS)
        token: str = answer.raise_for_status().json()["access_token"]
        return token


@dataclass
class LocalPlatform:
    """One that this process started. A service's second replica is the process `pledge-2`, and so on."""

    addresses: Addresses
    servers: Servers
    issuer: Issuer
    processes: dict[str, Process] = field(default_factory=dict)

    def process(self, name: str) -> Process:
        """By the name of a service, `gateway`, `stripe-sandbox`, `mailbox` or `issuer`; KeyError for another."""
        return self.processes[name]

    def mint(self, person_id: uuid.UUID, roles: list[Role], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        return self.issuer.mint(person_id, roles, lifetime_seconds)

    @property
    def logs(self) -> Path:
        """A directory with one log per process."""
        return self.servers.run.logs


def running(environ: Mapping[str, str] = os.environ) -> RunningPlatform | None:
    """The platform that the environment names, None if it names none.

    Raises:
        KeyError: some of `ADDRESS_VARIABLES` are set and this one is not.
    """
    if not any(environ.get(variable) for variable in ADDRESS_VARIABLES.values()):
        return None
    urls = {part: environ[variable].rstrip("/") for part, variable in ADDRESS_VARIABLES.items()}
    return RunningPlatform(Addresses(**urls))


@contextlib.contextmanager
def start(
    name: str = "run",
    *,
    fresh: bool = True,
    settings: Mapping[str, str] | None = None,
    replicas: Mapping[str, int] | None = None,
    people: People | None = None,
    preferred_ports: Mapping[str, int] | None = None,
    console: Console | None = None,
    in_memory: bool = False,
) -> Iterator[LocalPlatform]:
    """Start everything in order and wait until it is ready.

    Args:
        name: names the directory below `.local` with data and logs; two at the same time get two.
        fresh: begin with nothing, as the sandbox and the mailbox do, which keep nothing from run to run.
        settings: environment variables for all services, over those of the topology.
        replicas: how many processes of a service, by its name, where it is not one.
        people: whom the API pages offer to act as, with tokens that are good for a day; without any, nobody.
        preferred_ports: by part, used if nobody listens there; all others are free ones.
        console: where progress is shown, if anywhere.
        in_memory: as for `launched_servers`.

    Raises:
        ProcessFailedError: something did not get ready; the message shows the end of its log.
        MissingProgramsError: a backing server has to be installed by a person.
    """
    steps = Steps(console)
    with contextlib.ExitStack() as ending:
        with steps("PostgreSQL"):
            servers = ending.enter_context(launched_servers(name, in_memory=in_memory))
            ports = ending.enter_context(_chosen_ports(replicas or {}, preferred_ports or {}))
            builder = Builder(servers, settings or {}, ports)
            builder.launch_stand_ins()
            servers.postgres.wait_ready()
        with steps("Database roles, schemas, tables"):  # RabbitMQ takes longest to start: all this is done meanwhile.
            asyncio.run(_prepare_database(servers.backing, fresh=fresh))
        with steps("RabbitMQ, Redis"):
            servers.wait_ready()
        with steps("Broker users, queues, bindings"):
            asyncio.run(_prepare_broker(servers.backing, fresh=fresh))
        with steps("Six services"):
            builder.launch_services(people or {})
            builder.wait_for(SERVICES)
        with steps("Stripe sandbox, token issuer, mailbox, gateway"):
            builder.launch_gateway()
            builder.wait_for([*STAND_INS, GATEWAY])
        yield builder.platform


async def _prepare_database(backing: Backing, *, fresh: bool) -> None:
    """As every service's own `migrate` does it, but in one process: most of their time goes into starting six."""
    from eventing import migrations  # noqa: PLC0415 - it brings SQLAlchemy, which `running` does without

    if fresh:
        await drop_database(backing, NAMESPACE)
    await provision_database(backing, NAMESPACE)
    urls = provisioned(backing, NAMESPACE).database_urls
    await asyncio.gather(*(migrations.migrate(url, migrations.CORE, migrations_of(name)) for name, url in urls.items()))


def migrations_of(service: str) -> Path:
    """The folder of a service's own SQL files."""
    return REPOSITORY / "services" / service / "migrations"


async def _prepare_broker(backing: Backing, *, fresh: bool) -> None:
    """Queues are declared as the broker's migrator: a service itself may touch its own only."""
    if fresh:
        await drop_broker(backing, NAMESPACE)
    await provision_broker(backing, NAMESPACE)
    await declare(provisioned(backing, NAMESPACE).broker_admin_url)


class Steps:
    """Shows what is being waited for and, once it is there, how long it took."""

    def __init__(self, console: Console | None) -> None:
        self._console = console or Console(quiet=True)

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        with self._console.status(what):
            yield
        self._console.print(f"  [green]✓[/] {what} [dim]{time.monotonic() - began:.1f} s[/]")


class Builder:
    """Knows every address before anything starts, and launches the parts with their environments."""

    def __init__(
        self,
        servers: Servers,
        settings: Mapping[str, str],
        ports: Mapping[str, int],
    ) -> None:
        self._servers = servers
        self._run: Run = servers.run
        self._settings = dict(settings)
        self._ports = ports
        self._issuer_directory = self._run.path / "issuer"
        self.platform = LocalPlatform(
            addresses=Addresses(
                gateway=self._url(GATEWAY.name),
                mailbox=self._url(MAILBOX.name),
                stripe_sandbox=self._url(STRIPE_SANDBOX.name),
                issuer=self._url(ISSUER.name),
            ),
            servers=servers,
            issuer=Issuer(self._issuer_directory),
        )

    def launch_stand_ins(self) -> None:
        for part in STAND_INS:
            self._launch(part, part.name)

    def launch_services(self, people: People) -> None:
        tokens = {name: self.platform.mint(*person, LIFETIME_SECONDS_MAX) for name, person in people.items()}
        settings = {"GROUNDSWELL_API_PAGE_TOKENS": json.dumps(tokens)} | self._settings
        for part in SERVICES:
            for replica in self._replicas(part.name):
                self._launch(part, replica, settings)

    def launch_gateway(self) -> None:
        # Caddy keeps a little state of its own; it belongs to this run and not into the home of who runs it.
        home = str(self._run.path / "caddy")
        self._launch(GATEWAY, GATEWAY.name, {"XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home})

    def wait_for(self, parts: Sequence[Part]) -> None:
        for part in parts:
            for replica in self._replicas(part.name):
                self.platform.processes[replica].wait_ready()

    def _launch(self, part: Part, replica: str, settings: Mapping[str, str] | None = None) -> None:
        values = self._values(part, replica)
        process = self._run.process(
            replica,
            topology.command(part, values),
            topology.environment(part, values) | dict(settings or {}),
            ready_url=self._url(replica) + part.ready_path,
        )
        self.platform.processes[replica] = process
        process.launch()

    def _replicas(self, name: str) -> list[str]:
        return [replica for replica in self._ports if replica == name or replica.startswith(f"{name}-")]

    def _url(self, replica: str) -> str:
        return f"http://{HOST}:{self._ports[replica]}"

    def _values(self, part: Part, replica: str) -> dict[str, str]:
        """What the placeholders stand for in one process."""
        own = self._own_addresses(part.name) if part in SERVICES else {}
        return (
            topology.DEVELOPMENT_VALUES
            | own
            | {
                "http_host": HOST,
                "http_port": str(self._ports[replica]),
                "caddy": str(self._servers.caddy),
                "caddyfile": str(CADDYFILE),
                "jwks_url": f"{self._url(ISSUER.name)}/.well-known/jwks.json",
                "stripe_api_base": self._url(STRIPE_SANDBOX.name),
                "stripe_sandbox_public_url": self._url(STRIPE_SANDBOX.name),
                "stripe_webhook_url": f"{self._url(GATEWAY.name)}/webhooks/stripe",
                "smtp_host": HOST,
                "smtp_port": str(self._ports["smtp"]),
                "own_smtp_port": str(self._ports["smtp"]),
                "public_url": self._url(GATEWAY.name),
                "issuer_directory": str(self._issuer_directory),
                "in_container": "false",
                "gateway_address": f":{self._ports[GATEWAY.name]}",
                "gateway_bind": HOST,
                **{f"{part.name}_upstream": self._upstream(part) for part in SERVICES},
            }
        )

    def _own_addresses(self, service: str) -> dict[str, str]:
        backing = self._servers.backing
        own = provisioned(backing, NAMESPACE)
        return {
            "database_url": own.database_urls[service],
            "broker_url": own.broker_urls[service],
            "redis_url": backing.redis_url,
        }

    def _upstream(self, part: Part) -> str:
        return " ".join(f"{HOST}:{self._ports[replica]}" for replica in self._replicas(part.name))


@contextlib.contextmanager
def _chosen_ports(replicas: Mapping[str, int], preferred: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """A port for every process and for SMTP, all different."""
    names = ["smtp", GATEWAY.name, *(part.name for part in STAND_INS)]
    for part in SERVICES:
        count = replicas.get(part.name, part.replicas)
        names += [part.name if number == 1 else f"{part.name}-{number}" for number in range(1, count + 1)]
    with reserved_ports(len(names)) as reserved:
        ports = dict(zip(names, reserved, strict=True))
        yield ports | {name: port for name, port in preferred.items() if _is_free(port)}


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
