"""One real service as a process, with an issuer for its tokens, for rows that measure a service alone."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.row import Ground
from deploy.local.issuer import Issuer
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """Its replicas' addresses and processes, and who signs tokens for it."""

    bases: tuple[str, ...]
    pids: tuple[int, ...]
    issuer: Issuer


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def running_service(
    ground: Ground, name: str, replicas: int = 1, *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    """`<name> migrate`, then `<name> serve`, once for each replica, until the block ends. `settings`: its own."""
    run = ground.servers.run
    ports, issuer_port = [free_port() for _ in range(replicas)], free_port()
    issuer_base = f"http://{HOST}:{issuer_port}"
    directory = run.path / "issuer"
    environment = {
        "GROUNDSWELL_DATABASE_URL": ground.provisioned.database_urls[name],
        "GROUNDSWELL_BROKER_URL": ground.provisioned.broker_urls[name],
        "GROUNDSWELL_JWKS_URL": f"{issuer_base}/.well-known/jwks.json",
        "GROUNDSWELL_JWT_ISSUER": JWT_ISSUER,
        "GROUNDSWELL_JWT_AUDIENCE": JWT_AUDIENCE,
        "GROUNDSWELL_LOG_LEVEL": "WARNING",
        "GROUNDSWELL_REDIS_URL": ground.servers.backing.redis_url,
        **(settings or {}),
    }
    admin = {"GROUNDSWELL_BROKER_ADMIN_URL": ground.provisioned.broker_admin_url}
    program = str(Path(sys.executable).parent / name)
    migrate = run.process(f"{name}-migrate", [program, "migrate"], environment | admin)
    await asyncio.to_thread(migrate.launch)
    await asyncio.to_thread(migrate.wait_done)
    issuer = run.process(
        "issuer",
        [sys.executable, "-m", "deploy.local.issuer"],
        {"ISSUER_HTTP_PORT": str(issuer_port), "ISSUER_DIRECTORY": str(directory)},
        ready_url=f"{issuer_base}/.well-known/jwks.json",
    )
    services = [
        run.process(
            f"{name}-{port}",
            [program, "serve"],
            environment | {"GROUNDSWELL_HTTP_PORT": str(port)},
            ready_url=f"http://{HOST}:{port}/health/ready",
        )
        for port in ports
    ]
    try:
        for process in (issuer, *services):
            await asyncio.to_thread(process.start)
        bases, pids = (f"http://{HOST}:{port}" for port in ports), (process.pid for process in services)
        yield Service(tuple(bases), tuple(pids), Issuer(directory))
    finally:
        for process in (*services, issuer):
            await asyncio.to_thread(process.stop)
