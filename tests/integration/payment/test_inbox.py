"""Events that cannot be worked at once are not lost (DOMAIN Y5), and operations that stay unknown are told (Y6)."""

from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from payment import queries_cases
from payment.cases import CaseKind, CaseState, case_id_of
from payment.domain_events import Kind
from payment.gateway import LookupFailedError, Succeeded, Unknown
from payment.inbox import ATTEMPTS_CASE, LOOK_UPS_MAX, PAUSES, Inbox
from payment.janitor import UNKNOWN_CASE, Janitor
from payment.metrics import CaseMetrics
from payment.webhooks import KeepWebhook
from payment.worker import UNKNOWN_SECONDS
from tests.integration.house import House
from tests.integration.payment.answers import answer, platform_of


async def keep(core: House, event_id: str, object_id: str) -> None:
    at = core.clock.frozen_at
    assert at is not None
    await core.execute(KeepWebhook(event_id, "refund.updated", object_id, at))


async def worked(core: House) -> set[str]:
    return {row[0] for row in await core.pool.fetch("SELECT event_id FROM webhook WHERE worked_at IS NOT NULL")}


class Provider:
    """Answers look-ups, unless it is away or confused by one of them."""

    def __init__(self) -> None:
        self.away = False
        self.confused = ""
        self.asked: list[str] = []

    async def look_up(self, object_id: str) -> bool:
        self.asked.append(object_id)
        if self.away:
            raise LookupFailedError("connection refused")
        if object_id == self.confused:
            raise RuntimeError("a bug")
        return True


class TestInbox:
    async def test_one_waits_longer_and_longer_while_the_provider_is_away_then_a_person_is_told(
        self, core: House
    ) -> None:
        provider = Provider()
        inbox = Inbox(core.pool, core.commit, core.clock, {"re": provider.look_up})
        await keep(core, "evt_1", "re_1")
        provider.away = True
        waits = []
        for _ in range(ATTEMPTS_CASE):
            due: datetime = await core.pool.fetchval("SELECT due_at FROM webhook")
            assert core.clock.frozen_at is not None
            waits.append(due - core.clock.frozen_at)
            core.clock.frozen_at = due
            await inbox.run_once()
            await inbox.run_once()  # not due again
        assert len(provider.asked) == ATTEMPTS_CASE
        assert waits[1 : len(PAUSES) + 1] == list(PAUSES)
        assert (waits == sorted(waits), waits[-1]) == (True, timedelta(hours=1))
        case = await queries_cases.whole(core.pool, case_id_of(CaseKind.WEBHOOK, "evt_1"))
        assert case is not None
        assert (case.case.state, case.comments) == (CaseState.OPEN, ())

        provider.away = False
        core.pass_time(timedelta(hours=1))
        await inbox.run_once()
        assert await worked(core) == {"evt_1"}
        case = await queries_cases.whole(core.pool, case_id_of(CaseKind.WEBHOOK, "evt_1"))
        assert case is not None
        assert (case.case.state, case.case.resolved_by) == (CaseState.RESOLVED, None)
        assert [comment.author for comment in case.comments] == [None]

    async def test_each_goes_to_whom_knows_its_kind_and_what_nobody_knows_is_done_with(self, core: House) -> None:
        refunds, disputes = Provider(), Provider()
        look_ups = {"re": refunds.look_up, "ch": refunds.look_up, "dp": disputes.look_up, "du": disputes.look_up}
        inbox = Inbox(core.pool, core.commit, core.clock, look_ups)
        for number, about in enumerate(("re_1", "ch_1", "du_1", "", "cus_1", "re", "payout", "re_1")):
            await keep(core, f"evt_{number}", about)
        core.pass_time(timedelta(seconds=10))
        await inbox.run_once()
        assert await worked(core) == {f"evt_{number}" for number in range(8)}
        assert sorted(refunds.asked) == ["ch_1", "re", "re_1"]  # two events about one object are one question
        assert disputes.asked == ["du_1"]

    async def test_one_that_breaks_its_look_up_holds_up_no_other(self, core: House) -> None:
        provider = Provider()
        provider.confused = "re_0"
        replicas = [Inbox(core.pool, core.commit, core.clock, {"re": provider.look_up}) for _ in range(2)]
        for number in range(LOOK_UPS_MAX + 5):
            await keep(core, f"evt_{number}", f"re_{number}")
        core.pass_time(timedelta(seconds=10))
        assert await replicas[0].run_once()  # there may be more
        await replicas[1].run_once()
        assert await worked(core) == {f"evt_{number}" for number in range(1, LOOK_UPS_MAX + 5)}
        assert len(provider.asked) == LOOK_UPS_MAX + 5  # nobody asked twice

    async def test_what_is_done_with_is_forgotten_later_than_the_provider_does(self, core: House) -> None:
        inbox = Inbox(core.pool, core.commit, core.clock, {})
        await keep(core, "evt_1", "re_1")
        core.pass_time(timedelta(days=31))
        await inbox.run_once()
        assert await worked(core) == {"evt_1"}
        core.pass_time(timedelta(days=5))
        await inbox.run_once()
        assert await core.pool.fetchval("SELECT count(*) FROM webhook") == 0


class TestUnknown:
    def test_it_is_read_back_after_1_5_10_and_30_minutes_and_hourly(self) -> None:
        at = [sum(UNKNOWN_SECONDS[: number + 1]) for number in range(len(UNKNOWN_SECONDS))]
        minutes = [seconds / 60 for seconds in at if seconds >= 60]
        assert minutes == [1, 5, 10, 30, 60, 120]  # and the last pause, an hour, again and again

    async def test_one_that_stays_unknown_for_six_hours_is_a_case_until_it_is_known(self, core: House) -> None:
        platform = platform_of(core)
        placed = platform.placed()
        await platform.tell(platform.launched(), placed)
        operation_id = await answer(core, placed.pledge_id, Kind.AUTHORIZE, Unknown("time-out"))
        registry = CollectorRegistry()
        janitor = Janitor(core.pool, core.commit, core.clock, CaseMetrics(registry))
        case_id = case_id_of(CaseKind.UNKNOWN_OPERATION, str(operation_id))

        core.pass_time(UNKNOWN_CASE - timedelta(seconds=1))
        await janitor.run_once()
        assert await queries_cases.whole(core.pool, case_id) is None

        core.pass_time(timedelta(seconds=1))
        await janitor.run_once()
        await janitor.run_once()
        found = await queries_cases.whole(core.pool, case_id)
        assert found is not None
        assert (found.case.state, found.case.pledge_id) == (CaseState.OPEN, placed.pledge_id)
        assert found.operation is not None
        assert shown(registry) == 1.0

        await answer(core, placed.pledge_id, Kind.AUTHORIZE, Succeeded("pi_1"))
        await janitor.run_once()
        found = await queries_cases.whole(core.pool, case_id)
        assert found is not None
        assert (found.case.state, found.case.resolved_by) == (CaseState.RESOLVED, None)
        assert [comment.text for comment in found.comments] == ["The operation is known now: succeeded."]
        assert shown(registry) == 0.0


def shown(registry: CollectorRegistry) -> Any:
    return registry.get_sample_value("groundswell_payment_open_cases", {"kind": "unknown_operation"})
