"""Holds that are renewed before they lapse, and looked at when they should have (DOMAIN Y3, Y4)."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.payment import PaymentAtRisk
from eventing.work import Work
from payment import domain_renewal
from payment.domain_events import RenewalFailed
from payment.domain_state import Payment
from payment.tables import RENEWALS, RenewalRow


def plan(work: Work, pledge_id: UUID, payment: Payment, events: Sequence[Event]) -> None:
    """Keep the pledge's row in step with its current hold."""
    row = work.get(RENEWALS, pledge_id)
    hold = payment.hold
    if not (payment.held or payment.lost) or payment.order is None:
        if row is not None:
            work.delete(RENEWALS, pledge_id)
    elif payment.lost and payment.card_refused:
        work.delete(RENEWALS, pledge_id)
    elif hold is not None and (row is None or row.hold_id != hold.hold_id):
        extended = payment.order.strategy is PaymentStrategy.EXTENDED_HOLD
        due = domain_renewal.first_due(pledge_id, work.now, hold.capture_before, extended=extended)
        work.put(RENEWALS, RenewalRow(pledge_id, hold.hold_id, due, hold.capture_before))
    elif row is not None:
        for event in events:
            if isinstance(event, RenewalFailed) or (isinstance(event, PaymentAtRisk) and not event.lost):
                row = _failed(work, row, event)


def _failed(work: Work, row: RenewalRow, event: PaymentAtRisk | RenewalFailed) -> RenewalRow:
    failures = row.failures + 1
    due = domain_renewal.next_try(work.now, row.capture_before, failures, event.reason)
    row = replace(row, failures=failures, due_at=due)
    work.put(RENEWALS, row)
    return row
