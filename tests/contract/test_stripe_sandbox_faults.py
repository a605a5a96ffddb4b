"""What the sandbox can be made to do wrong: at random with a seed, with webhooks, and by its rate limits."""

import asyncio
import json
from random import Random

import httpx
import pytest

from stripe_sandbox.limits import Limiter, Limits, endpoint_of
from tests.contract.stripe_sandbox_server import Inbox, Sandbox, connected, running, until

REQUESTS = 60
ALL_KINDS = {"error", "html", "text", "drop", "delay", "throttle", "lock_timeout"}


async def plan(sandbox: Sandbox, where: str, /, **body: object) -> httpx.Response:
    return (await sandbox.raw.post(f"/sandbox/{where}", json=body)).raise_for_status()


async def outcomes(sandbox: Sandbox, order: Random) -> dict[str, tuple[int, str]]:
    """Status and kind of answer by idempotency key, the requests in some order and many at once."""
    keys = [f"k-{number}" for number in range(REQUESTS)]
    order.shuffle(keys)
    found: dict[str, tuple[int, str]] = {}

    async def ask(key: str) -> None:
        try:
            answer = await sandbox.raw.post("/v1/customers", headers={"idempotency-key": key})
            found[key] = (answer.status_code, answer.headers["content-type"])
        except httpx.TransportError:
            found[key] = (0, "dropped")

    await asyncio.gather(*map(ask, keys))
    return found


class TestAtRandom:
    async def test_the_same_seed_hits_the_same_requests_in_any_order(self, sandbox: Sandbox) -> None:
        seen, happened = [], []
        for run in range(2):
            await sandbox.raw.post("/sandbox/reset")
            await plan(sandbox, "faults/random", seed=7, rate=0.5, seconds=0.01)
            seen.append(await outcomes(sandbox, Random(run)))
            happened.append((await sandbox.raw.get("/sandbox/faults")).json()["happened"])
        await plan(sandbox, "faults/random", seed=8, rate=0.5, seconds=0.01)
        await sandbox.raw.post("/sandbox/reset")
        await plan(sandbox, "faults/random", seed=8, rate=0.5, seconds=0.01)
        other = await outcomes(sandbox, Random(0))
        assert seen[0] == seen[1] != other
        assert happened[0] == happened[1]
        assert happened[0].keys() == ALL_KINDS
        assert REQUESTS * 0.3 < sum(happened[0].values()) < REQUESTS * 0.7

    async def test_another_try_has_another_chance(self, sandbox: Sandbox) -> None:
        await plan(sandbox, "faults/random", seed=1, rate=0.5, kinds=["throttle"])
        statuses = [
            (await sandbox.raw.post("/v1/customers", headers={"idempotency-key": "k-1"})).status_code for _ in range(40)
        ]
        assert set(statuses) == {200, 429}

    async def test_it_can_be_kept_to_kinds_and_paths_and_ended(self, sandbox: Sandbox) -> None:
        await plan(sandbox, "faults/random", seed=1, rate=1, kinds=["throttle"], path="/v1/customers*")
        hit, free = await sandbox.raw.get("/v1/customers"), await sandbox.raw.get("/v1/balance")
        await sandbox.raw.delete("/sandbox/faults")
        after = await sandbox.raw.get("/v1/customers")
        assert (hit.status_code, free.status_code, after.status_code) == (429, 200, 200)

    @pytest.mark.parametrize(
        "body",
        [{}, {"seed": 1, "rate": 1.1}, {"seed": 1, "kinds": []}, {"seed": 1, "kinds": ["meteor"]}, {"seed": "x"}],
    )
    async def test_nonsense_is_refused(self, sandbox: Sandbox, body: dict[str, object]) -> None:
        assert (await sandbox.raw.post("/sandbox/faults/random", json=body)).status_code == 400


async def subscribe(sandbox: Sandbox, inbox: Inbox) -> None:
    await sandbox.sdk.v1.webhook_endpoints.create_async({"url": inbox.url, "enabled_events": ["customer.created"]})


