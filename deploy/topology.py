"""What runs, what each part needs, and which public path leads where.

The one description from which the native run (`deploy.local.platform`), the compose file (`deploy.compose`)
and the gateway's routes are made. A setting's value may hold `{placeholders}`; `environment` fills them with
the addresses and secrets of the surroundings that the part is started in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NAMESPACE = "groundswell"  # The PostgreSQL database and the RabbitMQ virtual host.

JWT_ISSUER = "groundswell-local"
JWT_AUDIENCE = "groundswell"

# What placeholders stand for in development, wherever it runs; only addresses differ.
DEVELOPMENT_VALUES = {
    "jwt_issuer": JWT_ISSUER,
    "jwt_audience": JWT_AUDIENCE,
    "stripe_api_key": "sk_test_sandbox",
    "stripe_webhook_secret": "whsec_development",
    "mail_from": "Groundswell <mail@groundswell.example>",
    "min_campaign_seconds": "3600",  # DOMAIN C3; the demo shortens it.
    "log_level": "INFO",
    "otlp_endpoint": "",
}

# Each container has its own address, so every part uses the same port there; natively each gets a free one.
HTTP_PORT = 8000
SMTP_PORT = 1025


@dataclass(frozen=True)
class Part:
    """One program of the platform.

    `settings` maps environment variables to templates, `needs` names parts and backing servers that must be
    there first, `routes` are public paths at the gateway (see `route_pattern`).
    """

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, str]
    needs: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    migrate: tuple[str, ...] = ()
    ready_path: str = "/health/ready"
    ports: Mapping[str, int] = field(default_factory=lambda: {"http": HTTP_PORT})
    replicas: int = 1

    @property
    def upstream_variable(self) -> str:
        """The gateway reads this part's addresses from this environment variable, separated by spaces."""
        return f"{self.name.upper()}_UPSTREAM"


COMMON = {
    "GROUNDSWELL_DATABASE_URL": "{database_url}",
    "GROUNDSWELL_BROKER_URL": "{broker_url}",
    "GROUNDSWELL_HTTP_HOST": "{http_host}",
    "GROUNDSWELL_HTTP_PORT": "{http_port}",
    "GROUNDSWELL_JWKS_URL": "{jwks_url}",
    "GROUNDSWELL_JWT_ISSUER": "{jwt_issuer}",
    "GROUNDSWELL_JWT_AUDIENCE": "{jwt_audience}",
    "GROUNDSWELL_LOG_LEVEL": "{log_level}",
    "GROUNDSWELL_OTLP_ENDPOINT": "{otlp_endpoint}",
}


def _service(name: str, routes: tuple[str, ...], *, needs: tuple[str, ...] = (), **settings: str) -> Part:
    return Part(
        name=name,
        command=(name, "serve"),
        migrate=(name, "migrate"),
        settings=COMMON | {f"GROUNDSWELL_{key}": value for key, value in settings.items()},
        needs=("postgres", "rabbitmq", "issuer", *needs),
        routes=(*routes, f"/docs/{name}*", f"/openapi/{name}.json"),
    )


# In the gateway's order, first match wins: pledge comes after payment because its `/pledges/*` holds the refunds too,
# campaign is last because its `tiers*` holds pledge's waitlist.
SERVICES = (
    _service(
        "payment",
        (
            "/webhooks/stripe",
            "/payments/*",
            "/operations*",
            "/campaigns/{id}/ledger*",
            "/campaigns/{id}/statement*",
            "/pledges/{id}/next-action",
            "/campaigns/{id}/disputes",
            "/pledges/{id}/refunds*",
        ),
        needs=("stripe-sandbox",),
        STRIPE_API_KEY="{stripe_api_key}",
        STRIPE_API_BASE="{stripe_api_base}",
        STRIPE_WEBHOOK_SECRETS="{stripe_webhook_secret}",
    ),
    _service(
        "pledge",
        (
            "/campaigns/{id}/pledges",
            "/pledges/*",
            "/me/pledges",
            "/me/waitlist",
            "/campaigns/{id}/backers",
            "/campaigns/{id}/fulfilment.csv",
            "/campaigns/{id}/tiers/{tier}/waitlist",
        ),
    ),
    _service("settlement", ("/campaigns/{id}/settlement*",)),
    _service(
        "notifier",
        ("/me/contact", "/me/notices*", "/links/*", "/unsubscribe*"),
        needs=("mailbox",),
        SMTP_HOST="{smtp_host}",
        SMTP_PORT="{smtp_port}",
        MAIL_FROM="{mail_from}",
        PUBLIC_URL="{public_url}",
    ),
    _service("analytics", ("/campaigns/{id}/analytics*", "/campaigns/{id}/dashboard*")),
    _service(
        "campaign",
        (
            "/campaigns",
            "/campaigns/{id}",
            "/campaigns/{id}/tiers*",
            "/campaigns/{id}/launch",
            "/campaigns/{id}/cancel",
            "/campaigns/{id}/updates*",
            "/campaigns/{id}/live",
        ),
        needs=("redis",),
        REDIS_URL="{redis_url}",
        MIN_CAMPAIGN_SECONDS="{min_campaign_seconds}",
    ),
)

