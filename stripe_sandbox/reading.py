"""What every route reads from its request."""

from dataclasses import dataclass

from stripe_sandbox.errors import StripeError
from stripe_sandbox.events import Origin
from stripe_sandbox.forms import Params
from stripe_sandbox.tables import Window

LIST_LIMIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a route: its parameters, where it comes from, and the ids in its path, if any."""

    params: Params
    origin: Origin
    object_id: str = ""
    child_id: str = ""


def window(params: Params) -> Window:
    """`limit`, the two cursors, and `created` as a number or as `created[gte]` and the like."""
    limit = params.integer("limit", minimum=1)
    since, until = _created(params)
    if limit is not None and limit > LIST_LIMIT_MAX:
        raise StripeError(
            f"This value must be less than or equal to {LIST_LIMIT_MAX}.",
            code="parameter_invalid_integer",
            param="limit",
        )
    return Window(
        limit=limit or 10,
        starting_after=params.text("starting_after"),
        ending_before=params.text("ending_before"),
        since=since,
        until=until,
    )


def _created(params: Params) -> tuple[int | None, int | None]:
    if not params.is_section("created"):
        exactly = params.integer("created")
        return exactly, exactly
    bounds = params.section("created")
    assert bounds is not None
    after, since = bounds.integer("gt"), bounds.integer("gte")
    before, until = bounds.integer("lt"), bounds.integer("lte")
    bounds.close()
    lowest = [value for value in (since, None if after is None else after + 1) if value is not None]
    highest = [value for value in (until, None if before is None else before - 1) if value is not None]
    return max(lowest, default=None), min(highest, default=None)
