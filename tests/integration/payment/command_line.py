"""The payment service's commands, in this process: one of its own would spend seconds on imports, each time.

A command also sends all logs of its process to its stdout. That is left out: it would last longer than that stdout.
"""

import asyncio

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from deploy.local.provision import Provisioned
from eventing import log
from payment.app import cli
from tests.contract.stripe_sandbox_server import API_KEY

NOBODY = "http://127.0.0.1:1"


async def payment(provisioned: Provisioned, *arguments: str, stripe: str = NOBODY) -> Result:
    """What `payment …` says. It runs in a thread, since it brings its own event loop."""
    settings = {
        "DATABASE_URL": provisioned.database_urls["payment"],
        "BROKER_URL": provisioned.broker_urls["payment"],
        "JWKS_URL": f"{NOBODY}/jwks.json",
        "JWT_ISSUER": "issuer",
        "JWT_AUDIENCE": "audience",
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": stripe,
        "STRIPE_WEBHOOK_SECRETS": "whsec_1",
    }
    environment = {f"GROUNDSWELL_{name}": value for name, value in settings.items()}
    with capture_logs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "configure", lambda *_: None)
        return await asyncio.to_thread(CliRunner().invoke, cli, list(arguments), env=environment)
