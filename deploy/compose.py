"""Writes `docker-compose.yml` and `.env.example` from `deploy.topology`: `python -m deploy.compose`.

Both are committed; a test compares. Every password and port is a variable with a development default, so that
`docker compose up` works in a fresh checkout and a `.env` file changes what has to be changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from deploy import topology
from deploy.local import postgres as local_postgres
from deploy.local.provision import MIGRATOR, broker_definitions, database_sql, role
from deploy.topology import (
    GATEWAY,
    GATEWAY_PORT,
    HOST_PORTS,
    HTTP_PORT,
    NAMESPACE,
    SERVICES,
    SMTP_PORT,
    STAND_INS,
    Part,
)

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
EXAMPLE_FILE = ROOT / ".env.example"

Yaml = dict[str, object]

POSTGRES_IMAGE = "postgres:18"
RABBITMQ_IMAGE = "rabbitmq:4"
REDIS_IMAGE = "valkey/valkey:8"
CADDY_IMAGE = "caddy:2"
PROMETHEUS_IMAGE = "prom/prometheus:v3"


def port_variable(part: str) -> str:
    return f"{part.upper().replace('-', '_')}_PORT"


# Who has an account: each service at both servers, the migrator at the broker.
ACCOUNTS = (*(service.name for service in SERVICES), MIGRATOR)

# Everything that a `.env` file may change, with what holds without one.
VARIABLES = {
    "POSTGRES_PASSWORD": "development-postgres",
    **{f"{name.upper()}_PASSWORD": f"development-{name}" for name in ACCOUNTS},
    **{name.upper(): value for name, value in topology.DEVELOPMENT_VALUES.items()},
    "STRIPE_API_BASE": f"http://stripe-sandbox:{HTTP_PORT}",
    "JWKS_URL": f"http://issuer:{HTTP_PORT}/.well-known/jwks.json",
    "SMTP_HOST": "mailbox",
    "SMTP_PORT": str(SMTP_PORT),
    "PUBLIC_URL": f"http://127.0.0.1:{HOST_PORTS['gateway']}",
    **{port_variable(part): str(port) for part, port in HOST_PORTS.items()},
}

EXAMPLE_HEAD = """\
# Copy to .env and change what you need: docker compose reads it. Made by `python -m deploy.compose`.
# These are development values. Passwords stand in addresses: use letters, digits, - and _.
"""


def variable(name: str) -> str:
    """How the compose file refers to a variable."""
    return f"${{{name}:-{VARIABLES[name]}}}"


def password(account: str) -> str:
    return variable(f"{account.upper()}_PASSWORD")


def broker_url(account: str) -> str:
    return f"amqp://{role(NAMESPACE, account)}:{password(account)}@rabbitmq:5672/{NAMESPACE}"


def database_url(account: str) -> str:
    return f"postgresql://{role(NAMESPACE, account)}:{password(account)}@postgres:5432/{NAMESPACE}"


def values(part: Part) -> dict[str, str]:
    """What the placeholders of a part's settings stand for inside the compose network."""
    variables = {name.lower(): variable(name) for name in VARIABLES}
    own = {"database_url": database_url(part.name), "broker_url": broker_url(part.name)} if part in SERVICES else {}
    return (
        variables
        | own
        | {
            "redis_url": "redis://redis:6379/0",
            "http_host": "0.0.0.0",  # noqa: S104 - inside a container; only loopback of the machine is mapped to it
            "http_port": str(HTTP_PORT),
            "own_smtp_port": str(SMTP_PORT),
            "stripe_sandbox_public_url": f"http://127.0.0.1:{variable('STRIPE_SANDBOX_PORT')}",
            "stripe_webhook_url": f"http://gateway:{GATEWAY_PORT}/webhooks/stripe",
            "issuer_directory": "/tmp/issuer",  # noqa: S108 - the container's own, gone with it
            "in_container": "true",
            "caddy": "caddy",
            "caddyfile": "/etc/caddy/Caddyfile",
            "gateway_address": f":{GATEWAY_PORT}",
            "gateway_bind": "0.0.0.0",  # noqa: S104 - the same
            **{f"{service.name}_upstream": f"{service.name}:{HTTP_PORT}" for service in SERVICES},
        }
    )


