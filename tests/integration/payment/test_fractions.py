"""A fee with a fraction of the minor unit can be in no ledger: a person has to look, nothing is rounded (M1, Y6)."""

from datetime import UTC, datetime

from contracts.campaign import PaymentStrategy
from contracts.money import Money
from contracts.payment import PaymentAuthorized, PaymentCaptured
from payment.match import DailyMatch
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.payment.platform import Platform, until
from tests.integration.served import Served


def kronur(amount: int) -> Money:
    return Money(amount=amount, currency="ISK")


async def cases(platform: Platform, count: int) -> list[tuple[str, str]]:
    """Kind and summary of all cases, once there are so many."""

    async def enough() -> bool:
        return bool(await platform.pool.fetchval("SELECT count(*) >= $1 FROM payment_case", count))

    await until(enough)
    rows = await platform.pool.fetch("SELECT kind, summary FROM payment_case ORDER BY opened_at")
    return [(row["kind"], row["summary"]) for row in rows]


async def test_a_charge_and_a_capture_stop_with_a_case_and_the_day_is_matched(
    platform: Platform, service: Served
) -> None:
    charged = platform.placed(amount=kronur(5_000), strategy=PaymentStrategy.IMMEDIATE)
    held = platform.placed(amount=kronur(3_000))
    whole = platform.placed(amount=kronur(5_050), strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(charged, held, whole)
    await platform.until_said(held.pledge_id, PaymentAuthorized)
    await platform.tell(platform.capture(held))
    found = await cases(platform, 2)
    assert {kind for kind, _ in found} == {"mismatch"}
    assert all("a fraction of a minor unit of ISK" in summary for _, summary in found)
    assert (await platform.until_said(whole.pledge_id, PaymentCaptured)).provider_fee == kronur(76)
    await platform.until_quiet()  # nothing is looked at for ever
    assert await platform.operations(charged.pledge_id) == [("charge", 1, "stopped")]
    assert await platform.operations(held.pledge_id) == [("authorize", 1, "done"), ("capture", 1, "stopped")]

    provider = StripeProvider(API_KEY, platform.sandbox.address, timeout_seconds=5)
    runtime = service.runtime
    try:
        match = DailyMatch(runtime.pool, runtime.commit, runtime.clock, provider.movements)
        day = await match.match(datetime.now(UTC).date())
    finally:
        await provider.close()
    assert (day.movements, day.postings) == (3, 1)
    assert sorted(one.pledge_id for one in day.differences if one.pledge_id) == sorted(
        (charged.pledge_id, held.pledge_id)
    )
