"""Row `placements`: the pledge service's memory over a million placements, in one process of its own.

Placed through HTTP like those of row `intake`, each by another backer of its campaign: `BACKERS` of them, twice as many
as the service remembers tokens, in each of `CAMPAIGNS`. The figure is the process's proportional set size after the
last, beside the same after the first fifth, when its pools and memories are full. It takes minutes, so it runs by name
only.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

import aio_pika
import psutil

from bench.broker import publish
from bench.facts import on_the_wire
from bench.intake import CLIENTS, body, launched, wait_until_open
from bench.load import Call, run
from bench.row import Figure, Ground, Row
from bench.services import running_service
from contracts.ids import new_id
from contracts.subscriptions import SUBSCRIPTIONS
from deploy.local.issuer import Issuer
from eventing.topology import queue_of

CAMPAIGNS: Final = 50
BACKERS: Final = 20_000
FIRST: Final = CAMPAIGNS // 5
TOKEN_SECONDS: Final = 7_200
MEGABYTE: Final = 1 << 20


async def purge(broker_urls: Iterable[tuple[str, str]]) -> None:
    """Throw away what waits for services that do not run here, so that the broker's disk stays as it is."""
    for service, url in broker_urls:
        async with await aio_pika.connect(url) as connection:
            queue = await (await connection.channel()).get_queue(queue_of(service), ensure=False)
            await queue.purge()


def tokens(issuer: Issuer) -> list[str]:
    return [issuer.mint(new_id(), ["backer"], TOKEN_SECONDS) for _ in range(BACKERS)]


async def measure(ground: Ground) -> Figure:
    urls = ground.provisioned.broker_urls
    others = [(name, urls[name]) for name in SUBSCRIPTIONS if name != "pledge"]
    megabytes: list[float] = []
    statuses: Counter[int] = Counter()
    async with running_service(ground, "pledge") as service:
        (process,) = map(psutil.Process, service.pids)
        people, started = tokens(service.issuer), time.perf_counter()
        for _ in range(CAMPAIGNS):
            campaign = launched(BACKERS + 1)
            message = b"[" + on_the_wire(campaign, 1).encode() + b"]"
            await publish(urls["campaign"], "events", [(campaign.type, message)])
            path, wanted = f"/campaigns/{campaign.campaign_id}/pledges", body(campaign)
            await wait_until_open(service.bases, [Call("POST", path, people[0], wanted)] * 100)
            calls = [Call("POST", path, token, wanted) for token in people[1:]]
            statuses.update((await run(service.bases, calls, connections=CLIENTS)).statuses)
            megabytes.append(process.memory_full_info().pss / MEGABYTE)
            await purge(others)
        rate = CAMPAIGNS * BACKERS / (time.perf_counter() - started)
    assert statuses == {201: CAMPAIGNS * (BACKERS - 1)}, statuses
    seen = " ".join(f"{megabytes[number - 1]:.0f}" for number in (1, FIRST, 3 * FIRST, CAMPAIGNS))
    note = f"MiB after 20, 200, 600, 1000 thousand: {seen}; {rate:.0f}/s"
    return Figure(megabytes[-1], megabytes[FIRST - 1], None, note)


ROW = Row("placements", __doc__, "MiB", "≤ 1.1 ×", measure, runs=1, by_name_only=True)