def compose() -> Yaml:
    """The compose file as plain data."""
    services: Yaml = {"postgres": postgres(), "rabbitmq": rabbitmq(), "redis": redis()}
    for part in STAND_INS:
        services[part.name] = stand_in(part)
    for part in SERVICES:
        services[f"{part.name}-migrate"] = migration(part)
        services[part.name] = service(part)
    services["gateway"] = gateway()
    services["prometheus"] = prometheus()
    return {
        "name": "groundswell",
        "services": services,
        "volumes": {name: {} for name in ("postgres", "rabbitmq", "caddy", "prometheus")},
        "configs": {
            "database.sql": {"content": interpolated(database_sql(NAMESPACE, MARKED_PASSWORDS))},
            "broker.json": {"content": interpolated(json.dumps(definitions(), indent=2) + "\n")},
            "broker.conf": {"content": "load_definitions = /etc/rabbitmq/definitions.json\n"},
        },
    }


# Passwords are not known when these texts are made: a mark stands for each, and compose puts the variable's value in.
MARKED_PASSWORDS = {name: f"@{name}@" for name in ACCOUNTS}


def definitions() -> dict[str, list[dict[str, str]]]:
    """What RabbitMQ loads when it starts: as natively, but with passwords, which it hashes, in place of hashes."""
    users = [{"name": role(NAMESPACE, name), "password": mark, "tags": ""} for name, mark in MARKED_PASSWORDS.items()]
    return broker_definitions(NAMESPACE, MARKED_PASSWORDS) | {"users": users}


def interpolated(text: str) -> str:
    """The text with variables for marks; its own dollar signs are doubled, as compose wants them."""
    text = text.replace("$", "$$")
    for name, mark in MARKED_PASSWORDS.items():
        text = text.replace(mark, password(name))
    return text


def container(image: str, *, needs: Mapping[str, str] | None = None, **fields: object) -> Yaml:
    """What all containers have in common; `needs` maps others to the condition that they have to be in."""
    return {
        "image": image,
        "restart": "unless-stopped",
        **fields,
        **({"depends_on": {name: {"condition": condition} for name, condition in needs.items()}} if needs else {}),
        # A full disk stops everything: the engine keeps no more than this of each container's log.
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }


def healthcheck(test: list[str], start_seconds: int = 30) -> Yaml:
    return {
        "test": test,
        "interval": "3s",
        "timeout": "5s",
        "retries": 10,
        "start_period": f"{start_seconds}s",
    }


def mounted(config: str, target: str) -> Yaml:
    return {"source": config, "target": target}


def published(part: str, container_port: int) -> str:
    return f"127.0.0.1:{variable(port_variable(part))}:{container_port}"


def postgres() -> Yaml:
    return container(
        POSTGRES_IMAGE,
        command=["postgres", *(word for item in local_postgres.SETTINGS.items() for word in ("-c", "=".join(item)))],
        environment={
            "POSTGRES_PASSWORD": variable("POSTGRES_PASSWORD"),
            "POSTGRES_DB": NAMESPACE,
            "POSTGRES_INITDB_ARGS": " ".join(local_postgres.ENCODING),
        },
        configs=[mounted("database.sql", "/docker-entrypoint-initdb.d/database.sql")],
        # Since 18 the image keeps its data one level higher, in a folder per version.
        volumes=["postgres:/var/lib/postgresql"],
        # By address: while the roles are made the server listens on its socket only, and is not ready.
        healthcheck=healthcheck(["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres", "-d", NAMESPACE]),
        shm_size="256mb",  # Parallel queries take it; the engine's 64 MB are too little.
        stop_grace_period="30s",
    )


def rabbitmq() -> Yaml:
    return container(
        RABBITMQ_IMAGE,
        hostname="rabbitmq",  # Its data folder carries the host's name, which must not change.
        configs=[
            mounted("broker.conf", "/etc/rabbitmq/conf.d/20-definitions.conf"),
            mounted("broker.json", "/etc/rabbitmq/definitions.json"),
        ],
        volumes=["rabbitmq:/var/lib/rabbitmq"],
        healthcheck=healthcheck(["CMD", "rabbitmq-diagnostics", "-q", "check_port_connectivity"], start_seconds=60),
        stop_grace_period="30s",
    )


