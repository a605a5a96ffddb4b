"""Time is the database's: one clock for all replicas, read once per group after its locks."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from eventing.database import Connection


@dataclass
class DatabaseClock:
    """The database clock plus an offset, or a frozen instant. Only tests set either."""

    offset: timedelta = timedelta(0)
    frozen_at: datetime | None = None

    async def now(self, connection: Connection) -> datetime:
        if self.frozen_at is not None:
            return self.frozen_at
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now + self.offset

    def monotonic(self) -> float:
        """Seconds of this process's own clock, which goes on while the process is frozen: for the holder of a lease."""
        return time.monotonic()
