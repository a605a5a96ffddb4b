"""Rows `pipeline` and `memory`: the whole platform on this machine.

`pipeline`: pledges placed at the gateway at a steady pace for a minute; each goes placed → authorized at the Stripe
sandbox → into the campaign's total. The figure is what reached the total per second, while the lag stayed bounded.
`memory`: proportional set size of the six services together after that, beside the same when idle.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import psutil

from bench.load import Answers, Call, run
from bench.row import Figure, Ground, Row
from contracts.ids import new_id
from deploy.local.platform import LocalPlatform, start
from deploy.topology import SERVICES

REACH: Final = 300  # pledges a second
PACE: Final = 320  # a little more, because the figure counts the time in which the last ones come through
SECONDS: Final = 60
SLICE_SECONDS: Final = 0.25
CONNECTIONS: Final = 32
DRAIN_SECONDS: Final = 60.0
MEGABYTE: Final = 1 << 20


@dataclass(frozen=True)
class Measured:
    visible_per_second: float
    lag_max: int  # pledges that were accepted and not yet in the total, at the worst moment
    drained_seconds: float  # from the last answer until the total was complete
    load_cpu: float
    idle_megabytes: float
    loaded_megabytes: float


def memory(platform: LocalPlatform) -> float:
    """Proportional set size of the six services, in MiB."""
    processes = (psutil.Process(platform.process(part.name).pid) for part in SERVICES)
    return sum(one.memory_full_info().pss for one in processes) / MEGABYTE


async def open_campaign(platform: LocalPlatform) -> str:
    """Draft and launch one campaign; its id."""
    creator = platform.mint(new_id(), ["creator"])
    async with httpx.AsyncClient(
        base_url=platform.addresses.gateway, headers={"Authorization": f"Bearer {creator}"}, timeout=30
    ) as api:
        draft = {
            "title": "Pipeline",
            "story": "One busy minute.",
            "goal": {"amount": 10**11, "currency": "EUR"},
            "model": "all_or_nothing",
            "deadline": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
        }
        campaign_id = str((await _post(api, "/campaigns", draft))["id"])
        await _post(api, f"/campaigns/{campaign_id}/launch", {})
    return campaign_id


async def _post(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(path, json=body, headers={"Idempotency-Key": str(new_id())})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def placements(platform: LocalPlatform, campaign_id: str, count: int) -> list[Call]:
    body = json.dumps(
        {"amount": {"amount": 2500, "currency": "EUR"}, "payment_method": "pm_card_visa", "country": "DE"}
    )
    path = f"/campaigns/{campaign_id}/pledges"
    return [Call("POST", path, platform.mint(new_id(), ["backer"]), body) for _ in range(count)]


async def backers(api: httpx.AsyncClient, campaign_id: str) -> int:
    page = (await api.get(f"/campaigns/{campaign_id}")).json()
    return int(page["backers"])


async def steady(base: str, calls: Sequence[Call], accepted: list[int]) -> Answers:
    """Send at PACE, slice by slice; `accepted` grows by what each slice was told."""
    size = int(PACE * SLICE_SECONDS)
    slices = [calls[i : i + size] for i in range(0, len(calls), size)]
    begun = time.perf_counter()
    whole = Answers()

    async def send(one: Sequence[Call]) -> None:
        answers = await run([base], one, connections=CONNECTIONS)
        whole.statuses.update(answers.statuses)
        whole.milliseconds += answers.milliseconds
        accepted.append(answers.statuses[201])

    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(slices):
            await asyncio.sleep(max(0.0, begun + number * SLICE_SECONDS - time.perf_counter()))
            group.create_task(send(one))
    return whole


async def minute(platform: LocalPlatform) -> Measured:
    idle = memory(platform)
    campaign_id = await open_campaign(platform)
    gateway = platform.addresses.gateway
    await wait_until_open(platform, campaign_id)
    calls = placements(platform, campaign_id, PACE * SECONDS)
    accepted: list[int] = []
    lags: list[int] = []
    async with httpx.AsyncClient(base_url=gateway, timeout=30) as api:
        before = await backers(api, campaign_id)

        async def watch() -> None:
            while True:
                lags.append(sum(accepted) - (await backers(api, campaign_id) - before))
                await asyncio.sleep(SLICE_SECONDS)

        started, cpu = time.perf_counter(), time.process_time()
        watching = asyncio.create_task(watch())
        answers = await steady(gateway, calls, accepted)
        sent = time.perf_counter() - started
        load_cpu = (time.process_time() - cpu) / sent
        async with asyncio.timeout(DRAIN_SECONDS):
            while await backers(api, campaign_id) - before < answers.statuses[201]:
                await asyncio.sleep(0.05)
        whole = time.perf_counter() - started
        watching.cancel()
    assert answers.statuses == {201: len(calls)}, answers.statuses
    return Measured(len(calls) / whole, max(lags), whole - sent, load_cpu, idle, memory(platform))


async def wait_until_open(platform: LocalPlatform, campaign_id: str) -> None:
    """The pledge service has heard of the launch."""
    for _ in range(100):
        (call,) = placements(platform, campaign_id, 1)
        if (await run([platform.addresses.gateway], [call], connections=1)).statuses == {201: 1}:
            return
        await asyncio.sleep(0.1)
    msg = "the campaign does not open"
    raise TimeoutError(msg)


_measured: list[Measured] = []


async def _run(_ground: Ground) -> Measured:
    def begin() -> Measured:
        with start("bench-platform", settings={"GROUNDSWELL_LOG_LEVEL": "WARNING"}) as platform:
            return asyncio.run(minute(platform))

    _measured.append(await asyncio.to_thread(begin))
    return _measured[-1]


async def measure(ground: Ground) -> Figure:
    found = await _run(ground)
    note = f"lag at most {found.lag_max} pledges, drained {found.drained_seconds:.1f} s after the last"
    return Figure(found.visible_per_second, None, found.load_cpu, note)


async def measure_memory(ground: Ground) -> Figure:
    found = _measured[-1] if _measured else await _run(ground)
    return Figure(found.loaded_megabytes, None, None, f"idle {found.idle_megabytes:.0f} MiB")


PIPELINE = Row("pipeline", __doc__, "pledges/s", f"≥ {REACH}/s for {SECONDS} s", measure, runs=1)
MEMORY = Row("memory", __doc__, "MiB", "≤ 600, flat", measure_memory, runs=1)
