"""Does the server at this address take work? Used for every way in which a server is found."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit

import asyncpg
import httpx

from deploy.local.plain_http import NO_TLS
from deploy.local.processes import PROBE_SECONDS

AMQP_GREETING = b"AMQP\x00\x00\x09\x01"


def postgres_answers(url: str) -> bool:
    """Whether a login succeeds and a query is answered."""

    async def ask() -> bool:
        connection = await asyncpg.connect(url, timeout=PROBE_SECONDS)
        try:
            return bool(await connection.fetchval("SELECT NOT pg_is_in_recovery()", timeout=PROBE_SECONDS))
        finally:
            connection.terminate()

    # In a thread of its own, since the caller's may have a running event loop.
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            return thread.submit(asyncio.run, ask()).result()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False


def rabbitmq_answers(url: str, api_url: str) -> bool:
    """Whether AMQP is spoken and the management API lets us in.

    Raises:
        OSError, httpx.HTTPError: nobody is there yet.
    """
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 5672), PROBE_SECONDS) as connection:
        connection.sendall(AMQP_GREETING)
        if connection.recv(1) != b"\x01":  # A method frame: Connection.Start
            return False
    return httpx.get(f"{api_url}/api/whoami", timeout=PROBE_SECONDS, trust_env=False, verify=NO_TLS).is_success


def redis_answers(url: str) -> bool:
    """Whether a PING after our login comes back.

    Raises:
        OSError: nobody is there yet.
    """
    address = urlsplit(url)
    said = _redis_command("PING")
    if address.password:
        said = _redis_command("AUTH", unquote(address.username or "default"), unquote(address.password)) + said
    with contextlib.ExitStack() as ending:
        server = (address.hostname or "127.0.0.1", address.port or 6379)
        connection = ending.enter_context(socket.create_connection(server, PROBE_SECONDS))
        if address.scheme == "rediss":
            context = ssl.create_default_context()
            connection = ending.enter_context(context.wrap_socket(connection, server_hostname=server[0]))
        connection.sendall(said)
        answers = connection.makefile("rb")
        return (not address.password or answers.readline() == b"+OK\r\n") and answers.readline() == b"+PONG\r\n"


def _redis_command(*words: str) -> bytes:
    """One command on the wire: the number of words, then each with its length in bytes."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
