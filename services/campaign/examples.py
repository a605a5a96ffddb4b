"""The campaign, the tier and the update that the examples on the API page are about."""

from typing import Any, Final

ID: Final = "01a00000-0000-7000-8000-000000000001"
CREATOR: Final = "01a00000-0000-7000-8000-000000000002"
TIER: Final = "01a00000-0000-7000-8000-000000000003"
UPDATE: Final = "01a00000-0000-7000-8000-000000000004"
PATH: Final = f"/campaigns/{ID}"


def eur(minor: int) -> dict[str, Any]:
    return {"amount": minor, "currency": "EUR"}


TERMS: Final[dict[str, Any]] = {
    "title": "A lamp for night walkers",
    "goal": eur(1_000_000),
    "model": "all_or_nothing",
    "deadline": "2027-03-01T12:00:00Z",
}
TIER_EXAMPLE: Final[dict[str, Any]] = {
    "id": TIER,
    "title": "One lamp",
    "description": "In the colour of your choice.",
    "minimum": eur(2_500),
    "estimated_delivery": "2027-12",
    "limit": 500,
    "links": {"self": f"{PATH}/tiers/{TIER}"},
}
UPDATE_EXAMPLE: Final[dict[str, Any]] = {
    "id": UPDATE,
    "number": 3,
    "kind": "production",
    "title": "The moulds are here",
    "tier_id": None,
    "posted_at": "2027-02-01T12:00:00Z",
    "links": {"self": f"{PATH}/updates/3", "campaign": PATH},
}
_SEEN: Final[dict[str, Any]] = {
    "id": ID,
    "creator_id": CREATOR,
    "status": "active",
    "pledged": eur(255_000),
    "backers": 102,
    "percent": 25,
}
IN_LIST_EXAMPLE: Final[dict[str, Any]] = {
    **_SEEN,
    **{name: TERMS[name] for name in ("title", "goal", "deadline")},
    "links": {"self": PATH},
}
PAGE_EXAMPLE: Final[dict[str, Any]] = {
    **TERMS,
    **_SEEN,
    "story": "It glows for a week on one charge.",
    "launched_at": "2027-02-01T12:00:00Z",
    "at_risk": eur(5_000),
    "at_risk_backers": 2,
    "disputes": {"open": 0, "open_amount": eur(0), "lost": 0, "lost_amount": eur(0)},
    "tiers": [TIER_EXAMPLE | {"slots_left": 420}],
    "milestones": [
        {"threshold": eur(250_000), "percent": 25, "stretch_goal": None, "crossed_at": "2027-02-03T08:15:00Z"},
        {"threshold": eur(500_000), "percent": 50, "stretch_goal": None, "crossed_at": None},
    ],
    "policy": {"version": 1, "cancellation_cutoff_seconds": 172_800, "payment_strategy": "hold"},
    "updates": 3,
    "links": {"self": PATH, "pledges": f"{PATH}/pledges", "live": f"{PATH}/live"},
    "time_left_seconds": 86_400,
}
