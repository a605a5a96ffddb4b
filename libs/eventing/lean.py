"""A route for a hot path: a well-formed request goes straight to its endpoint (ADR 0023).

FastAPI documents the route by its endpoint's signature, and answers every request that does not fit it. What fits
needs none of its dependency machinery, which costs more than the endpoint.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from pydantic_core import from_json
from starlette.types import Message, Receive, Scope, Send

from eventing import problems
from eventing.tokens import Guard, Public


class UnfitForLeanRouteError(TypeError):
    """An endpoint takes what a lean route does not read."""


class LeanRoute(APIRoute):
    """Use it as `route_class_override`. Behind the door only, which has read the body whole.

    The endpoint is async and returns a Response. It takes any of: path parameters, required headers, one JSON body,
    principals by `require(...)`.

    Raises:
        UnfitForLeanRouteError: It takes something else.
    """

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        _check(self.dependant, path)
        self._paths = [(p.name, p.alias, _reader(p)) for p in self.dependant.path_params]
        self._headers = [(h.name, h.alias.lower().encode(), _reader(h)) for h in self.dependant.header_params]
        self._bodies = [(b.name, _reader(b)) for b in self.dependant.body_params]
        self._guards = [(d.name, d.call) for d in self.dependant.dependencies if isinstance(d.call, Guard)]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        message = await receive() if self._bodies else None
        arguments = self._arguments(scope, message)
        if arguments is None:
            await super().handle(scope, receive if message is None else _again(message, receive), send)
            return
        for name, guard in self._guards:
            principal = await guard(Request(scope))
            if name is not None:
                arguments[name] = principal
        response = await self.endpoint(**arguments)
        await response(scope, receive, send)

    def _arguments(self, scope: Scope, message: Message | None) -> dict[str, Any] | None:
        """What the endpoint takes, without the principals; None if something of it is missing or wrong."""
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            found = {name: read.validate_python(scope["path_params"][alias]) for name, alias, read in self._paths}
            for name, alias, read in self._headers:
                found[name] = read.validate_python(headers[alias].decode("latin-1"))
            for name, read in self._bodies:
                if message is None or not problems.is_json(headers[b"content-type"].decode("latin-1")):
                    return None
                found[name] = read.validate_python(from_json(message["body"]))
        except (KeyError, ValueError):  # pydantic's are ValueErrors
            return None
        return found


def _check(dependant: Dependant, path: str) -> None:
    unread = [p.name for p in (*dependant.query_params, *dependant.cookie_params, *dependant.body_params[1:])]
    unread += [h.name for h in dependant.header_params if not h.field_info.is_required()]
    unread += [repr(d.call) for d in dependant.dependencies if not isinstance(d.call, Guard | Public)]
    unread += filter(None, (dependant.request_param_name, dependant.response_param_name))
    if unread:
        msg = f"{path}: a lean route does not read {', '.join(unread)}"
        raise UnfitForLeanRouteError(msg)


def _reader(field: Any) -> TypeAdapter[Any]:
    """Validates a parameter as FastAPI does."""
    return TypeAdapter(field.field_info.rebuild_annotation())


def _again(message: Message, receive: Receive) -> Receive:
    messages = [message]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
