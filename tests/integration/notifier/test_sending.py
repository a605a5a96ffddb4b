"""Real mail over real SMTP: once each, through every kind of trouble (DOMAIN N2, N3)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import asyncpg
import pytest

from contracts.ids import PersonId, new_id
from deploy.local.provision import Provisioned
from eventing.database import connect_pool
from notifier.domain import SetContact
from notifier.jobs import LEASE_SECONDS, SEND_BATCH_MAX, AddressWatch, FanOuts, Sender
from tests.integration.house import House
from tests.integration.notifier.conftest import PATIENCE
from tests.integration.notifier.post_office import PostOffice
from tests.integration.notifier.timers import drain, reasons, statuses
from tests.integration.notifier.world import World, address, introduce

NewSender: TypeAlias = Callable[..., Sender]


async def confirmed(core: House, backers: int) -> World:
    """A campaign whose backers all have an address and a confirmation due."""
    world = World(backers=backers)
    await introduce(core, *world.people)
    await core.take_in(*world.launched(), *world.all_authorized())
    return world


class TestSending:
    async def test_a_confirmation_goes_to_the_address_in_the_contact_book(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 1)
        await drain(new_sender())
        [mail] = office.mail(to=address(world.people[0]))
        assert mail.subject == "Your pledge to “A board game” is confirmed"
        assert mail.headers["x-groundswell-notice"] == "pledge_confirmed"
        assert mail.headers["x-groundswell-campaign"] == str(world.campaign_id)
        assert await statuses(core) == Counter(sent=1)

    async def test_two_senders_at_once_send_each_once(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 2 * SEND_BATCH_MAX)
        await core.take_in(*world.milestone())
        await drain(FanOuts(core.pool, core.clock))
        await asyncio.gather(drain(new_sender()), drain(new_sender()))
        for kind in ("pledge_confirmed", "milestone"):
            assert {mail.to for mail in office.mail(kind=kind)} == {address(person) for person in world.people}
        assert {mail.copies for mail in office.mail()} == {1}
        assert len(office.mail()) == 4 * SEND_BATCH_MAX
        assert office.connections <= 4

    async def test_what_concerns_one_goes_before_what_goes_to_all(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, SEND_BATCH_MAX)
        sender = new_sender()
        await drain(sender)
        await core.take_in(*world.milestone())
        await drain(FanOuts(core.pool, core.clock))
        await core.take_in(*world.cancelled(world.people[0]))
        await sender.run_once()
        assert [mail.to for mail in office.mail(kind="pledge_cancelled")] == [address(world.people[0])]
        assert office.mail(kind="milestone") == []


class TestCreatorUpdate:
    async def test_the_mail_has_the_creators_words_which_are_stored_once_for_all(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 3)
        await core.take_in(*world.update())
        await drain(FanOuts(core.pool, core.clock), new_sender())
        mails = office.mail(kind="creator_update")
        assert {mail.to for mail in mails} == {address(person) for person in world.people}
        assert {mail.subject for mail in mails} == {"News of “A board game”: The moulds are here"}
        for words in (office.text(mail) for mail in mails):
            assert "We cast the first ones on Monday." in words
            assert f"/campaigns/{world.campaign_id}" in words
        assert await core.pool.fetchval("SELECT max(length(facts)) FROM notice WHERE kind = 'creator_update'") == 2


class TestTrouble:
    async def test_a_server_that_is_away_loses_nothing_and_costs_no_attempt(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 2 * SEND_BATCH_MAX)
        sender = new_sender()
        await sender.run_once()
        await office.close()
        for _ in range(3):
            assert await sender.run_once()
        assert await statuses(core) == Counter(sent=SEND_BATCH_MAX, waiting=SEND_BATCH_MAX)
        assert await core.pool.fetchval("SELECT max(attempts) FROM notice") == 0
        await office.open()
        await drain(sender)
        assert office.copies() == {address(person): 1 for person in world.people}

    async def test_a_server_that_wants_none_of_our_mail_loses_nothing(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        """A refused sender is our own setting's fault, and not that of each recipient."""
        await confirmed(core, 1)
        office.refuses_senders = "550 5.7.1 not you"
        sender = new_sender()
        await sender.run_once()
        assert await statuses(core) == Counter(waiting=1)
        office.refuses_senders = ""
        await drain(sender)
        assert await statuses(core) == Counter(sent=1)

    async def test_a_refused_recipient_is_given_up_and_the_others_go_on(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 5)
        gone = address(world.people[2])
        office.refuses[gone] = f"550 5.1.1 {gone} is unknown"
        await drain(new_sender())
        assert await statuses(core) == Counter(sent=4, given_up=1)
        assert await reasons(core) == {"SMTP 550"}, "a reason never repeats the address"

    async def test_a_deferred_recipient_is_tried_again_later(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 3)
        slow = address(world.people[0])
        office.refuses[slow] = "451 4.7.1 try later"
        sender = new_sender()
        await drain(sender)
        assert await statuses(core) == Counter(sent=2, waiting=1)
        office.refuses.clear()
        await drain(sender)
        assert office.mail(to=slow) == [], "its pause is not over"
        core.pass_time(timedelta(seconds=1))
        await drain(sender)
        assert office.copies() == {address(person): 1 for person in world.people}

    async def test_a_connection_cut_before_the_answer_is_a_mail_in_doubt_and_goes_again_as_the_same(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 3)
        office.hangs_up = 1
        sender = new_sender(connections=1)
        await drain(sender)
        assert await statuses(core) == Counter(sent=2, waiting=1), "the others did not wait for it"
        core.pass_time(timedelta(seconds=1))
        await drain(sender)
        assert sorted(office.copies().values()) == [1, 1, 2]
        assert len(office.mail()) == len(world.people), "one message for each Message-ID"

    async def test_killed_between_sending_and_recording_it_goes_again_as_the_same_when_the_lease_is_over(
        self, core: House, office: PostOffice, provisioned: Provisioned, new_sender: NewSender
    ) -> None:
        await confirmed(core, 1)
        doomed = await connect_pool(provisioned.database_urls["notifier"], "doomed")
        office.on_data = doomed.terminate
        with pytest.raises((asyncpg.InterfaceError, OSError)):
            await new_sender(doomed).run_once()
        other = new_sender()
        assert await drain(other) == 0, "the lease still holds"
        assert list(office.copies().values()) == [1]
        core.pass_time(timedelta(seconds=LEASE_SECONDS))
        await drain(other)
        assert list(office.copies().values()) == [2]
        assert await statuses(core) == Counter(sent=1)

    async def test_a_record_that_the_database_refuses_for_now_is_kept_and_nothing_goes_again(
        self, core: House, office: PostOffice, provisioned: Provisioned, new_sender: NewSender
    ) -> None:
        await confirmed(core, 3)
        sender = new_sender()
        blocker = await asyncpg.connect(provisioned.database_urls["notifier"])
        try:
            blocking = blocker.transaction()
            await blocking.start()
            office.gate.clear()
            office.on_data = (taken := asyncio.Event()).set
            sending = asyncio.create_task(sender.run_once())
            await asyncio.wait_for(taken.wait(), 10)
            await blocker.execute("LOCK TABLE notice IN ACCESS EXCLUSIVE MODE")
            office.gate.set()
            with pytest.raises(asyncpg.LockNotAvailableError):
                await sending
            await blocking.rollback()
        finally:
            await blocker.close()
        await drain(sender)
        assert await statuses(core) == Counter(sent=3)
        assert set(office.copies().values()) == {1}

    async def test_stopped_in_order_the_mail_under_way_is_ended_and_recorded(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        await confirmed(core, 10)
        office.gate.clear()
        office.on_data = (taken := asyncio.Event()).set
        sending = asyncio.create_task(new_sender(connections=1).run_once())
        await asyncio.wait_for(taken.wait(), 10)
        sending.cancel()
        office.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await statuses(core) == Counter(sent=1, waiting=9)
        await drain(new_sender())
        assert sorted(office.copies().values()) == [1] * 10


class TestWithoutAnAddress:
    async def test_mail_waits_for_the_address_and_goes_out_when_it_is_given(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = World(backers=1)
        sender, watch = new_sender(), AddressWatch(core.pool, core.clock)
        await core.take_in(*world.launched(), *world.all_authorized())
        await drain(watch, sender)
        assert await statuses(core) == Counter(contactless=1)
        core.pass_time(PATIENCE / 2)
        await drain(watch)
        await introduce(core, *world.people)
        await drain(watch, sender)
        assert office.copies() == {address(world.people[0]): 1}

    async def test_an_address_given_before_a_restart_wakes_what_waits(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = World(backers=1)
        await core.take_in(*world.launched(), *world.all_authorized())
        await drain(new_sender())
        await introduce(core, *world.people)
        core.pass_time(PATIENCE / 2)
        await drain(AddressWatch(core.pool, core.clock), new_sender())
        assert await statuses(core) == Counter(sent=1)

    async def test_after_the_patience_it_is_skipped_with_a_reason(self, core: House, new_sender: NewSender) -> None:
        world = World(backers=1)
        await core.take_in(*world.launched(), *world.all_authorized())
        await drain(new_sender())
        core.pass_time(PATIENCE)
        await drain(AddressWatch(core.pool, core.clock))
        assert await statuses(core) == Counter(skipped=1)
        assert await reasons(core) == {"no contact"}

    async def test_a_new_address_is_where_the_next_mail_goes(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = await confirmed(core, 1)
        await core.execute(SetContact(world.people[0], "new@example.org", "Ada", "en"))
        await drain(new_sender())
        assert office.copies() == {"new@example.org": 1}


class TestEarlyFacts:
    async def test_a_confirmation_waits_for_the_launch_that_it_has_overtaken(
        self, core: House, office: PostOffice, new_sender: NewSender
    ) -> None:
        world = World(backers=1)
        sender = new_sender()
        await introduce(core, *world.people)
        await core.take_in(*world.all_authorized())
        await drain(sender)
        assert await reasons(core) == {"campaign not known yet"}
        await core.take_in(*world.launched())
        core.pass_time(timedelta(seconds=1))
        await drain(sender)
        assert office.copies() == {address(world.people[0]): 1}


async def test_nothing_personal_is_in_the_event_store_or_the_idempotency_table(
    core: House, office: PostOffice, new_sender: NewSender
) -> None:
    person = PersonId(new_id())
    await core.execute(SetContact(person, "secret@example.org", "Zaphod", "en"))
    world = await confirmed(core, 1)
    await drain(new_sender())
    assert len(office.mail(to=address(world.people[0]))) == 1
    for table in ("event", "idempotency", "notice", "fan_out", "backing", "campaign", "parked_event"):
        rows = [str(row) for row in await core.pool.fetch(f"SELECT {table}::text FROM {table}")]
        assert [row for row in rows if "@" in row or "Zaphod" in row] == []
