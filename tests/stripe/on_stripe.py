"""The journeys of a pledge's money on the real Stripe, in test mode: `make test-stripe`.

Not collected with the other tests: it needs a key, the internet and an account, and moves Stripe's play money.
"""

import os
from collections.abc import Awaitable, Callable

import pytest

from payment.gateway import Provider, Succeeded
from payment.stripe_gateway import StripeProvider
from tests.contract.journeys import JOURNEYS, request

TIMEOUT_SECONDS = 20.0


@pytest.fixture
def key() -> str:
    """A live key is refused: these are not games for real cards."""
    found = os.environ.get("STRIPE_API_KEY", "")
    assert found.startswith(("sk_test_", "rk_test_")), "STRIPE_API_KEY must be a test mode key (sk_test_…)"
    return found


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.__name__)
async def test_on_stripe(journey: Callable[[Provider], Awaitable[None]], key: str) -> None:
    provider = StripeProvider(key, None, TIMEOUT_SECONDS)
    try:
        await journey(provider)
    finally:
        await provider.close()


async def test_a_transfer_reaches_the_connected_account(key: str) -> None:
    """Needs STRIPE_CONNECTED_ACCOUNT and money in the test balance (docs/guides/payments.md says how)."""
    account = os.environ.get("STRIPE_CONNECTED_ACCOUNT", "")
    assert account.startswith("acct_"), "STRIPE_CONNECTED_ACCOUNT must name a connected account (acct_…)"
    provider = StripeProvider(key, None, TIMEOUT_SECONDS)
    try:
        asked = request(100)
        sent = await provider.transfer(asked, account)
        assert isinstance(sent, Succeeded), sent
        assert await provider.find_transfer(asked) == sent
    finally:
        await provider.close()
