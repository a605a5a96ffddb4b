"""The payment service's commands: in the tests' process, since one of its own spends seconds on imports, or in that."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from deploy.local.processes import inherited_environment
from deploy.local.provision import Provisioned
from eventing import log
from payment.app import cli
from tests.contract.stripe_sandbox_server import API_KEY

NOBODY = "http://127.0.0.1:1"


async def payment(provisioned: Provisioned, *arguments: str, stripe: str = NOBODY) -> Result:
    """What `payment …` says. It runs in a thread, since it brings its own event loop.

    Without the logs, which a command sends to its stdout from then on: that ends here before the process does.
    """
    with capture_logs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "configure", lambda *_: None)
        environment = _environment(provisioned, stripe)
        return await asyncio.to_thread(CliRunner().invoke, cli, list(arguments), env=environment)


async def payment_process(
    provisioned: Provisioned, *arguments: str, stripe: str = NOBODY
) -> subprocess.CompletedProcess[str]:
    """The same, logs and all, as an operator starts it."""
    command = [str(Path(sys.executable).with_name("payment")), *arguments]
    environment = inherited_environment() | _environment(provisioned, stripe)
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def _environment(provisioned: Provisioned, stripe: str) -> dict[str, str]:
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
    return {f"GROUNDSWELL_{name}": value for name, value in settings.items()}
