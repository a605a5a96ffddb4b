"""The journeys of a pledge's money on the sandbox, every exchange checked against Stripe's published description."""

from collections.abc import Awaitable, Callable

import pytest

from payment.gateway import Provider
from payment.stripe_gateway import StripeProvider
from tests.contract.journeys import JOURNEYS
from tests.contract.stripe_openapi import CheckedClient
from tests.contract.stripe_sandbox_server import API_KEY, Sandbox


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.__name__)
async def test_on_the_sandbox(journey: Callable[[Provider], Awaitable[None]], sandbox: Sandbox) -> None:
    client = CheckedClient(timeout=5)
    provider = StripeProvider(API_KEY, sandbox.base, timeout_seconds=5, http_client=client)
    try:
        await journey(provider)
    finally:
        await provider.close()
    assert client.exchanges > 0
