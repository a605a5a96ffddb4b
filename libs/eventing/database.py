"""The pool every service uses, with limits on everything that could hold a lock."""

from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"
Pool: TypeAlias = "asyncpg.Pool[Record]"

POOL_CONNECTIONS_MAX: Final = 10  # One writes groups, one relays, the rest read for HTTP.
CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0  # The client's own limit, past the server's statement_timeout.

# Snapshot xmin is cluster-wide: one transaction that hangs would stall every relay on the cluster.
SERVER_SETTINGS: Final = {
    "statement_timeout": "20000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",  # Short statements: compiling them costs more than running them.
    # Every join here looks up some keys by an index. A plan made while a table was empty is cached, and a hash join,
    # which was right then, would read the whole table ever after.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


async def connect_pool(url: str, application: str, *, connections_max: int = POOL_CONNECTIONS_MAX) -> Pool:
    """A pool on the service's own schema (the search_path of its role).

    Raises:
        OSError, asyncpg.PostgresError: The database does not answer, or refuses the role.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=connections_max,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": application, **SERVER_SETTINGS},
        statement_cache_size=500,
        reset=_leave_as_it_is,
    )


async def _leave_as_it_is(_connection: Any) -> None:
    """Nothing here changes session state, so the round trip that resets it is saved."""
