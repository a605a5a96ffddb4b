"""What holds after every run (DOMAIN M3, M4, M5): read from the services' tables and from the provider's own state."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from payment.stripe_money import from_stripe
from stripe_sandbox.resources import DisputeStatus
from tests.simulation.loop import real
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.story import Story

ENDED: Final = ("captured", "declined", "cancelled", "voided", "dropped", "refunded")
NOTHING_KEPT: Final = frozenset(ENDED) - {"captured"}

_UNFINISHED: Final = {
    "payment": (
        ("operations", "SELECT kind, state, outcome FROM operation WHERE decided_at IS NULL"),
        ("payouts", "SELECT campaign_id, doubt FROM payout WHERE state = 'waiting' AND doubt <> 'nothing_left'"),
    ),
    "pledge": (
        ("pledges", f"SELECT pledge_id, status, reason FROM pledge_view WHERE status <> ALL('{{{','.join(ENDED)}}}')"),
    ),
    "settlement": (
        (
            "settlements",
            "SELECT campaign_id, manifest_at, direction FROM campaign WHERE outcome IS NULL AND cancelled_at IS NULL",
        ),
    ),
}


_DUE: Final = """
    SELECT operation_id FROM operation WHERE decided_at IS NULL AND (state = 'leased' OR due_at < $1)
     UNION ALL
    SELECT campaign_id FROM payout WHERE state = 'waiting' AND doubt <> 'nothing_left' AND due_at < $1
"""
DUE_SECONDS: Final = 10  # What comes by itself within this is waited for.


async def rows(world: World, service: str, query: str, *given: Any) -> list[dict[str, Any]]:
    database = world.databases[service]
    async with database.turn:
        return [dict(row) for row in real(database.connection.fetch(query, *given))]


async def due(world: World) -> bool:
    """Whether somebody works, or will in a moment."""
    return bool(await rows(world, "payment", _DUE, world.clock.time + timedelta(seconds=DUE_SECONDS)))


async def unfinished(world: World, story: "Story") -> dict[str, list[dict[str, Any]]]:
    """What has not come to its end yet."""
    world.look_whole()
    found = {
        name: left
        for service, queries in _UNFINISHED.items()
        for name, query in queries
        if (left := await rows(world, service, query))
    }
    if not world.still or world.withheld:
        found["messages"] = [{name: len(queue.waiting) for name, queue in world.queues.items()}]
    ours, theirs = await _balances(world, story)
    if (back := ours["refunds"], ours["disputes"]) != (known := (theirs["refunded"], _disputed(theirs))):
        found["given back by hand, or disputed"] = [{"ours": back, "theirs": known}]
    return found


async def check(world: World, story: "Story", parked_at: Iterable[str] = ()) -> None:
    """`parked_at`: services at which events may lie that could not be taken in."""
    for service in set(world.databases).difference(parked_at):
        assert await rows(world, service, "SELECT type, error FROM parked_event") == []
    assert await rows(world, "payment", "SELECT * FROM operation WHERE state = 'stopped'") == []
    swapped = await _streams_with(world, "pledge", "pledge.PledgeChangeRequested.v1")
    swapped |= await _streams_with(world, "payment", "payment.RenewalDue.v1")
    _check_anomalies(world, swapped)
    await _check_ledger(world, story)
    await _check_pledges(world, story)


def _check_anomalies(world: World, swapped: set[str]) -> None:
    """Nobody was charged twice, and two holds of a pledge lived only while they were swapped."""
    books = world.provider.sandbox.state.books
    assert list(books.charged_twice) == []
    assert list(books.two_live_holds) == []
    assert set(books.two_live_holds_ever) - swapped == set()


async def _check_ledger(world: World, story: "Story") -> None:
    """Our books are the provider's to the cent."""
    ours, theirs = await _balances(world, story)
    assert sum(ours.values()) == 0
    assert (ours["holds"], ours["hold_promises"]) == (theirs["held"], -theirs["held"])
    assert ours["refunds"] == theirs["refunded"]
    assert ours["disputes"] == _disputed(theirs)
    assert ours["payouts"] == theirs["transferred"]
    gone = sum(theirs[name] for name in ("fees", "refunded", "transferred")) + _disputed(theirs)
    assert ours["provider_receivable"] == theirs["captured"] - gone