# Stand-ins for what a site gets from others: a card processor, an identity provider, a mail server.
STRIPE_SANDBOX = Part(
    name="stripe-sandbox",
    command=("stripe-sandbox", "serve", "--host", "{http_host}", "--port", "{http_port}"),
    settings={
        "STRIPE_SANDBOX_API_KEY": "{stripe_api_key}",
        "STRIPE_SANDBOX_WEBHOOK_URL": "{stripe_webhook_url}",
        "STRIPE_SANDBOX_WEBHOOK_SECRET": "{stripe_webhook_secret}",
        # Only those that the payment service acts on: each hold makes three.
        "STRIPE_SANDBOX_WEBHOOK_EVENTS": "payment_intent.amount_capturable_updated,payment_intent.succeeded,"
        "payment_intent.payment_failed,payment_intent.canceled,setup_intent.succeeded,setup_intent.setup_failed,"
        "refund.created,refund.failed,charge.dispute.created,charge.dispute.closed",
        "STRIPE_SANDBOX_PUBLIC_URL": "{stripe_sandbox_public_url}",
    },
    ready_path="/sandbox",
)
ISSUER = Part(
    name="issuer",
    command=("python", "-m", "deploy.local.issuer"),
    settings={
        "ISSUER_HTTP_HOST": "{http_host}",
        "ISSUER_HTTP_PORT": "{http_port}",
        "ISSUER_DIRECTORY": "{issuer_directory}",
        "ISSUER_IN_CONTAINER": "{in_container}",
    },
)
MAILBOX = Part(
    name="mailbox",
    command=("python", "-m", "deploy.local.mailbox"),
    settings={
        "MAILBOX_HTTP_HOST": "{http_host}",
        "MAILBOX_HTTP_PORT": "{http_port}",
        "MAILBOX_SMTP_PORT": "{own_smtp_port}",
    },
    ports={"http": HTTP_PORT, "smtp": SMTP_PORT},
)
STAND_INS = (STRIPE_SANDBOX, ISSUER, MAILBOX)

GATEWAY_PORT = 8080
# Where a person reaches the parts, on this machine's loopback only; natively another port where one is taken.
HOST_PORTS = {"gateway": GATEWAY_PORT, "stripe-sandbox": 8020, "mailbox": 8025, "issuer": 8090}

GATEWAY = Part(
    name="gateway",
    command=("{caddy}", "run", "--config", "{caddyfile}", "--adapter", "caddyfile"),
    settings={
        "GATEWAY_ADDRESS": "{gateway_address}",
        "GATEWAY_BIND": "{gateway_bind}",
        **{service.upstream_variable: f"{{{service.name}_upstream}}" for service in SERVICES},
    },
    needs=tuple(service.name for service in SERVICES),
    ready_path="/docs",
    ports={"http": GATEWAY_PORT},
)

BACKING_SERVERS = ("postgres", "rabbitmq", "redis")

SERVICE_BY_NAME = {service.name: service for service in SERVICES}


def environment(part: Part, values: Mapping[str, str]) -> dict[str, str]:
    """The part's environment variables; a placeholder that the surroundings do not know is a `KeyError`."""
    return {name: template.format_map(values) for name, template in part.settings.items()}


def command(part: Part, values: Mapping[str, str]) -> list[str]:
    """The part's command line, its placeholders filled like those of its settings."""
    return [word.format_map(values) for word in part.command]


def route_pattern(route: str) -> str:
    """The regular expression of a route, in the syntax that Caddy (RE2) and Python share.

    `{name}` stands for one path segment. A final `/*` is anything below; a final `*` without the slash is the
    path itself, anything below it, and the path with a suffix such as `.csv`.
    """
    tail = ""
    if route.endswith("/*"):
        route, tail = route[:-2], "/.+"
    elif route.endswith("*"):
        route, tail = route[:-1], "([/.].*)?"
    segments = ("[^/]+" if part.startswith("{") else re.escape(part) for part in route.split("/"))
    return "^" + "/".join(segments) + tail + "$"


def owner(path: str) -> str | None:
    """The service that answers a public path, None if nobody does."""
    for service in SERVICES:
        if any(re.search(route_pattern(route), path) for route in service.routes):
            return service.name
    return None
