"""What the examples on the API page are about: a campaign, a pledge whose capture stopped, and the case of it."""

from typing import Any, Final

CAMPAIGN: Final = "01a00000-0000-7000-8000-000000000001"
PLEDGE: Final = "01a00000-0000-7000-8000-000000000002"
OPERATION: Final = "01a00000-0000-5000-8000-000000000003"
CASE: Final = "01a00000-0000-5000-8000-000000000004"
COMMENT: Final = "01a00000-0000-7000-8000-000000000005"
OPERATOR: Final = "01a00000-0000-7000-8000-000000000006"


def eur(minor: int) -> dict[str, Any]:
    return {"amount": minor, "currency": "EUR"}


LEDGER_EXAMPLE: Final[dict[str, Any]] = {
    "campaign_id": CAMPAIGN,
    "at": "2027-03-01T12:00:00Z",
    "accounts": [
        {"account": "campaign_payable", "side": "credit", "balance": eur(255_000)},
        {"account": "provider_fees", "side": "debit", "balance": eur(4_075)},
        {"account": "provider_receivable", "side": "debit", "balance": eur(250_925)},
    ],
}
POSTINGS_EXAMPLE: Final[dict[str, Any]] = {
    "items": [
        {
            "posting_id": "01a00000-0000-4000-8000-000000000007",
            "booked_at": "2027-03-01T12:00:00Z",
            "event": "payment.PaymentRefunded.v1",
            "phase": "plain",
            "pending_id": None,
            "pledge_id": PLEDGE,
            "reference": "re_3",
            "entries": [
                {"account": "refunds", "side": "debit", "balance": eur(5_000)},
                {"account": "provider_receivable", "side": "credit", "balance": eur(5_000)},
            ],
        }
    ],
    "links": {"next": None},
}
OPERATIONS_EXAMPLE: Final[dict[str, Any]] = {
    "counts": [{"kind": "authorize", "state": "done", "operations": 102}],
    "oldest_undecided": {
        "operation_id": OPERATION,
        "kind": "capture",
        "state": "waiting",
        "outcome": "unknown: APIConnectionError None",
        "sends": 3,
        "created_at": "2027-03-01T12:00:00Z",
    },
}
CASE_EXAMPLE: Final[dict[str, Any]] = {
    "case_id": CASE,
    "kind": "mismatch",
    "about": OPERATION,
    "summary": "capture of 5000 EUR: mismatch: pi_3 is about 4000 eur, not 5000 eur",
    "state": "open",
    "opened_at": "2027-03-01T12:00:00Z",
    "campaign_id": CAMPAIGN,
    "pledge_id": PLEDGE,
    "operation_id": OPERATION,
    "resolved_at": None,
    "resolved_by": None,
    "links": {"self": f"/operations/cases/{CASE}"},
}
COMMENT_EXAMPLE: Final[dict[str, Any]] = {
    "comment_id": COMMENT,
    "author": OPERATOR,
    "at": "2027-03-01T13:00:00Z",
    "text": "Somebody captured a part of it in the dashboard; the backer knows.",
}
WHOLE_CASE_EXAMPLE: Final[dict[str, Any]] = {
    **CASE_EXAMPLE,
    "comments": [COMMENT_EXAMPLE],
    "operation": {
        "operation_id": OPERATION,
        "kind": "capture",
        "attempt": 1,
        "amount": eur(5_000),
        "state": "stopped",
        "outcome": "mismatch: pi_3 is about 4000 eur, not 5000 eur",
        "sends": 1,
        "reference": "pi_3",
        "created_at": "2027-03-01T11:59:00Z",
        "decided_at": "2027-03-01T12:00:00Z",
    },
}