def redis() -> Yaml:
    """A mirror of what PostgreSQL holds (C7): bounded, and never written to disk."""
    return container(
        REDIS_IMAGE,
        command=["valkey-server", "--save", "", "--maxmemory", "128mb", "--maxmemory-policy", "allkeys-lru"],
        healthcheck=healthcheck(["CMD", "valkey-cli", "ping"]),
    )


def program(
    part: Part,
    target: str,
    *,
    command: tuple[str, ...] = (),
    own_values: Mapping[str, str] | None = None,
    needs: Mapping[str, str] | None = None,
    **fields: object,
) -> Yaml:
    """One of our own images: not root, nothing to write to but /tmp, no capabilities."""
    inside = values(part) | dict(own_values or {})
    return container(
        f"groundswell/{target}",
        needs=needs,
        build={"context": ".", "dockerfile": "deploy/Dockerfile", "target": target},
        command=list(command) or topology.command(part, inside),
        environment=topology.environment(part, inside),
        init=True,
        read_only=True,
        tmpfs=["/tmp"],  # noqa: S108 - the container's own
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        **fields,
    )


def ready_check(part: Part) -> Yaml:
    url = f"http://127.0.0.1:{HTTP_PORT}{part.ready_path}"
    return healthcheck(["CMD", "python", "-c", f"import urllib.request as r; r.urlopen('{url}', timeout=4)"])


def stand_in(part: Part) -> Yaml:
    return program(
        part,
        "services" if part is topology.STRIPE_SANDBOX else "development",
        ports=[published(part.name, HTTP_PORT)],
        healthcheck=ready_check(part),
    )


def migration(part: Part) -> Yaml:
    """A step that ends: tables, queues and bindings are there before the service starts."""
    return program(
        part,
        "services",
        command=part.migrate,
        own_values={"broker_url": broker_url(MIGRATOR)},  # Only the migrator may declare what is not its own.
        needs=dict.fromkeys(("postgres", "rabbitmq"), "service_healthy"),
        restart="no",
    )


def service(part: Part) -> Yaml:
    # Its own tables, and all queues: each migration declares every one of them.
    needs = dict.fromkeys(part.needs, "service_healthy") | {f"{part.name}-migrate": "service_completed_successfully"}
    return program(
        part,
        "services",
        needs=needs,
        healthcheck=ready_check(part),
        stop_grace_period="30s",
        deploy={"replicas": part.replicas},
    )


def gateway() -> Yaml:
    inside = values(GATEWAY)
    return container(
        CADDY_IMAGE,
        command=topology.command(GATEWAY, inside),
        environment=topology.environment(GATEWAY, inside),
        volumes=["./deploy/gateway:/etc/caddy:ro", "caddy:/data"],
        ports=[published("gateway", GATEWAY_PORT)],
        cap_drop=["ALL"],
        cap_add=["NET_BIND_SERVICE"],  # The image's program carries this one and does not start without it.
        needs=dict.fromkeys(GATEWAY.needs, "service_started"),
        healthcheck=healthcheck(["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{GATEWAY_PORT}/docs"]),
    )


def prometheus() -> Yaml:
    return container(
        PROMETHEUS_IMAGE,
        profiles=["observability"],
        volumes=["./deploy/observability:/etc/prometheus:ro", "prometheus:/prometheus"],
        ports=["127.0.0.1:9090:9090"],
        cap_drop=["ALL"],
    )


class _Dumper(yaml.SafeDumper):
    """Longer and plainer: no anchors, and texts of several lines as they are read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class calls it
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def compose_text() -> str:
    head = "# Made by `python -m deploy.compose` from deploy/topology.py; a test compares. Change it there.\n"
    return head + yaml.dump(compose(), Dumper=_Dumper, sort_keys=False, width=160)


def example_text() -> str:
    return EXAMPLE_HEAD + "".join(f"{name}={value}\n" for name, value in VARIABLES.items())


if __name__ == "__main__":
    COMPOSE_FILE.write_text(compose_text())
    EXAMPLE_FILE.write_text(example_text())
