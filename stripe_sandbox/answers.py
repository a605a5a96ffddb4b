"""Answers of the sandbox's own routes."""

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox.errors import Document, StripeError

ModelT = TypeVar("ModelT", bound=BaseModel)


def answer(document: Document, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


async def body_of(request: Request, model: type[ModelT]) -> ModelT:
    """The JSON body as `model`; refused in Stripe's form when it is not."""
    try:
        return model.model_validate_json(await request.body() or b"{}")
    except ValidationError as wrong:
        raise StripeError(str(wrong)) from None
