"""What happens beside the API: a person at Stripe's dashboard, a bank, a card that turns bad.

None of it has metadata of the platform's, a request or an idempotency key.
"""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox.answers import answer, body_of
from stripe_sandbox.cards import DECLINES, Authentication, Card
from stripe_sandbox.domain_disputes import REASONS
from stripe_sandbox.errors import StripeError, not_found
from stripe_sandbox.events import Origin
from stripe_sandbox.money_api import find_charge, find_dispute
from stripe_sandbox.rendering import render
from stripe_sandbox.resources import Charge, Intent, PaymentMethod
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.state import State


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Payment(_Body):
    """One of the two ids, or both."""

    payment_intent: str | None = None
    charge: str | None = None
    amount: Annotated[int | None, Field(ge=1)] = None

    def find(self, state: State) -> Charge:
        return find_charge(state, self.charge, self.payment_intent)


class _Refund(_Payment):
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None


class _Dispute(_Payment):
    reason: str = "fraudulent"
    inquiry: bool = False

    @model_validator(mode="after")
    def _known(self) -> "_Dispute":
        if self.reason not in REASONS:
            raise ValueError(f"reason: one of {', '.join(REASONS)}")
        return self


class _Verdict(_Body):
    outcome: Literal["won", "lost"]
    fee_returned: bool = False


class _Hold(_Body):
    payment_intent: str
    amount: Annotated[int | None, Field(ge=1)] = None


class _CardState(_Body):
    """What is given changes; `null` for a decline means that the card is good again."""

    payment_method: str
    decline: str | None = None
    capture_decline: str | None = None
    authentication: Authentication | None = None

    @model_validator(mode="after")
    def _known(self) -> "_CardState":
        if {self.decline, self.capture_decline} - DECLINES.keys() - {None}:
            raise ValueError(f"A decline is one of {', '.join(DECLINES)}, or null.")
        return self

    def changed(self, card: Card) -> Card:
        given = self.model_fields_set
        decline = DECLINES.get(self.decline or "") if "decline" in given else card.decline
        capture = DECLINES.get(self.capture_decline or "") if "capture_decline" in given else card.capture_decline
        return replace(
            card,
            decline=decline,
            capture_decline=capture,
            attaches=decline is None or (card.attaches and "decline" not in given),
            authentication=self.authentication or card.authentication,
        )


class Dashboard:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/refund", self._refund, methods=["POST"]),
            Route("/sandbox/capture", self._capture, methods=["POST"]),
            Route("/sandbox/cancel", self._cancel, methods=["POST"]),
            Route("/sandbox/dispute", self._dispute, methods=["POST"]),
            Route("/sandbox/dispute/{dispute}", self._close, methods=["POST"]),
            Route("/sandbox/cards", self._card, methods=["POST"]),
        ]

    async def _refund(self, request: Request) -> Response:
        body = await body_of(request, _Refund)
        charge = body.find(self._sandbox.state)
        return answer(render(self._sandbox.balance.refund(charge, body.amount, body.reason, {}, Origin())))

    async def _capture(self, request: Request) -> Response:
        body = await body_of(request, _Hold)
        intent = self._intent(body.payment_intent)
        return answer(render(self._sandbox.payments.capture(intent, body.amount, {}, Origin())))

    async def _cancel(self, request: Request) -> Response:
        body = await body_of(request, _Hold)
        intent = self._intent(body.payment_intent)
        return answer(render(self._sandbox.payments.cancel(intent, "requested_by_customer", Origin())))

    async def _dispute(self, request: Request) -> Response:
        body = await body_of(request, _Dispute)
        charge = body.find(self._sandbox.state)
        return answer(render(self._sandbox.disputes.open(charge, body.reason, body.amount, inquiry=body.inquiry)))

    async def _close(self, request: Request) -> Response:
        """An inquiry just ends, whatever the outcome."""
        body = await body_of(request, _Verdict)
        dispute = find_dispute(self._sandbox.state, request.path_params["dispute"])
        return answer(
            render(self._sandbox.disputes.close(dispute, won=body.outcome == "won", fee_returned=body.fee_returned))
        )

    async def _card(self, request: Request) -> Response:
        body = await body_of(request, _CardState)
        method = self._method(body.payment_method)
        changed = self._sandbox.methods.change_card(method, body.changed(method.card))
        card = changed.card
        return answer(
            {
                "payment_method": changed.id,
                "decline": None if card.decline is None else card.decline.decline_code,
                "capture_decline": None if card.capture_decline is None else card.capture_decline.decline_code,
                "authentication": card.authentication,
            }
        )

    def _intent(self, intent_id: str) -> Intent:
        intent = self._sandbox.state.intents.get(intent_id)
        if intent is None:
            raise not_found("payment_intent", intent_id)
        return intent

    def _method(self, method_id: str) -> PaymentMethod:
        method = self._sandbox.state.methods.get(method_id)
        if method is None:
            raise StripeError(
                f"No such PaymentMethod: '{method_id[:100]}'. A test id has none of its own until it is used.",
                status=404,
                code="resource_missing",
            )
        return method