async def _balances(world: World, story: "Story") -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Our accounts and the lines of the provider's book."""
    document: Any = world.provider.sandbox.state.books.document()
    campaign = document["campaigns"].get(str(story.campaign_id), {})
    lines = campaign.get(story.plan.currency.lower(), {})
    theirs = defaultdict(int, {name: _ours(line["minor"], story) for name, line in lines.items()})
    balances = await rows(world, "payment", "SELECT account, sum(amount)::bigint AS sum FROM entry GROUP BY account")
    return defaultdict(int, {row["account"]: row["sum"] for row in balances}), theirs


def _disputed(theirs: Mapping[str, int]) -> int:
    """What disputes have cost, with their fees."""
    return theirs["disputed"] + theirs["dispute_fees"] - theirs["reinstated"]


async def _check_pledges(world: World, story: "Story") -> None:
    """Every pledge is in one bucket, and what it cost its backer is what the bucket says."""
    found = {row["pledge_id"]: row for row in await rows(world, "pledge", "SELECT * FROM pledge_view")}
    accepted = {placed.pledge_id for placed in story.pledges if placed.accepted}
    assert set(found) == accepted
    kept, held = _money_by_pledge(world, story)
    lost = _lost_by_pledge(world, story)
    for placed in story.pledges:
        row = found.get(placed.pledge_id)
        if row is None:
            continue
        pledge, told = str(placed.pledge_id), f"{placed} {row}"
        assert held[pledge] == 0, told
        assert kept[pledge] == (_kept_minor(row) if row["status"] == "captured" else lost[pledge]), told
        assert row["status"] in {"cancelled", "refunded"} or not placed.cancelled, told
        assert row["status"] != "captured" or not story.given_up, told
    await _check_buckets(world, found)
    await _check_settlement(world, found)


def _money_by_pledge(world: World, story: "Story") -> tuple[Counter[str], Counter[str]]:
    """By pledge, as the provider has it: taken and not given back, and still held."""
    state, kept, held = world.provider.sandbox.state, Counter[str](), Counter[str]()
    for intent in state.intents:
        pledge = intent.metadata["pledge_id"]
        kept[pledge] += _ours(intent.amount_received, story)
        held[pledge] += _ours(intent.amount, story) if intent.status == "requires_capture" else 0
    for refund in state.refunds:
        charged = state.intents.get(refund.intent or "")
        assert charged is not None
        kept[charged.metadata["pledge_id"]] -= _ours(refund.amount, story)
    return kept, held


def _lost_by_pledge(world: World, story: "Story") -> Counter[str]:
    """By pledge, what its bank has taken back for good."""
    state, lost = world.provider.sandbox.state, Counter[str]()
    for dispute in state.disputes:
        charge = state.charges.get(dispute.charge)
        assert charge is not None
        if dispute.status is DisputeStatus.LOST:
            lost[charge.metadata["pledge_id"]] += _ours(dispute.amount, story)
    return lost


async def _check_buckets(world: World, found: Mapping[Any, Mapping[str, Any]]) -> None:
    buckets = await rows(world, "pledge", "SELECT * FROM pledge_buckets")
    if not found:
        assert buckets == []
        return
    (row,) = buckets
    captured = [pledge for pledge in found.values() if pledge["status"] == "captured"]
    ended = [pledge for pledge in found.values() if pledge["status"] != "captured"]
    assert (row["waiting"], row["held"], row["owing"]) == (0, 0, 0)
    kept = sum(map(_kept_minor, captured))
    assert (row["captured"], row["captured_minor"]) == (len(captured), kept)
    given_back = sum(p["amount_minor"] for p in captured) - kept
    assert (row["ended"], row["ended_minor"]) == (len(ended), sum(p["amount_minor"] for p in ended) + given_back)


def _kept_minor(captured: Mapping[str, Any]) -> int:
    """What is left of a captured pledge after refunds of a part."""
    return int(captured["amount_minor"] - captured["refunded_minor"])


async def _check_settlement(world: World, found: Mapping[Any, Mapping[str, Any]]) -> None:
    """The settlement's copy of the book ends with what the pledge service says."""
    copies = {row["pledge_id"]: row for row in await rows(world, "settlement", "SELECT * FROM booked_pledge")}
    assert set(copies) == set(found)
    for pledge_id, copy in copies.items():
        assert (copy["status"], copy["minor"]) == (found[pledge_id]["status"], found[pledge_id]["amount_minor"])


async def _streams_with(world: World, service: str, event_type: str) -> set[str]:
    query = f"SELECT DISTINCT stream_id FROM event WHERE source = '{service}' AND type = '{event_type}'"
    return {str(row["stream_id"]) for row in await rows(world, service, query)}


def _ours(minor: int, story: "Story") -> int:
    return from_stripe(minor, story.plan.currency.lower()).amount