async def customers(sandbox: Sandbox, count: int) -> list[str]:
    return [
        (await sandbox.sdk.v1.customers.create_async(options={"idempotency_key": f"k-{number}"})).id
        for number in range(count)
    ]


def told_of(inbox: Inbox) -> list[str]:
    return [json.loads(body)["data"]["object"]["id"] for body, _ in inbox.received]


async def held_back(sandbox: Sandbox) -> int:
    return int((await sandbox.raw.get("/sandbox/books")).json()["webhooks_held_back"])


async def settled(sandbox: Sandbox) -> None:
    while (await sandbox.raw.get("/sandbox/books")).json()["webhooks_outstanding"]:
        pass


class TestWebhooks:
    async def test_one_may_come_twice(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        await plan(sandbox, "faults/webhooks", kind="duplicate", skip=1)
        first, second = await customers(sandbox, 2)
        await settled(sandbox)
        assert sorted(told_of(inbox)) == sorted([first, second, second])
        assert len({json.loads(body)["id"] for body, _ in inbox.received}) == 2

    async def test_one_may_be_lost_and_only_the_list_tells(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        await plan(sandbox, "faults/webhooks", kind="lose", type="customer.*")
        lost, told = await customers(sandbox, 2)
        await settled(sandbox)
        missing = await sandbox.sdk.v1.events.list_async({"delivery_success": False})
        taken = await sandbox.sdk.v1.events.list_async({"delivery_success": True})
        assert told_of(inbox) == [told]
        assert [(event.data.object["id"], event.pending_webhooks) for event in missing.data] == [(lost, 1)]
        assert [(event.data.object["id"], event.pending_webhooks) for event in taken.data] == [(told, 0)]

    async def test_one_may_be_late_by_the_clock_of_the_sandbox(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        await plan(sandbox, "faults/webhooks", kind="delay", seconds=3 * 86_400)
        late, early = await customers(sandbox, 2)
        await until(lambda: told_of(inbox) == [early])
        await sandbox.advance(3 * 86_400 - 60)
        assert (await held_back(sandbox), told_of(inbox)) == (1, [early])
        await sandbox.advance(60)
        await until(lambda: told_of(inbox) == [early, late])
        assert await held_back(sandbox) == 0

    async def test_one_may_be_overtaken_by_the_next(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        await plan(sandbox, "faults/webhooks", kind="reorder")
        first, second, third = await customers(sandbox, 3)
        await settled(sandbox)
        order = told_of(inbox)
        assert sorted(order) == sorted([first, second, third])
        assert order.index(first) > order.index(second)

    async def test_what_nothing_overtakes_goes_by_itself(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        await plan(sandbox, "faults/webhooks", kind="reorder", count=2)
        made = await customers(sandbox, 2)
        assert (await held_back(sandbox), told_of(inbox)) == (2, [])
        await sandbox.advance(2)
        await settled(sandbox)
        assert sorted(told_of(inbox)) == sorted(made)

    async def test_the_same_seed_loses_the_same_ones(self, sandbox: Sandbox, inbox: Inbox) -> None:
        lost: list[set[str | None]] = []
        for seed in (3, 3, 4):
            await sandbox.raw.post("/sandbox/reset")
            await subscribe(sandbox, inbox)
            await plan(sandbox, "faults/random", seed=seed, webhook_rate=0.5, webhook_kinds=["lose"])
            await customers(sandbox, 20)
            await settled(sandbox)
            missing = await sandbox.sdk.v1.events.list_async({"delivery_success": False, "limit": 100})
            lost.append({event.request.idempotency_key for event in missing.data if event.request is not None})
        assert lost[0] == lost[1] != lost[2]
        assert 0 < len(lost[0]) < 20

    async def test_whatever_chance_does_all_that_is_not_lost_arrives(self, sandbox: Sandbox, inbox: Inbox) -> None:
        await subscribe(sandbox, inbox)
        kinds = ["duplicate", "reorder", "delay"]
        await plan(sandbox, "faults/random", seed=5, webhook_rate=0.8, webhook_kinds=kinds, webhook_seconds=3_600)
        made = await customers(sandbox, 30)
        await sandbox.advance(3_600)
        await settled(sandbox)
        happened = (await sandbox.raw.get("/sandbox/faults")).json()["happened"]
        assert set(told_of(inbox)) == set(made)
        assert len(told_of(inbox)) == 30 + happened["webhook_duplicate"]
        assert happened.keys() == {f"webhook_{kind}" for kind in kinds}

    @pytest.mark.parametrize("body", [{}, {"kind": "eat"}, {"kind": "delay", "seconds": -1}])
    async def test_nonsense_is_refused(self, sandbox: Sandbox, body: dict[str, object]) -> None:
        assert (await sandbox.raw.post("/sandbox/faults/webhooks", json=body)).status_code == 400


class TestRateLimit:
    async def test_the_next_second_is_free_again(self) -> None:
        with running(STRIPE_SANDBOX_RATE_LIMIT="20") as address:
            async with connected(address) as sandbox:
                answers = await asyncio.gather(*(sandbox.raw.get("/v1/balance") for _ in range(60)))
                statuses = [answer.status_code for answer in answers]
                async with asyncio.timeout(5):
                    while (await sandbox.raw.get("/v1/balance")).status_code != 200:
                        pass
        reasons = {answer.headers["stripe-rate-limited-reason"] for answer in answers if answer.status_code == 429}
        assert statuses.count(200) >= 20
        assert set(statuses) == {200, 429}
        assert reasons == {"global-rate"}

    async def test_may_change_while_it_runs_and_for_one_endpoint_alone(self, sandbox: Sandbox) -> None:
        changed = await plan(sandbox, "limits", endpoints={"GET /v1/balance": 1})
        balances = [await sandbox.raw.get("/v1/balance") for _ in range(20)]
        events = [(await sandbox.raw.get("/v1/events")).status_code for _ in range(20)]
        await plan(sandbox, "limits")
        free = [(await sandbox.raw.get("/v1/balance")).status_code for _ in range(20)]
        refused = [answer for answer in balances if answer.status_code == 429]
        assert changed.json() == {"global": 0, "per_endpoint": 0, "endpoints": {"GET /v1/balance": 1}}
        assert refused[0].headers["stripe-rate-limited-reason"] == "endpoint-rate"
        assert refused[0].json()["error"]["code"] == "rate_limit"
        assert balances[0].status_code == 200
        assert set(events) == set(free) == {200}

    @pytest.mark.parametrize("body", [{"global": -1}, {"per_endpoint": "many"}, {"each": 1}])
    async def test_nonsense_is_refused(self, sandbox: Sandbox, body: dict[str, object]) -> None:
        assert (await sandbox.raw.post("/sandbox/limits", json=body)).status_code == 400

    def test_counts_to_the_request(self) -> None:
        now = [0.0]
        limiter = Limiter(Limits(overall=30, per_endpoint=10, endpoints={"GET /v1/balance": 2}), lambda: now[0])

        def passed(path: str, times: int) -> int:
            return [limiter.refuse("GET", path) for _ in range(times)].count(None)

        assert passed("/v1/balance", 5) == 2
        assert passed("/v1/charges/ch_1", 11) == 10
        assert passed("/v1/charges/ch_2", 1) == 0
        assert passed("/v1/refunds", 5) == 5
        now[0] = 0.5
        assert passed("/v1/balance", 5) == 1
        assert passed("/v1/charges/ch_1", 20) == 5
        now[0] = 100.0
        assert passed("/v1/refunds", 40) == 10
        assert limiter.refuse("GET", "/v1/events") == "global-rate"

    @pytest.mark.parametrize(
        ("path", "endpoint"),
        [
            ("/v1/balance", "GET /v1/balance"),
            ("/v1/payment_intents/pi_1", "GET /v1/payment_intents/*"),
            ("/v1/payment_intents/pi_1/capture", "GET /v1/payment_intents/*/capture"),
            ("/v1/transfers/tr_1/reversals/trr_1", "GET /v1/transfers/*/reversals/*"),
        ],
    )
    def test_endpoints_are_routes_without_ids(self, path: str, endpoint: str) -> None:
        assert endpoint_of("GET", path) == endpoint
