"""Gives every service its own corner of the backing servers, and no more.

One PostgreSQL database per namespace, in it one schema and one login role per service; one RabbitMQ virtual
host per namespace, in it one user per service and the *migrator*, who declares the topology. What is allowed is
data (`database_sql`, `broker_definitions`), so that the compose file's init.sql and definitions.json are made
from the same source.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import httpx

from deploy.local.plain_http import NO_TLS
from deploy.local.servers import Backing
from deploy.topology import SERVICE_BY_NAME

SERVICES = tuple(SERVICE_BY_NAME)
MIGRATOR = "migrator"

CALL_SECONDS = 30.0
ROLE_SETTINGS = {
    "statement_timeout": "30s",  # The longest honest statement reads one campaign's whole book.
    "lock_timeout": "2s",
    # A write transaction that hangs holds back every relay of the cluster.
    "idle_in_transaction_session_timeout": "10s",
}
# Six roles with 45 connections each stay below the server's 300, with room for a person.
ROLE_ATTRIBUTES = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION CONNECTION LIMIT 45"


@dataclass(frozen=True)
class Provisioned:
    """A namespace that is ready: one database and one broker URL per service, and the migrator's broker URL."""

    namespace: str
    database_urls: Mapping[str, str]
    broker_urls: Mapping[str, str]
    broker_admin_url: str


def role(namespace: str, service: str) -> str:
    """The name of the PostgreSQL role or RabbitMQ user; both kinds are shared by the whole server."""
    return f"{namespace}_{service}"


def passwords(secret: str, namespace: str) -> dict[str, str]:
    """One password per service and for the migrator, derived, so that provisioning again changes none."""
    return {
        name: hmac.new(secret.encode(), role(namespace, name).encode(), hashlib.sha256).hexdigest()[:32]
        for name in (*SERVICES, MIGRATOR)
    }


def database_sql(namespace: str, known: Mapping[str, str]) -> str:
    """SQL for a superuser in the namespace's database: roles that reach their own schema only. Repeatable."""
    lines = [
        f'REVOKE ALL ON DATABASE "{namespace}" FROM PUBLIC;',
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
    ]
    for service in SERVICES:
        lines += _role_sql(namespace, service, known[service])
    return "\n".join(lines) + "\n"


def _role_sql(namespace: str, service: str, password: str) -> list[str]:
    name = role(namespace, service)
    settings = ROLE_SETTINGS | {"search_path": service}
    return [
        "",
        f'DO $$ BEGIN CREATE ROLE "{name}"; EXCEPTION WHEN duplicate_object THEN NULL; END $$;',
        f"ALTER ROLE \"{name}\" LOGIN {ROLE_ATTRIBUTES} PASSWORD '{password}';",
        *(f"ALTER ROLE \"{name}\" SET {setting} = '{value}';" for setting, value in settings.items()),
        f'GRANT CONNECT ON DATABASE "{namespace}" TO "{name}";',
        f'CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION "{name}";',
    ]


