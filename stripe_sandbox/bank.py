"""The bank's 3-D Secure page, for payments and for setups."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from stripe_sandbox.answers import answer
from stripe_sandbox.errors import StripeError, not_found
from stripe_sandbox.resources import Intent, SetupIntent
from stripe_sandbox.sandbox import Sandbox

_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:28rem;margin:15vh auto;padding:2rem;border:1px solid #ccc;"
    "border-radius:8px}button{font:inherit;padding:.5rem 1rem;margin-right:.5rem}"
)


class Bank:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        path = "/sandbox/authenticate/{intent}"
        return [Route(path, self._ask, methods=["GET"]), Route(path, self._take, methods=["POST"])]

    async def _ask(self, request: Request) -> Response:
        intent = self._intent(request)
        wish = (
            f"Pay {intent.amount} {escape(intent.currency.upper())} (minor units)?"
            if isinstance(intent, Intent)
            else "Let this shop charge your card later?"
        )
        return HTMLResponse(
            "<!doctype html><html lang=en><meta name=viewport content='width=device-width'>"
            f"<title>3-D Secure</title><style>{_STYLE}</style><h1>Your bank asks</h1><p>{wish}</p>"
            "<form method=post><button name=result value=passed>Yes, that is me</button>"
            "<button name=result value=failed>No</button></form></html>"
        )

    async def _take(self, request: Request) -> Response:
        """Body `result=passed` or `result=failed`; goes back to the caller's return_url if there is one."""
        passed = {b"result=passed": True, b"result=failed": False}.get(await request.body())
        if passed is None:
            raise StripeError("The body must be result=passed or result=failed.")
        intent = self._intent(request)
        after: Intent | SetupIntent
        if isinstance(intent, Intent):
            after = self._sandbox.payments.authenticate(intent, passed=passed)
        else:
            after = self._sandbox.setups.authenticate(intent, passed=passed)
        if after.return_url is not None:
            return Response(status_code=303, headers={"location": after.return_url})
        return answer({"id": after.id, "status": after.status})

    def _intent(self, request: Request) -> Intent | SetupIntent:
        intent_id = request.path_params["intent"]
        state = self._sandbox.state
        intent = state.intents.get(intent_id) or state.setups.get(intent_id)
        if intent is None:
            raise not_found("payment_intent or setup_intent", intent_id)
        return intent
