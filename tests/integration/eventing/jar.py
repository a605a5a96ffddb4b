"""A small service to try the eventing core with: jars of coins.

Its own stream is a jar, its decision table says how full each jar is, and its projection follows foreign pledges.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from contracts.event import Event
from contracts.ids import CampaignId, PledgeId
from contracts.pledge import PledgeAuthorized, PledgeCancelled, PledgePlaced
from contracts.settlement import VoidRequested
from eventing.definition import Answer, Definition, Handler, Projection
from eventing.refusal import Refusal
from eventing.tables import Counters, Table
from eventing.work import Fold, Need, Recorded, Work

UNLUCKY_COINS = 1313  # The database itself refuses a jar that holds so many
POISON_MINOR = 666  # An authorization of this amount is a bug that shows
SOURCE = "settlement"  # a name that the broker's topology knows; events of it that are private stay here


class CoinDropped(Event, type="settlement.CoinDropped.v1"):
    jar_id: UUID
    coins: int
    note: str = ""

    @property
    def subject(self) -> UUID:
        return self.jar_id


class JarFull(Refusal):
    code = "jar-full"
    title = "The jar is full"


@dataclass(frozen=True)
class DropCoin:
    jar_id: UUID
    coins: int = 1
    note: str = ""
    limit: int = 10**9


@dataclass(frozen=True)
class AskVoids:
    """Something that the whole platform hears of: one public event for each pledge."""

    campaign_id: UUID
    pledge_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class JarRow:
    jar_id: UUID
    coins: int


@dataclass(frozen=True)
class PledgeRow:
    pledge_id: UUID
    campaign_id: UUID
    minor: int
    version: int


@dataclass(frozen=True)
class SumRow:
    campaign_id: UUID
    minor: int
    pledges: int


JARS = Table("jar", JarRow, ("jar_id",))
PLEDGES = Table("pledge_seen", PledgeRow, ("pledge_id",))
SUMS = Counters("campaign_sum", SumRow, ("campaign_id",))


def _evolve(state: int | None, event: Event) -> int:
    return (state or 0) + (event.coins if isinstance(event, CoinDropped) else 0)


JAR = Fold(_evolve)


def drop_coin(work: Work, command: DropCoin) -> Answer:
    row = work.get(JARS, command.jar_id) or JarRow(command.jar_id, 0)
    if row.coins + command.coins > command.limit:
        raise JarFull(f"It holds {row.coins} coins.")
    if command.note == "bug":
        msg = "a bug"
        raise RuntimeError(msg)
    stream = work.stream(JAR, command.jar_id)
    work.append(JAR, command.jar_id, CoinDropped(jar_id=command.jar_id, coins=command.coins, note=command.note))
    work.put(JARS, replace(row, coins=row.coins + command.coins))
    return {"coins": row.coins + command.coins, "version": stream.version + 1}


def ask_voids(work: Work, command: AskVoids) -> Answer:
    for pledge_id in command.pledge_ids:
        event = VoidRequested(pledge_id=PledgeId(pledge_id), campaign_id=CampaignId(command.campaign_id))
        work.start(JAR, pledge_id, event)
    return {}


def _jar_needs(command: DropCoin) -> tuple[Need, ...]:
    return (JARS, (command.jar_id,)), (JAR, command.jar_id)


def _contribution(row: PledgeRow | None) -> tuple[int, int]:
    return (row.minor, int(row.minor > 0)) if row else (0, 0)


class PoisonedError(Exception):
    pass


def _step(row: PledgeRow | None, recorded: Recorded) -> PledgeRow:
    event = recorded.event
    if isinstance(event, PledgeAuthorized) and event.amount.amount == POISON_MINOR:
        raise PoisonedError(event.amount.amount)
    before = row.minor if row else 0
    match event:
        case PledgeAuthorized():
            minor = event.amount.amount
        case PledgeCancelled():
            minor = 0
        case _:
            minor = before
    return PledgeRow(event.pledge_id, event.campaign_id, minor, recorded.version)


def follow_pledge(work: Work, recorded: Recorded) -> None:
    old = work.get(PLEDGES, recorded.subject)
    if old is None or recorded.version > old.version:
        new = _step(old, recorded)
    else:
        new = None
        for one in work.history(recorded.source, recorded.subject):
            new = _step(new, one)
    if new is None or new == old:
        return
    work.put(PLEDGES, new)
    minor, pledges = (b - a for a, b in zip(_contribution(old), _contribution(new), strict=True))
    work.add(SUMS, (new.campaign_id,), minor, pledges)


FOLLOWED = (PledgePlaced, PledgeAuthorized, PledgeCancelled)
PLEDGE_SUMS = Projection(
    "pledge_sums",
    (PLEDGES, SUMS),
    dict.fromkeys(FOLLOWED, follow_pledge),
    lambda recorded: ((PLEDGES, (recorded.subject,)),),
)

DEFINITION = Definition(
    source=SOURCE,
    commands={DropCoin: Handler(drop_coin, _jar_needs), AskVoids: Handler(ask_voids)},
    projections=(PLEDGE_SUMS,),
    tables=(JARS,),
    private_events=(CoinDropped,),
)

SCHEMA = """
    CREATE TABLE jar (jar_id uuid PRIMARY KEY, coins bigint NOT NULL CHECK (coins <> 1313));
    CREATE TABLE pledge_seen (
        pledge_id uuid PRIMARY KEY, campaign_id uuid NOT NULL, minor bigint NOT NULL, version bigint NOT NULL
    );
    CREATE TABLE campaign_sum (campaign_id uuid PRIMARY KEY, minor bigint NOT NULL, pledges bigint NOT NULL);
"""
