"""Webhooks of the sandbox: signed, delivered, retried, and told apart in the list of events."""

import json

import pytest
import stripe

from tests.contract.stripe_openapi import validate_component
from tests.contract.stripe_sandbox_server import Inbox, Sandbox, connected, running, until

SECRET = "whsec_contract"


async def subscribe(sandbox: Sandbox, inbox: Inbox) -> str:
    """For new customers alone; the secret that signs."""
    endpoint = await sandbox.sdk.v1.webhook_endpoints.create_async(
        {"url": inbox.url, "enabled_events": ["customer.created"]}
    )
    assert endpoint.secret is not None
    return endpoint.secret


async def test_an_event_is_delivered_signed_and_as_stripe_describes_it(sandbox: Sandbox, inbox: Inbox) -> None:
    secret = await subscribe(sandbox, inbox)
    customer = await sandbox.sdk.v1.customers.create_async({"name": "Ada"}, {"idempotency_key": "k-1"})
    await until(lambda: len(inbox.received) == 1)
    body, signature = inbox.received[0]
    event = stripe.Webhook.construct_event(body, signature, secret)
    validate_component("event", json.loads(body))
    assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    assert event.request.idempotency_key == "k-1"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, secret)


async def test_only_the_wanted_types_are_sent(sandbox: Sandbox, inbox: Inbox) -> None:
    await subscribe(sandbox, inbox)
    await sandbox.raw.post("/v1/payment_intents", data={"amount": "500", "currency": "eur"})
    await sandbox.sdk.v1.customers.create_async()
    await until(lambda: bool(inbox.received))
    assert [json.loads(body)["type"] for body, _ in inbox.received] == ["customer.created"]


async def test_a_failed_delivery_comes_again_until_it_is_taken(sandbox: Sandbox, inbox: Inbox) -> None:
    inbox.statuses = [500, 302, 404]
    await subscribe(sandbox, inbox)
    await sandbox.sdk.v1.customers.create_async()
    await until(lambda: bool(inbox.received))
    waiting = await sandbox.sdk.v1.events.list_async({"delivery_success": False})
    await until(lambda: len(inbox.received) == 4, seconds=20)
    assert len({body.partition(b'"id":')[2][:40] for body, _ in inbox.received}) == 1
    assert [event.pending_webhooks for event in waiting.data] == [1]
    await _settled(sandbox)
    taken = await sandbox.sdk.v1.events.list_async({"delivery_success": True})
    assert [event.pending_webhooks for event in taken.data] == [0]


async def test_a_removed_endpoint_gets_nothing_more(sandbox: Sandbox, inbox: Inbox) -> None:
    await subscribe(sandbox, inbox)
    endpoints = sandbox.sdk.v1.webhook_endpoints
    listed = await endpoints.list_async()
    await endpoints.delete_async(listed.data[0].id)
    await sandbox.sdk.v1.customers.create_async()
    await _settled(sandbox)
    assert inbox.received == []
    assert (await endpoints.list_async()).data == []


async def test_a_reset_forgets_what_waits(sandbox: Sandbox, inbox: Inbox) -> None:
    inbox.statuses = [500] * 100
    await subscribe(sandbox, inbox)
    await sandbox.sdk.v1.customers.create_async()
    await until(lambda: bool(inbox.received))
    await sandbox.raw.post("/sandbox/reset")
    await _settled(sandbox)
    assert (await sandbox.sdk.v1.events.list_async()).data == []


async def test_the_environment_names_an_endpoint(inbox: Inbox) -> None:
    settings = {
        "STRIPE_SANDBOX_WEBHOOK_URL": inbox.url,
        "STRIPE_SANDBOX_WEBHOOK_SECRET": SECRET,
        "STRIPE_SANDBOX_WEBHOOK_EVENTS": "payment_intent.succeeded,customer.created",
    }
    with running(**settings) as address:
        async with connected(address) as sandbox:
            for _ in range(50):
                await sandbox.sdk.v1.customers.create_async()
            await until(lambda: len(inbox.received) == 50)
    ids = {stripe.Webhook.construct_event(body, signature, SECRET).id for body, signature in inbox.received}
    assert len(ids) == 50


@pytest.mark.parametrize(
    "form",
    ["url=ftp://x&enabled_events[]=*", "url=http://x", "enabled_events[]=*", "url=&enabled_events[]=*"],
)
async def test_a_bad_endpoint_is_refused(sandbox: Sandbox, form: str) -> None:
    answer = await sandbox.post("/v1/webhook_endpoints", form, valid=False)
    assert answer.status_code == 400


async def _settled(sandbox: Sandbox) -> None:
    """Wait until no delivery is under way or due."""
    answer = await sandbox.raw.get("/sandbox/books")
    while answer.json()["webhooks_outstanding"]:
        answer = await sandbox.raw.get("/sandbox/books")
