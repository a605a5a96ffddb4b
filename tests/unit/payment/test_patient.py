"""Which work of the payment service goes beside the checkout's and never holds it up (DOMAIN Y7)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.event import Event
from contracts.ids import new_id
from contracts.money import Money
from contracts.pledge import PledgeCancelled, PledgePlaced
from contracts.settlement import CaptureRequested, VoidRequested
from eventing.work import Recorded
from payment.domain_events import Kind
from payment.gateway import Succeeded
from payment.handlers import Decide, KeepCustomer, patient

NOW = datetime(2027, 3, 1, tzinfo=UTC)
TEN = Money(amount=1_000, currency="EUR")


def recorded(event: Event) -> Recorded:
    return Recorded(event, new_id(), event.source, new_id(), 1, NOW)


@pytest.mark.parametrize("kind", Kind)
def test_an_answer_is_patient_unless_a_backer_is_at_the_checkout(kind: Kind) -> None:
    hurries = kind in {Kind.AUTHORIZE, Kind.CHARGE, Kind.SAVE, Kind.FOLLOW}
    assert patient(Decide(new_id(), new_id(), kind, new_id(), Succeeded("pi_1"))) is not hurries


def test_a_checkout_hurries() -> None:
    about: dict[str, Any] = {
        "pledge_id": new_id(),
        "campaign_id": new_id(),
        "backer_id": new_id(),
        "amount": TEN,
        "country": "DE",
    }
    placed = PledgePlaced(**about, payment_method="pm_card_visa", strategy="hold", placed_at=NOW, lease_until=NOW)
    assert not patient(recorded(placed))
    assert not patient(recorded(PledgeCancelled(**about, cancelled_at=NOW, reason="backer")))
    assert not patient(KeepCustomer(new_id(), new_id(), new_id(), "cus_1"))


def test_what_a_settlement_asks_for_is_patient() -> None:
    capture = CaptureRequested(pledge_id=new_id(), campaign_id=new_id(), amount=TEN)
    assert patient(recorded(capture))
    assert patient(recorded(VoidRequested(pledge_id=new_id(), campaign_id=new_id())))
