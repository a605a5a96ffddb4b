"""A payment that stopped goes on when a person says so, if its step cannot happen twice (DOMAIN Y6)."""

import pytest

from contracts.ids import PledgeId, new_id
from payment import queries_cases
from payment.cases import CaseKind, CaseState, case_id_of
from payment.domain_events import Kind
from payment.gateway import Mismatch, Succeeded
from payment.handlers_cases import CommentCase, NotResumable, OpenCase, ResolveCase
from tests.integration.house import House
from tests.integration.payment.answers import answer, platform_of
from tests.integration.payment.platform import Platform, euros

STRANGE = Mismatch("pi_1 is about 4000 eur, not 5000 eur")
PERSON = new_id()


async def placed_on(core: House) -> tuple[Platform, PledgeId]:
    platform = platform_of(core)
    placed = platform.placed()
    await platform.tell(platform.launched(), placed, platform.capture(placed))
    return platform, placed.pledge_id


async def state_of(core: House, operation_id: object) -> CaseState:
    found = await queries_cases.whole(core.pool, case_id_of(CaseKind.MISMATCH, str(operation_id)))
    assert found is not None
    return found.case.state


async def test_a_capture_that_stopped_is_asked_for_again_and_stops_again_if_it_still_does_not_fit(core: House) -> None:
    platform, pledge_id = await placed_on(core)
    await answer(core, pledge_id, Kind.AUTHORIZE, Succeeded("pi_1"))
    first = await answer(core, pledge_id, Kind.CAPTURE, STRANGE)
    done = [("authorize", 1, "done"), ("capture", 1, "stopped")]
    assert await platform.operations(pledge_id) == done

    await core.execute(ResolveCase(case_id_of(CaseKind.MISMATCH, str(first)), PERSON, "Mended", resume=True))
    assert await platform.operations(pledge_id) == [*done, ("capture", 2, "waiting")]
    assert await state_of(core, first) is CaseState.RESOLVED

    second = await answer(core, pledge_id, Kind.CAPTURE, STRANGE)
    assert await state_of(core, second) is CaseState.OPEN
    assert await platform.operations(pledge_id) == [*done, ("capture", 2, "stopped")]


async def test_without_resume_it_stays_as_it_is(core: House) -> None:
    platform, pledge_id = await placed_on(core)
    await answer(core, pledge_id, Kind.AUTHORIZE, Succeeded("pi_1"))
    operation_id = await answer(core, pledge_id, Kind.CAPTURE, STRANGE)
    before = await platform.operations(pledge_id)
    await core.execute(ResolveCase(case_id_of(CaseKind.MISMATCH, str(operation_id)), PERSON, "Mended"))
    assert await platform.operations(pledge_id) == before


async def test_what_could_happen_twice_may_not_go_on_and_the_case_stays_open(core: House) -> None:
    platform, pledge_id = await placed_on(core)
    operation_id = await answer(core, pledge_id, Kind.AUTHORIZE, STRANGE)
    case_id = case_id_of(CaseKind.MISMATCH, str(operation_id))
    with pytest.raises(NotResumable):
        await core.execute(ResolveCase(case_id, PERSON, "Go on", resume=True))
    found = await queries_cases.whole(core.pool, case_id)
    assert found is not None
    assert (found.case.state, found.comments) == (CaseState.OPEN, ())
    assert await platform.operations(pledge_id) == [("authorize", 1, "stopped")]


async def test_a_case_without_a_payment_has_nothing_to_go_on_with(core: House) -> None:
    await core.execute(OpenCase(CaseKind.DRIFT, "txn_1", "It differs"))
    case_id = case_id_of(CaseKind.DRIFT, "txn_1")
    await core.execute(CommentCase(case_id, PERSON, "I look"))
    with pytest.raises(NotResumable):
        await core.execute(ResolveCase(case_id, PERSON, "", resume=True))


async def test_a_payment_that_stops_by_itself_is_a_case_too(core: House) -> None:
    """More is to be captured than is held (DOMAIN M5): nobody has asked the provider, and a person has to know."""
    platform = platform_of(core)
    placed = platform.placed()
    too_much = platform.capture(placed).model_copy(update={"amount": euros(5001)})
    await platform.tell(platform.launched(), placed, too_much)
    await answer(core, placed.pledge_id, Kind.AUTHORIZE, Succeeded("pi_1"))
    found = await queries_cases.whole(core.pool, case_id_of(CaseKind.STOPPED, str(placed.pledge_id)))
    assert found is not None
    assert (found.case.state, found.case.pledge_id) == (CaseState.OPEN, placed.pledge_id)
    assert "above_hold" in found.case.summary
    assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done")]
