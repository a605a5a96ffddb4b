"""What a backer may still do with a pledge, and until when: what its page says (DOMAIN P6, P7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.campaign import FundingModel
from pledge.domain import HELD, LIVE, Status
from pledge.domain_book import Book, BookState
from pledge.domain_refusals import utc


@dataclass(frozen=True)
class Options:
    """None: it is not possible, or not any more. The decision itself is made anew when it is asked for."""

    change_until: datetime | None = None
    lower_until: datetime | None = None
    cancel_until: datetime | None = None


NONE: Final = Options()


def options(status: Status, placed_at: datetime, *, changing: bool, book: Book, now: datetime) -> Options:
    """`changing`: a change of it is undecided, so that another one has to wait."""
    if status not in LIVE or book.state is BookState.CANCELLED:
        return NONE
    may_change = book.takes_pledges(now) and status in HELD | {Status.CAPTURED} and not changing
    change_until = book.deadline if may_change else None
    if book.model is FundingModel.KEEP_IT_ALL:
        cancel_until: datetime | None = book.refundable_until(placed_at)
        lower_until = change_until
    else:
        cancel_until = book.cutoff_at if book.takes_pledges(now) else None
        lower_until = book.cutoff_at if may_change else None
    return Options(change_until, _ahead(lower_until, now), _ahead(cancel_until, now))


def _ahead(until: datetime | None, now: datetime) -> datetime | None:
    return until if until is not None and now < until else None


def risk_in_words(chances: Options, *, lost: bool, hard: bool) -> str:
    """What has happened to the hold of a pledge at risk, and what its backer can do about it (DOMAIN Y4)."""
    happened = "The hold on your card is gone" if lost else "Your bank did not let us renew the hold on your card"
    until = f" until {utc(chances.change_until)}" if chances.change_until else ""
    way_out = f" Change the pledge to another card{until}, and it is settled at once." if until else ""
    next_try = "we do not try this card again" if hard else "we try again as far as your bank lets us"
    return f"{happened}. You are not charged, and {next_try}.{way_out}"
