"""The pledge, the backer and the place in line that the API page shows."""

from typing import Any, Final

ID: Final = "0190f2c4-0000-7000-8000-000000000000"
CAMPAIGN: Final = "0190f2c4-0000-7000-8000-000000000001"
TIER: Final = "0190f2c4-0000-7000-8000-000000000002"
SELF: Final = f"/pledges/{ID}"
PRICE: Final = {"amount": 2500, "currency": "EUR"}

WISH: Final[dict[str, Any]] = {
    "amount": PRICE,
    "tier_id": TIER,
    "payment_method": "pm_card_visa",
    "country": "DE",
}
CHANGE: Final[dict[str, Any]] = {"amount": {"amount": 4000, "currency": "EUR"}}
ANSWER: Final[dict[str, Any]] = {
    "id": ID,
    "status": "authorized",
    "amount": PRICE,
    "tier_id": TIER,
    "campaign_id": CAMPAIGN,
    "placed_at": "2027-03-01T12:00:00Z",
    "links": {"self": SELF, "campaign": f"/campaigns/{CAMPAIGN}"},
}
SHOWN: Final[dict[str, Any]] = ANSWER | {
    "links": {**ANSWER["links"], "change": SELF, "cancel": f"{SELF}/cancel"},
    "status": "at_risk",
    "country": "DE",
    "reason": None,
    "decide_by": None,
    "next_action": None,
    "at_risk": {
        "since": "2027-03-06T12:00:00Z",
        "lost": False,
        "needs_another_card": False,
        "reason": "insufficient_funds",
        "detail": "Your bank did not let us renew the hold on your card. You are not charged, and we try again as "
        "far as your bank lets us. Change the pledge to another card until 2027-03-31T12:00:00Z, and it is settled at "
        "once.",
    },
    "refunded": None,
    "change": {
        "id": "0190f2c4-0000-7000-8000-000000000003",
        "amount": CHANGE["amount"],
        "tier_id": TIER,
        "decide_by": None,
        "reason": "insufficient_funds",
    },
    "change_until": "2027-03-31T12:00:00Z",
    "lower_until": "2027-03-29T12:00:00Z",
    "cancel_until": "2027-03-29T12:00:00Z",
    "changed_at": "2027-03-02T09:30:00Z",
    "version": 4,
}
WAIT: Final[dict[str, Any]] = {
    "campaign_id": CAMPAIGN,
    "tier_id": TIER,
    "joined_at": "2027-03-01T12:00:00Z",
    "links": {"self": f"/campaigns/{CAMPAIGN}/tiers/{TIER}/waitlist", "mine": "/me/waitlist"},
}
BACKER: Final[dict[str, Any]] = {
    "pledge_id": ID,
    "backer_id": "0190f2c4-0000-7000-8000-000000000004",
    "status": "authorized",
    "amount": PRICE,
    "tier_id": TIER,
    "country": "DE",
    "placed_at": "2027-03-01T12:00:00Z",
}
