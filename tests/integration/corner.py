"""Services as the processes that an operator starts, in a test's own corner of the servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from deploy import topology
from deploy.local.private import reserved_ports
from deploy.local.provision import Provisioned
from deploy.local.servers import Servers

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Corner:
    """`values` are those that the placeholders of `deploy.topology` stand for, beside the servers' addresses."""

    servers: Servers
    provisioned: Provisioned
    values: dict[str, str] = field(default_factory=dict)

    async def migrate(self, *names: str) -> None:
        """`<name> migrate`, all at once: each has a schema of its own, and declaring a queue twice is harmless."""
        admin = {"GROUNDSWELL_BROKER_ADMIN_URL": self.provisioned.broker_admin_url}
        processes = [
            self.servers.run.process(
                f"{name}-migrate", topology.SERVICE_BY_NAME[name].migrate, self._environment(name) | admin
            )
            for name in names
        ]
        for process in processes:
            await asyncio.to_thread(process.launch)
        for process in processes:
            await asyncio.to_thread(process.wait_done)

    @asynccontextmanager
    async def serve(self, name: str) -> AsyncIterator[str]:
        """`<name> serve`, ready; yields its address and stops it in order."""
        part = topology.SERVICE_BY_NAME[name]
        with reserved_ports(1) as (port,):
            address = f"http://{HOST}:{port}"
            environment = self._environment(name, http_port=str(port))
            process = self.servers.run.process(name, part.command, environment, address + part.ready_path)
            try:
                await asyncio.to_thread(process.start)
                yield address
            finally:
                await asyncio.to_thread(process.stop)

    def _environment(self, name: str, http_port: str = "1") -> dict[str, str]:
        values = topology.DEVELOPMENT_VALUES | {
            "database_url": self.provisioned.database_urls[name],
            "broker_url": self.provisioned.broker_urls[name],
            "redis_url": self.servers.backing.redis_url,
            "http_host": HOST,
            "http_port": http_port,
            "jwks_url": f"http://{HOST}:1/none",
            "stripe_api_base": f"http://{HOST}:1",
            "smtp_host": HOST,
            "smtp_port": "1",
            "public_url": f"http://{HOST}:1",
        }
        return topology.environment(topology.SERVICE_BY_NAME[name], values | self.values)
