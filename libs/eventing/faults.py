"""What a failed transaction asks for.

The database is away: run again. A race was lost: run again, but not for ever. Something that was written is
wrong: find the member whose it is.
"""

from enum import Enum

import asyncpg

AWAY = ("08", "53", "57P")  # connection, resources, operator intervention (shutdown)
RACE = ("40", "55P03", "57014", "23505")  # deadlock, serialization, lock wait, statement time-out, unique


class Fault(Enum):
    AWAY = "away"
    RACE = "race"
    MEMBER = "member"


def fault_of(error: BaseException) -> Fault:
    """What to do about an error that a group's transaction ended with."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        state: str = error.sqlstate
        if state.startswith(AWAY):
            return Fault.AWAY
        return Fault.RACE if state.startswith(RACE) else Fault.MEMBER
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return Fault.MEMBER  # asyncpg could not encode a value
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError):
        return Fault.AWAY
    return Fault.MEMBER
