"""One run: real services on a real database, in virtual time, between a broker and a provider that misbehave."""

import asyncio
import math
import random
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
import pytest

import payment.app
from contracts.envelope import Envelope
from contracts.event import Event
from eventing.clock import DatabaseClock
from eventing.database import Connection
from eventing.house import House
from eventing.restored import FLOOR_SINCE
from eventing.settings import ServiceSettings
from payment import webhooks
from payment.app import HOUSE as PAYMENT
from payment.app import Settings as PaymentSettings
from payment.app import ours
from pledge.app import HOUSE as PLEDGE
from pledge.app import Settings as PledgeSettings
from settlement.app import HOUSE as SETTLEMENT
from settlement.app import Settings as SettlementSettings
from stripe_sandbox.errors import StripeError
from stripe_sandbox.events import Delivery
from stripe_sandbox.events import Event as ProviderEvent
from stripe_sandbox.rendering import render_event
from stripe_sandbox.resources import Endpoint
from stripe_sandbox.webhooks import signature
from tests.simulation.broker import RELAY_SECONDS, Broker, Queue
from tests.simulation.complaints import Complaints
from tests.simulation.faults import Fate
from tests.simulation.loop import RESOLUTION_SECONDS, VirtualLoop, virtual_loop
from tests.simulation.process import Database, GoneError, Process
from tests.simulation.provider import (
    API_KEY,
    TIMEOUT_SECONDS,
    WEBHOOK_EVENTS,
    WEBHOOK_SECRET,
    InProcessClient,
    Provider,
    open_provider,
)

START: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
RESTART_SECONDS: Final = 3.0  # Mean time until somebody starts a dead process again.
WEBHOOK_SECONDS: Final = (0.2, 2.0, 60.0, 3 * 86_400.0)  # Until a webhook comes, often out of order, sometimes late.
ARRIVAL_ROUNDS: Final = 5  # Of the loop, until a request that has arrived is in.
SAVED: Final = "saved"  # The schema of a copy.
# Settings want these; connections are the simulation's own.
COMMON: Final[Mapping[str, Any]] = {
    "database_url": "postgresql://nobody@127.0.0.1/nothing",
    "broker_url": "amqp://nobody@127.0.0.1/nothing",
    "jwks_url": "http://127.0.0.1/",
    "jwt_issuer": "nobody",
    "jwt_audience": "nobody",
}


@dataclass(frozen=True)
class Service:
    house: House[Any]
    settings: type[ServiceSettings]
    replicas: int
    given: Mapping[str, Any] = field(default_factory=dict)


SERVICES: Final[Mapping[str, Service]] = {
    "payment": Service(
        PAYMENT,
        PaymentSettings,
        2,
        {
            "stripe_api_key": API_KEY,
            "stripe_api_base": "http://in-process",
            "stripe_webhook_secrets": WEBHOOK_SECRET,
            "stripe_timeout_seconds": TIMEOUT_SECONDS,
            "provider_concurrency": 16,
        },
    ),
    "pledge": Service(PLEDGE, PledgeSettings, 2),
    "settlement": Service(SETTLEMENT, SettlementSettings, 1),
}


