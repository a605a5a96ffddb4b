"""Stripe's test payment methods: what each of them is and how it behaves.

https://docs.stripe.com/testing. Everything after `OURS` is the sandbox's own.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Authentication(StrEnum):
    """When the bank asks the backer for 3-D Secure."""

    NEVER = "never"
    ALWAYS = "always"
    UNLESS_SET_UP = "unless_set_up"
    ON_SESSION = "on_session"


@dataclass(frozen=True, slots=True)
class Decline:
    code: str
    decline_code: str
    message: str
    advice_code: str | None = None
    network_decline_code: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    brand: str
    last4: str
    funding: str = "credit"
    country: str = "US"
    authentication: Authentication = Authentication.NEVER
    decline: Decline | None = None
    attaches: bool = True
    capture_decline: Decline | None = None
    disputed_as: str | None = None
    """The reason of the dispute that follows every capture."""
    inquired: bool = False
    """The dispute starts as an inquiry, which takes no money."""


_GENERIC_TEXT = "Your card was declined."
GENERIC = Decline("card_declined", "generic_decline", _GENERIC_TEXT, "try_again_later", "05")
INSUFFICIENT_FUNDS = Decline(
    "card_declined", "insufficient_funds", "Your card has insufficient funds.", "try_again_later", "51"
)
LOST = Decline("card_declined", "lost_card", _GENERIC_TEXT, "do_not_try_again", "41")
STOLEN = Decline("card_declined", "stolen_card", _GENERIC_TEXT, "do_not_try_again", "43")
FRAUDULENT = Decline("card_declined", "fraudulent", _GENERIC_TEXT, "do_not_try_again", "59")
VELOCITY = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    "try_again_later",
    "65",
)
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "confirm_card_data", "54")
INCORRECT_CVC = Decline(
    "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data", "N7"
)
PROCESSING_ERROR = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    "try_again_later",
    "96",
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    None,
    "1A",
)

DECLINES = {
    decline.decline_code: decline
    for decline in (
        GENERIC,
        INSUFFICIENT_FUNDS,
        LOST,
        STOLEN,
        FRAUDULENT,
        VELOCITY,
        EXPIRED,
        INCORRECT_CVC,
        PROCESSING_ERROR,
        AUTHENTICATION_REQUIRED,
    )
}

_VISA = Card("visa", "4242")

_APPROVED = {
    "pm_card_visa": _VISA,
    "pm_card_visa_debit": Card("visa", "5556", "debit"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_mastercard_debit": Card("mastercard", "8210", "debit"),
    "pm_card_mastercard_prepaid": Card("mastercard", "5100", "prepaid"),
    "pm_card_amex": Card("amex", "8431"),
    "pm_card_discover": Card("discover", "1117"),
    "pm_card_diners": Card("diners", "3237"),
    "pm_card_jcb": Card("jcb", "0505"),
    "pm_card_unionpay": Card("unionpay", "0005"),
    "pm_card_threeDSecureOptional": Card("visa", "3055"),
    "pm_card_us": _VISA,
    "pm_card_ca": Card("visa", "0000", country="CA"),
    "pm_card_br": Card("visa", "0009", country="BR"),
    "pm_card_at": Card("visa", "0001", country="AT"),
    "pm_card_de": Card("visa", "0008", country="DE"),
    "pm_card_es": Card("visa", "0007", country="ES"),
    "pm_card_fr": Card("visa", "0003", country="FR"),
    "pm_card_gb": Card("visa", "0001", country="GB"),
    "pm_card_ie": Card("visa", "0003", country="IE"),
    "pm_card_it": Card("visa", "0008", country="IT"),
    "pm_card_nl": Card("visa", "0009", country="NL"),
    "pm_card_pl": Card("visa", "0005", country="PL"),
    "pm_card_se": Card("visa", "0008", country="SE"),
    "pm_card_au": Card("visa", "0006", country="AU"),
    "pm_card_jp": Card("visa", "0003", country="JP"),
}

# Stripe checks a card when it is attached: these fail there already, chargeCustomerFail only when charged.
_DECLINED = {
    "pm_card_chargeDeclined": ("0002", GENERIC),
    "pm_card_visa_chargeDeclined": ("0002", GENERIC),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("9995", INSUFFICIENT_FUNDS),
    "pm_card_chargeDeclinedInsufficientFunds": ("9995", INSUFFICIENT_FUNDS),
    "pm_card_visa_chargeDeclinedLostCard": ("9987", LOST),
    "pm_card_visa_chargeDeclinedStolenCard": ("9979", STOLEN),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": ("6975", VELOCITY),
    "pm_card_chargeDeclinedFraudulent": ("0019", FRAUDULENT),
    "pm_card_chargeDeclinedExpiredCard": ("0069", EXPIRED),
    "pm_card_chargeDeclinedIncorrectCvc": ("0127", INCORRECT_CVC),
    "pm_card_chargeDeclinedProcessingError": ("0119", PROCESSING_ERROR),
}

_AUTHENTICATED = {
    "pm_card_authenticationRequired": Card("visa", "3184", authentication=Authentication.ALWAYS),
    "pm_card_authenticationRequiredOnSetup": Card("visa", "3155", authentication=Authentication.UNLESS_SET_UP),
    "pm_card_authenticationRequiredSetupForOffSession": Card("visa", "0446", authentication=Authentication.ON_SESSION),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "visa", "3178", authentication=Authentication.ALWAYS, decline=INSUFFICIENT_FUNDS
    ),
    "pm_card_threeDSecure2Required": Card("visa", "3220", authentication=Authentication.ALWAYS),
    "pm_card_threeDSecureRequired": Card("visa", "3063", authentication=Authentication.ALWAYS),
}

_DISPUTED = {
    "pm_card_createDispute": Card("visa", "0259", disputed_as="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Card("visa", "2685", disputed_as="product_not_received"),
    "pm_card_createDisputeInquiry": Card("visa", "1976", disputed_as="fraudulent", inquired=True),
}

OURS = {
    # Stripe has no card whose hold succeeds and whose capture is then declined; real banks do.
    "pm_card_captureFails": replace(_VISA, last4="9001", capture_decline=INSUFFICIENT_FUNDS),
}

CARDS: dict[str, Card] = {
    **_APPROVED,
    **{
        test_id: Card("visa", last4, decline=decline, attaches=False) for test_id, (last4, decline) in _DECLINED.items()
    },
    "pm_card_chargeCustomerFail": Card("visa", "0341", decline=GENERIC),
    **_AUTHENTICATED,
    **_DISPUTED,
    **OURS,
}
