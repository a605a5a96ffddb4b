"""The routes of events and of the webhook endpoints that hear of them."""

from urllib.parse import urlsplit

from stripe_sandbox.domain import DAY_SECONDS
from stripe_sandbox.errors import Document, StripeError, not_found
from stripe_sandbox.events import Event
from stripe_sandbox.reading import Call, window
from stripe_sandbox.rendering import render_endpoint, render_event
from stripe_sandbox.rendering_lists import render_list
from stripe_sandbox.resources import Endpoint
from stripe_sandbox.state import State

ENDPOINTS_MAX = 16  # Stripe's limit for one account.
EVENT_TYPES_MAX = 20  # Stripe's limit for `types`.
EVENT_DAYS = 30  # Stripe lists events for 30 days.


class EventsApi:
    def __init__(self, state: State) -> None:
        self._state = state

    def listing(self, call: Call) -> Document:
        params = call.params
        types = set(params.texts("types"))
        single = params.text("type")
        delivered = params.choice("delivery_success", ("true", "false"))
        part = window(params)
        params.close()
        if single is not None and types:
            raise StripeError("You may specify either `type` or `types`, but not both.", param="type")
        if len(types) > EVENT_TYPES_MAX:
            raise StripeError(f"At most {EVENT_TYPES_MAX} types.", param="types")
        oldest = self._state.clock.now() - EVENT_DAYS * DAY_SECONDS

        def wanted(event: Event) -> bool:
            if event.created < oldest or (types and event.type not in types):
                return False
            return delivered is None or event.delivered == (delivered == "true")

        rows, more = self._state.events.page({} if single is None else {"type": single}, part, wanted)
        return render_list(map(render_event, rows), "/v1/events", has_more=more)

    def retrieve(self, call: Call) -> Document:
        call.params.close()
        event = self._state.events.get(call.object_id)
        if event is None:
            raise not_found("event", call.object_id)
        return render_event(event)

    def create_endpoint(self, call: Call) -> Document:
        params = call.params
        endpoint = Endpoint(
            id=self._state.ids.new("we"),
            created=self._state.clock.now(),
            url=params.required_text("url"),
            secret=self._state.ids.new("whsec"),
            enabled_events=params.texts("enabled_events"),
            metadata=params.metadata(),
            description=params.text("description"),
            api_version=params.text("api_version"),
        )
        params.close()
        if not endpoint.enabled_events:
            raise StripeError(
                "Missing required param: enabled_events.", code="parameter_missing", param="enabled_events"
            )
        if urlsplit(endpoint.url).scheme not in {"http", "https"}:
            raise StripeError("Invalid URL: it must start with http:// or https://.", code="url_invalid", param="url")
        if len(self._state.endpoints) >= ENDPOINTS_MAX:
            raise StripeError(f"You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints.")
        self._state.endpoints.add(endpoint)
        return render_endpoint(endpoint, with_secret=True)

    def delete_endpoint(self, call: Call) -> Document:
        call.params.close()
        if self._state.endpoints.get(call.object_id) is None:
            raise not_found("webhook endpoint", call.object_id)
        self._state.endpoints.remove(call.object_id)
        return {"id": call.object_id, "object": "webhook_endpoint", "deleted": True}