class _Clock(DatabaseClock):
    """The database's clock, the processes' own and the provider's are one."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self._began = began

    async def now(self, connection: Connection) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return virtual_loop().time()

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return virtual_loop().time() - self._began


class World:
    def __init__(
        self,
        loop: VirtualLoop,
        databases: Mapping[str, Database],
        fate: Fate,
        *,
        admin: Database,
        tables: Mapping[str, Sequence[str]],
        complaints: float,
    ) -> None:
        self.loop = loop
        self.databases = databases
        self.admin = admin
        self.tables = tables
        self.fate = fate
        self.clock = _Clock(loop.time())
        self.provider: Provider = open_provider(fate, lambda: self.clock.time, self._told_by_provider)
        self.queues = {name: Queue(name) for name in SERVICES}
        self.broker = Broker(fate, self.replica, self.queues, databases)
        self.processes: dict[str, list[Process]] = {name: [] for name in SERVICES}
        self.webhooks_on_their_way = 0
        self.people = random.Random(f"{fate.seed} at the bank")
        self.complaints = Complaints(self.provider.sandbox, complaints, random.Random(f"{fate.seed} complaints"))
        self.ids = random.Random(f"{fate.seed} ids")
        self._account = ours(PaymentSettings(**COMMON, **SERVICES["payment"].given))
        self._dirty = {name: asyncio.Event() for name in SERVICES}
        self._versions: dict[tuple[str, UUID], int] = {}
        self._saved_at = 0
        self.broken: BaseException | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        return self.clock.seconds

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds after the start of the run."""
        await asyncio.sleep(seconds - self.seconds)

    async def jump_to(self, seconds: float) -> None:
        """As if everybody had been frozen until then. But what was sent has arrived meanwhile: the network was not."""
        while seconds - self.seconds > RESOLUTION_SECONDS:
            arrivals = [at - self.loop.time() for at in self.provider.travelling]
            self.loop.jump(max(0, min([seconds - self.seconds, *arrivals])))
            for _ in range(ARRIVAL_ROUNDS):
                await asyncio.sleep(0)
        self.provider.sandbox.payments.expire_holds()

    # -- processes -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        for name, service in SERVICES.items():
            for number in range(service.replicas):
                self.processes[name].append(await self._start(name, number))
                self.background(self._keep_alive(name, number))
            self.background(self._relay(name))
            for _ in range(2):
                self.background(self.broker.consume(self.queues[name]))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._all():
            await process.end()
        await self.loop.end_free()

    def heal(self) -> None:
        """From now on nothing fails any more, and what stood still goes on."""
        self.fate.heal()
        for process in self._all():
            process.thaw()
        for queue in self.queues.values():
            queue.bring_all()

    def background(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = self.loop.free_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken = self.broken or error

    def look_whole(self) -> None:
        """Raises what a part of the harness has ended with."""
        if self.broken is not None:
            raise self.broken

    async def _start(self, name: str, number: int) -> Process:
        service = SERVICES[name]
        process = Process(
            f"{name} {number + 1}",
            service.house,
            self.databases[name],
            fate=self.fate,
            clock=self.clock,
            committed=self._dirty[name].set,
        )
        with pytest.MonkeyPatch.context() as patch:  # the network is the one thing that is not the service's own
            patch.setattr(payment.app, "MeteredClient", partial(InProcessClient, self.provider, process))
            await process.start(service.settings(**COMMON, **service.given))
        return process

    async def _keep_alive(self, name: str, number: int) -> None:
        while True:
            await self.processes[name][number].gone.wait()
            await asyncio.sleep(self.fate.latency(RESTART_SECONDS))
            self.processes[name][number] = await self._start(name, number)

    async def replica(self, name: str) -> Process:
        """One that is alive, any; waits for a restart if none is."""
        while True:
            alive = [process for process in self.processes[name] if not process.gone.is_set()]
            if alive:
                return self.fate.chance.choice(alive)
            await asyncio.sleep(0.5)

    async def ask(self, name: str, command: Any, **more: Any) -> Any:
        """A command, sent again until somebody has answered it.

        Raises:
            Refusal: The answer.
        """
        while True:
            process = await self.replica(name)
            try:
                return await process.call(process.core.commit.execute(command, **more))
            except GoneError:
                await asyncio.sleep(1)

    def _all(self) -> Iterator[Process]:
        for processes in self.processes.values():
            yield from processes

    # -- messages --------------------------------------------------------------------------------------------------

    async def _relay(self, name: str) -> None:
        while True:
            await self._dirty[name].wait()
            await asyncio.sleep(self.fate.latency(RELAY_SECONDS))
            self._dirty[name].clear()
            await self.broker.relay(name)

    def tell(self, event: Event) -> None:
        """A fact of a service that is not simulated."""
        stream = event.source, event.subject
        self._versions[stream] = version = self._versions.get(stream, 0) + 1
        envelope = Envelope(
            id=self.new_id(),
            source=event.source,
            type=event.type,
            subject=event.subject,
            version=version,
            time=self.clock.time,
            data=event.model_dump(mode="json"),
        )
        self.broker.publish((envelope, event))

    def new_id(self) -> UUID:
        return UUID(int=self.ids.getrandbits(128), version=4)

    # -- backups ---------------------------------------------------------------------------------------------------

    async def save(self, name: str) -> None:
        """Keep a copy of a service's tables."""
        statements = [f"DROP SCHEMA IF EXISTS {SAVED} CASCADE", f"CREATE SCHEMA {SAVED}"]
        statements += [f"CREATE TABLE {SAVED}.{table} AS TABLE {name}.{table}" for table in self.tables[name]]
        await self._as_superuser(*statements)
        self._saved_at = self.broker.positions.get(name, 0)

    async def restore(self, name: str, *, backwards: bool) -> None:
        """Back to the copy: the service forgets what came after it, and everybody else's messages come again."""
        for process in self.processes[name]:
            process.die()
        statements = [f"TRUNCATE {', '.join(f'{name}.{table}' for table in self.tables[name])}"]
        statements += [
            f"INSERT INTO {name}.{table} OVERRIDING SYSTEM VALUE TABLE {SAVED}.{table}" for table in self.tables[name]
        ]
        floor = int((self.clock.time - FLOOR_SINCE).total_seconds())  # as `<service> restored` does, by this clock
        statements.append(f"INSERT INTO {name}.restored (version_floor) VALUES ({floor})")
        await self._as_superuser(*statements)
        self.broker.positions[name] = self._saved_at
        await self.broker.publish_again(name, backwards=backwards)

    async def _as_superuser(self, *statements: str) -> None:
        async with self.admin.turn:
            self.loop.real(self.admin.connection.execute(";".join(statements)))

    # -- webhooks --------------------------------------------------------------------------------------------------

    def _told_by_provider(self, event: ProviderEvent, endpoint: Endpoint) -> None:
        if event.type.endswith(".requires_action"):
            self.background(self._at_the_bank(event.subject.id))
        if self.complaints.is_one_due(event):
            self.background(self.complaints.complain(event.subject.id))
        if event.type not in WEBHOOK_EVENTS:
            event.deliveries[endpoint.id] = Delivery.DELIVERED  # nobody wants to hear of it
            return
        rates = self.fate.rates
        copies = 0 if self.fate.happens(rates.webhook_lost) else 1 + self.fate.happens(rates.webhook_doubled)
        for _ in range(copies):
            self.background(self._deliver_webhook(event))

    async def _at_the_bank(self, intent_id: str) -> None:
        """A backer passes 3-D Secure, or fails, or never comes."""
        passed = self.people.choice((True, True, False, None))
        await asyncio.sleep(self.people.choice((3, 30, 600)))
        if passed is None:
            return
        sandbox = self.provider.sandbox
        intent, setup = sandbox.state.intents.get(intent_id), sandbox.state.setups.get(intent_id)
        with suppress(StripeError):  # cancelled meanwhile
            if intent is not None:
                sandbox.payments.authenticate(intent, passed=passed)
            elif setup is not None:
                sandbox.setups.authenticate(setup, passed=passed)

    async def _deliver_webhook(self, event: ProviderEvent) -> None:
        self.webhooks_on_their_way += 1
        mean = self.fate.chance.choices(WEBHOOK_SECONDS, (10, 10, 4, 1))[0]
        await self.until(math.ceil(self.seconds + self.fate.latency(mean)))  # together with others of the same second
        body = orjson.dumps(render_event(event))
        while True:
            process = await self.replica("payment")
            try:
                await process.call(self._take_webhook(process, body))
                break
            except GoneError:
                await asyncio.sleep(1)
        event.deliveries = dict.fromkeys(event.deliveries, Delivery.DELIVERED)
        self.webhooks_on_their_way -= 1

    async def _take_webhook(self, process: Process, body: bytes) -> None:
        """What the service's route does with a request."""
        at = int(self.clock.time.timestamp())
        webhooks.verify(body, signature(WEBHOOK_SECRET, body, at), (WEBHOOK_SECRET,), at)
        await process.core.commit.execute(webhooks.read(body, self._account))

    @property
    def still(self) -> bool:
        """Whether no message is on its way, but for those that are withheld."""
        queues = all(not (queue.waiting or queue.under_way) for queue in self.queues.values())
        return queues and not any(dirty.is_set() for dirty in self._dirty.values())

    @property
    def withheld(self) -> int:
        """Messages, webhooks and complaints that come later."""
        return (
            self.webhooks_on_their_way
            + self.complaints.coming
            + sum(len(queue.withheld) for queue in self.queues.values())
        )
