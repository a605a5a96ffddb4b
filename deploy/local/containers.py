"""Backing servers as containers, where a Docker engine answers; testcontainers removes them with the run."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import docker  # type: ignore[import-untyped] # ships no type information
import docker.errors  # type: ignore[import-untyped] # the same
import httpx
from testcontainers.core.container import DockerContainer

from deploy.local import postgres, rabbitmq
from deploy.local.private import free_ports
from deploy.local.probes import postgres_answers, rabbitmq_answers, redis_answers
from deploy.local.processes import POLL_SECONDS, ProcessFailedError

PING_SECONDS = 2
READY_SECONDS = 120.0  # After the image is there; a cold engine on a busy machine is slow.
LOG_TAIL_BYTES = 4_000


def docker_answers() -> bool:
    """Whether a Docker engine of this machine can be used."""
    if os.environ.get("DOCKER_HOST", "unix:").partition(":")[0] != "unix":
        return False  # An engine elsewhere opens its ports elsewhere.
    try:
        client = docker.from_env(timeout=PING_SECONDS)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except docker.errors.DockerException:
        return False
    finally:
        client.close()


@dataclass(frozen=True)
class Image:
    """A server as a container: container ports, and what its password makes of settings, command and URLs.

    `urls` gets the password and the ports of 127.0.0.1 at which the container ports can be reached.
    """

    name: str
    ports: tuple[int, ...]
    settings: Callable[[str], Mapping[str, str]]
    command: Callable[[str], Sequence[str]]
    urls: Callable[[str, Sequence[int]], tuple[str, ...]]
    answers: Callable[..., bool]


POSTGRES = Image(
    "postgres:18",
    (5432,),
    lambda password: {
        "POSTGRES_USER": postgres.SUPERUSER,
        "POSTGRES_PASSWORD": password,
        "POSTGRES_DB": "postgres",
        "POSTGRES_INITDB_ARGS": " ".join(postgres.ENCODING),
    },
    lambda _: [word for item in postgres.SETTINGS.items() for word in ("-c", "=".join(item))],
    lambda password, ports: (f"postgresql://{postgres.SUPERUSER}:{password}@127.0.0.1:{ports[0]}/postgres",),
    postgres_answers,
)
RABBITMQ = Image(
    "rabbitmq:4-management",
    (5672, 15672),
    lambda password: {"RABBITMQ_DEFAULT_USER": rabbitmq.ADMIN, "RABBITMQ_DEFAULT_PASS": password},
    lambda _: ("rabbitmq-server",),
    lambda password, ports: (
        f"amqp://{rabbitmq.ADMIN}:{password}@127.0.0.1:{ports[0]}/",
        f"http://{rabbitmq.ADMIN}:{password}@127.0.0.1:{ports[1]}",
    ),
    rabbitmq_answers,
)
REDIS = Image(
    "redis:8",
    (6379,),
    lambda _: {},
    lambda password: ("redis-server", "--requirepass", password, "--save", "", "--appendonly", "no"),
    lambda password, ports: (f"redis://:{password}@127.0.0.1:{ports[0]}/0",),
    redis_answers,
)


@dataclass
class ContainerServer:
    """One server in a container, on ports of 127.0.0.1 that stay the same through stop and start."""

    image: Image
    urls: tuple[str, ...] = field(init=False)
    controllable: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        password = secrets.token_hex(16)
        ports = free_ports(len(self.image.ports))
        self.urls = self.image.urls(password, ports)
        self._container = DockerContainer(self.image.name).with_command(list(self.image.command(password)))
        for name, value in self.image.settings(password).items():
            self._container.with_env(name, value)
        for inside, outside in zip(self.image.ports, ports, strict=True):
            # with_bind_ports would open the port to the network; Docker itself takes an address too.
            self._container.ports[str(inside)] = ("127.0.0.1", outside)  # type: ignore[assignment]
        self._container.start()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                log = self._container.get_wrapped_container().logs(tail=40)[-LOG_TAIL_BYTES:]
                raise ProcessFailedError(f"{self.image.name} is not ready:\n{log.decode(errors='replace')}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            return self.image.answers(*self.urls)
        except (OSError, httpx.HTTPError):
            return False

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self.wait_ready()

    def stop(self) -> None:
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def freeze(self) -> None:
        self._container.get_wrapped_container().pause()

    def thaw(self) -> None:
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        self._container.stop()
