"""The deadline with three replicas: in or out by one comparison, and the manifest is what clients were told (P9)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts import manifest
from contracts.campaign import CampaignLaunched, Policy
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, new_id
from contracts.payment import PaymentAuthorized, PaymentChangeAuthorized, PaymentChangeDeclined, PaymentDeclined
from contracts.pledge import PledgeBookClosed
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from eventing.group_commit import GroupCommit
from pledge.domain_decisions import CancelPledge
from pledge.domain_refusals import CutoffPassed, DeadlinePassed
from pledge.handlers import CloseBook
from tests.integration.house import House
from tests.integration.pledge.backers import DEADLINE, Backers, changing, euros, launched, placing, tier
from tests.integration.pledge.replicas import Replicas, replicas
from tests.integration.pledge.test_http import body, price

REPLICAS = 3
MILLISECOND = timedelta(milliseconds=1)
HELD_BEFORE = 60
AHEAD = timedelta(seconds=4)  # The stream of commands begins so long before the deadline.
PATIENCE_SECONDS = 60.0


@dataclass
class Told:
    """What clients were told of the pledges of one campaign: the book as they know it."""

    lines: dict[UUID, tuple[int, UUID | None]] = field(default_factory=dict)  # amount and tier
    backers: dict[UUID, UUID] = field(default_factory=dict)
    undecided: set[UUID] = field(default_factory=set)
    changes: dict[UUID, tuple[UUID, int]] = field(default_factory=dict)  # undecided ones: id and new amount
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)


def until_cutoff_at_deadline(campaign: CampaignLaunched) -> CampaignLaunched:
    """Cancelling and lowering is possible until the deadline itself."""
    return campaign.model_copy(update={"policy": Policy(cancellation_cutoff_seconds=0)})


async def opened(service: Replicas, campaign: CampaignLaunched) -> Told:
    """Pledges that are held before the stream begins."""
    told = Told()
    await service.hear(campaign)
    commands = [placing(campaign.campaign_id, 2500) for _ in range(HELD_BEFORE)]
    await asyncio.gather(*map(service.runtime.commit.execute, commands))
    for command in commands:
        told.lines[command.pledge_id] = 2500, None
        told.backers[command.pledge_id] = command.backer_id
    about = [{"pledge_id": command.pledge_id, "campaign_id": campaign.campaign_id} for command in commands]
    await service.hear(*(PaymentAuthorized(**one, amount=euros(2500), hold_id="pi_1") for one in about))
    return told


class Client:
    """One of many who place, change and cancel without a pause, each with pledges that nobody else touches."""

    def __init__(self, service: Replicas, campaign: CampaignLaunched, told: Told, number: int) -> None:
        self.service, self.campaign, self.told = service, campaign, told
        self.replica = number % REPLICAS
        self.mine = sorted(told.lines)[number::CLIENTS]
        self.draw = random.Random(number)

    async def go_on_until_all_is_refused(self) -> None:
        refused = 0
        while refused < 6:
            kind = self.draw.choice(("place", "amount", "tier", "cancel"))
            status = await (self._place() if kind == "place" else self._about_one(kind))
            self.told.answers[kind, status] += 1
            refused = refused + 1 if status == 409 else 0

    async def _place(self) -> int:
        backer = PersonId(new_id())
        path = f"/campaigns/{self.campaign.campaign_id}/pledges"
        answer = await self.service.send(self.replica, "POST", path, backer, body(**price(2500)))
        if answer.status_code == 201:
            pledge_id = UUID(answer.json()["id"])
            self.told.lines[pledge_id] = 2500, None
            self.told.undecided.add(pledge_id)
        return answer.status_code

    async def _about_one(self, kind: str) -> int:
        pledge_id = self.draw.choice(self.mine)
        path, backer = f"/pledges/{pledge_id}", self.told.backers[pledge_id]
        amount, tier_id = self.told.lines.get(pledge_id, (0, None))
        if kind == "cancel":
            answer = await self.service.send(self.replica, "POST", f"{path}/cancel", backer)
            if answer.status_code == 202:
                self.told.lines.pop(pledge_id, None)
                self.told.changes.pop(pledge_id, None)
            return answer.status_code
        wish: dict[str, Any] = price(amount + 100)
        if kind == "tier":
            wanted = None if tier_id else self.campaign.tiers[0].tier_id
            wish = {"tier_id": str(wanted) if wanted else None}
        answer = await self.service.send(self.replica, "PATCH", path, backer, wish)
        if answer.status_code == 200:
            self.told.lines[pledge_id] = amount, wanted
        if answer.status_code == 202:
            shown = await self.service.send(self.replica, "GET", path, backer)
            change = shown.json()["change"]
            self.told.changes[pledge_id] = UUID(change["id"]), change["amount"]["amount"]
        return answer.status_code


CLIENTS = 12


async def decide(service: Replicas, campaign_id: CampaignId, told: Told) -> None:
    """After the deadline payment answers all that is undecided, one way or the other."""
    draw = random.Random(7)
    for pledge_id in sorted(told.undecided):
        about = {"pledge_id": PledgeId(pledge_id), "campaign_id": campaign_id, "amount": euros(2500)}
        if draw.random() < 0.5:
            await service.hear(PaymentAuthorized(**about, hold_id="pi_1"))
        else:
            await service.hear(PaymentDeclined(**about, reason="card_declined"))
            del told.lines[pledge_id]
    for pledge_id, (change_id, minor) in sorted(told.changes.items()):
        about = {"pledge_id": PledgeId(pledge_id), "campaign_id": campaign_id, "amount": euros(minor)}
        if draw.random() < 0.5:
            await service.hear(PaymentChangeAuthorized(**about, change_id=ChangeId(change_id), hold_id="pi_2"))
            told.lines[pledge_id] = minor, told.lines[pledge_id][1]
        else:
            await service.hear(PaymentChangeDeclined(**about, change_id=ChangeId(change_id), reason="card_declined"))


async def announced(service: Replicas) -> PledgeBookClosed:
    query = "SELECT data FROM event WHERE type = 'pledge.PledgeBookClosed.v1'"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (rows := await service.runtime.pool.fetch(query)):  # noqa: ASYNC110 - the database wakes nobody
            await asyncio.sleep(0.05)
    [row] = rows
    return PledgeBookClosed.model_validate_json(row["data"])


async def test_the_manifest_is_what_clients_of_three_replicas_were_told(provisioned: Provisioned) -> None:
    clock = DatabaseClock()
    async with replicas(provisioned, REPLICAS, clock) as service:
        campaign = until_cutoff_at_deadline(launched(tier(minimum=1000)))
        clock.frozen_at = DEADLINE - timedelta(hours=1)
        told = await opened(service, campaign)
        now = await service.runtime.pool.fetchval("SELECT clock_timestamp()")
        clock.offset, clock.frozen_at = DEADLINE - AHEAD - now, None  # from here on time runs, over the deadline
        clients = [Client(service, campaign, told, number) for number in range(CLIENTS)]
        await asyncio.gather(*(client.go_on_until_all_is_refused() for client in clients))
        assert {status for _, status in told.answers} == {200, 201, 202, 409}, "nobody met a 5xx"
        for kind, accepted in (("place", 201), ("amount", 202), ("tier", 200), ("cancel", 202)):
            assert min(told.answers[kind, accepted], told.answers[kind, 409]) > 0, f"{kind} was on both sides"
        await decide(service, campaign.campaign_id, told)
        closed = await announced(service)
        lines = [(pledge_id, minor, "EUR", tier_id) for pledge_id, (minor, tier_id) in told.lines.items()]
        assert (closed.count, closed.total) == (len(lines), euros(sum(minor for _, minor, _, _ in lines)))
        assert closed.digest == manifest.digest(lines)
        assert datetime.fromisoformat(await _last_command(service)) < DEADLINE <= closed.closed_at


async def _last_command(service: Replicas) -> str:
    """When the last command of a person was decided, by the clock that decided it."""
    found: str = await service.runtime.pool.fetchval(
        "SELECT max(meta->>'time') FROM event WHERE type IN ('pledge.PledgePlaced.v1',"
        " 'pledge.PledgeChangeRequested.v1', 'pledge.PledgeCancelled.v1')"
    )
    return found


async def test_a_millisecond_decides_at_every_replica(provisioned: Provisioned) -> None:
    clock = DatabaseClock(frozen_at=DEADLINE - timedelta(hours=1))
    async with replicas(provisioned, REPLICAS, clock) as service:
        campaign = until_cutoff_at_deadline(launched())
        told = await opened(service, campaign)
        held = iter(sorted(told.lines))
        place = f"/campaigns/{campaign.campaign_id}/pledges"
        for now, expected in ((DEADLINE - MILLISECOND, (201, 202, 202)), (DEADLINE, (409, 409, 409))):
            clock.frozen_at = now
            for replica in range(REPLICAS):
                raised, gone = next(held), next(held)
                answers = (
                    await service.send(replica, "POST", place, new_id(), body()),
                    await service.send(replica, "PATCH", f"/pledges/{raised}", told.backers[raised], price(3000)),
                    await service.send(replica, "POST", f"/pledges/{gone}/cancel", told.backers[gone]),
                )
                assert tuple(answer.status_code for answer in answers) == expected


class TestInAGroup:
    async def test_a_command_that_waited_while_another_replica_closed_is_out(self, two_replicas: House) -> None:
        """Also by a replica whose clock is late: the closed book decides, not the clock of whoever asks it."""
        backers, closing = Backers(two_replicas), two_replicas.replicas[1]
        campaign = until_cutoff_at_deadline(launched())
        await backers.hear(campaign)
        campaign_id = campaign.campaign_id
        held = [await backers.authorized(campaign_id) for _ in range(2)]
        two_replicas.clock.frozen_at = DEADLINE
        slow_clock = DatabaseClock(frozen_at=DEADLINE - MILLISECOND)
        late = GroupCommit(two_replicas.pool, two_replicas.definition, slow_clock)
        running = asyncio.create_task(late.run())
        async with two_replicas.pool.acquire() as holder, holder.transaction():
            await holder.execute("SELECT FROM book WHERE campaign_id = $1 FOR UPDATE", campaign_id)
            close = asyncio.create_task(closing.execute(CloseBook(campaign_id)))
            await _waits(two_replicas, 1)
            commands = [
                placing(campaign_id),
                changing(held[0], amount=euros(9000)),
                CancelPledge(PledgeId(held[1].pledge_id), PersonId(held[1].backer_id)),
            ]
            waiting = [asyncio.create_task(late.execute(command)) for command in commands]
            await _waits(two_replicas, 2)
        await close
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        late.stop()
        await running
        assert [type(outcome) for outcome in outcomes] == [DeadlinePassed, DeadlinePassed, CutoffPassed]


async def _waits(house: House, number: int) -> None:
    """Until so many transactions wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await house.pool.fetchval(query) < number:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)
