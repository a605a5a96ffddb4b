"""What a restored database may have forgotten: it is looked for at the provider, and never sent (DOMAIN Y2).

Messages that are told anew lead through the same steps as before, mostly under the same keys. Looked for is what those
steps would not find again: what was released or dropped since, and money that was taken from a hold that is not known.
"""

from payment.domain_events import ChangeOrdered, Kind, PaymentOrdered, StepStarted
from payment.domain_state import Change, Payment, Stage, Step, creation_for_change


def unseen(p: Payment, ordered: PaymentOrdered) -> PaymentOrdered | ChangeOrdered | None:
    """The order or the change of which the provider may have a hold that nothing will ask for any more."""
    if not p.started:  # the first step finds the customer, by whose list all else is looked for
        return ordered if ordered.told_anew and p.release_wanted else None
    for change_id, change in p.changes.items():
        if _is_history(p, change) and (creation_for_change(ordered), change_id) not in p.started:
            return change.ordered
    return None


def may_be_there(p: Payment, step: Step | StepStarted) -> bool:
    """Whether a capture, or the hold of a change that is over, may have been sent before the restore."""
    if step.attempt > 1:
        return False
    if step.change_id is not None:
        return _is_history(p, p.changes[step.change_id])
    return p.capture_may_be_forgotten and step.kind is Kind.CAPTURE


def _is_history(p: Payment, change: Change) -> bool:
    told_anew = change.ordered is not None and change.ordered.told_anew
    return told_anew and (change.stage is Stage.OVER or p.release_wanted)