def broker_definitions(namespace: str, known: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """RabbitMQ definitions: virtual host, users, what each may touch and under which keys it may publish."""
    users = {role(namespace, name): known[name] for name in (*SERVICES, MIGRATOR)}
    return {
        "vhosts": [{"name": namespace}],
        "users": [
            {
                "name": name,
                "password_hash": _password_hash(name, password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for name, password in users.items()
        ],
        "permissions": [
            *(_permissions(namespace, service) for service in SERVICES),
            {"user": role(namespace, MIGRATOR), "vhost": namespace} | dict.fromkeys(_RIGHTS, ".*"),
        ],
        "topic_permissions": [
            {
                "user": role(namespace, service),
                "vhost": namespace,
                "exchange": "events",
                "write": rf"^{service}\.",
                "read": ".*",  # Which events its queue is bound to.
            }
            for service in SERVICES
        ],
    }


_RIGHTS = ("configure", "write", "read")


def _permissions(namespace: str, service: str) -> dict[str, str]:
    """Own queues, publishing to `events`, and binding the own queues to the two exchanges."""
    own = rf"{service}(\.dead)?"
    return {
        "user": role(namespace, service),
        "vhost": namespace,
        "configure": f"^{own}$",
        "write": f"^({own}|events)$",
        "read": rf"^({own}|events(\.dead)?)$",
    }


def _password_hash(name: str, password: str) -> str:
    """RabbitMQ's salted SHA-256. The salt comes from the name, so that the same input gives the same file."""
    salt = hashlib.sha256(name.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


async def provision(backing: Backing, namespace: str) -> Provisioned:
    """Create the namespace where it is missing; what is there stays as it is.

    Args:
        backing: the servers, with an administrator's credentials.
        namespace: lower-case letters, digits and underscores.

    Raises:
        asyncpg.PostgresError, httpx.HTTPError: a server refused.
    """
    await asyncio.gather(provision_database(backing, namespace), provision_broker(backing, namespace))
    return provisioned(backing, namespace)


def provisioned(backing: Backing, namespace: str) -> Provisioned:
    """The addresses of a namespace, whether or not it is there yet."""
    known = passwords(_secret(backing.postgres_url), namespace)
    return Provisioned(
        namespace,
        {name: _url(backing.postgres_url, role(namespace, name), known[name], namespace) for name in SERVICES},
        {name: _url(backing.rabbitmq_url, role(namespace, name), known[name], namespace) for name in SERVICES},
        _url(backing.rabbitmq_url, role(namespace, MIGRATOR), known[MIGRATOR], namespace),
    )


async def drop(backing: Backing, namespace: str) -> None:
    """Remove the namespace with everything in it; open connections are cut. Nothing happens if there is none."""
    await asyncio.gather(drop_broker(backing, namespace), drop_database(backing, namespace))


async def drop_broker(backing: Backing, namespace: str) -> None:
    async with _management(backing) as api:
        await _call(api, "DELETE", f"/api/vhosts/{namespace}")
        users = [role(namespace, name) for name in (*SERVICES, MIGRATOR)]
        # One call for each: RabbitMQ's bulk call fails if one of them is missing.
        await asyncio.gather(*(_call(api, "DELETE", f"/api/users/{user}") for user in users))


async def drop_database(backing: Backing, namespace: str) -> None:
    server = await asyncpg.connect(backing.postgres_url, timeout=CALL_SECONDS)
    try:
        await server.execute(f'DROP DATABASE IF EXISTS "{namespace}" WITH (FORCE)')
        for service in SERVICES:
            await server.execute(f'DROP ROLE IF EXISTS "{role(namespace, service)}"')
    finally:
        await server.close()


async def namespaces(backing: Backing, prefix: str) -> list[str]:
    """The namespaces there are on the servers whose name begins like this."""
    async with _management(backing) as api:
        answer = await _call(api, "GET", "/api/vhosts")
        found = {str(vhost["name"]) for vhost in answer.json()}
    server = await asyncpg.connect(backing.postgres_url, timeout=CALL_SECONDS)
    try:
        found |= {row["datname"] for row in await server.fetch("SELECT datname FROM pg_database")}
    finally:
        await server.close()
    return sorted(name for name in found if name.startswith(prefix))


async def provision_broker(backing: Backing, namespace: str) -> None:
    known = passwords(_secret(backing.postgres_url), namespace)
    async with _management(backing) as api:
        await _call(api, "POST", "/api/definitions", broker_definitions(namespace, known))


async def provision_database(backing: Backing, namespace: str) -> None:
    url = backing.postgres_url
    known = passwords(_secret(url), namespace)
    server = await asyncpg.connect(url, timeout=CALL_SECONDS)
    try:
        if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", namespace):
            await server.execute(f'CREATE DATABASE "{namespace}"')
    finally:
        await server.close()
    address = urlsplit(url)
    database = await asyncpg.connect(urlunsplit(address._replace(path=f"/{namespace}")), timeout=CALL_SECONDS)
    try:
        await database.execute(database_sql(namespace, known))
    finally:
        await database.close()


def _management(backing: Backing) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=NO_TLS, base_url=backing.rabbitmq_api_url, timeout=CALL_SECONDS, trust_env=False)


async def _call(api: httpx.AsyncClient, method: str, path: str, body: object = None) -> httpx.Response:
    answer = await api.request(method, path, json=body)
    if answer.status_code != httpx.codes.NOT_FOUND:  # To remove what is not there is no mistake.
        answer.raise_for_status()
    return answer


def _secret(url: str) -> str:
    return urlsplit(url).password or ""


def _url(admin_url: str, user: str, password: str, path: str) -> str:
    address = urlsplit(admin_url)
    host = address.netloc.rpartition("@")[2]
    return urlunsplit(address._replace(netloc=f"{quote(user)}:{quote(password)}@{host}", path=f"/{quote(path)}"))
