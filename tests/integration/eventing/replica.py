"""One replica of the jar's relay as a process of its own, for tests that kill or freeze it.

`python -m tests.integration.eventing.replica DATABASE_URL BROKER_URL`
"""

import asyncio
import sys

from eventing.database import connect_pool
from eventing.relay import Relay
from tests.integration.eventing.jar import SOURCE


async def main(database_url: str, broker_url: str) -> None:
    async with await connect_pool(database_url, "replica") as pool:
        await Relay(pool, SOURCE, broker_url).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
