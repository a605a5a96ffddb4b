"""Stripe's error answers: a status and a body with type, code and message."""

Document = dict[str, object]
"""A JSON object on its way out. Its values are what `orjson` can write."""


class StripeError(Exception):
    """A request that Stripe would refuse; `body()` is what goes over the wire."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **fields: object,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.code = code
        self._error: Document = {"type": kind, "message": message}
        for name, value in {"code": code, "param": param, **fields}.items():
            if value is not None:
                self._error[name] = value
        if code is not None:
            self._error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"

    def body(self) -> Document:
        return {"error": self._error}


def no_such(what: str, object_id: str, param: str) -> StripeError:
    """A parameter names an unknown object."""
    return StripeError(f"No such {what}: '{object_id}'", code="resource_missing", param=param)


def not_found(what: str, object_id: str, param: str = "id") -> StripeError:
    """The path names an unknown object."""
    return StripeError(f"No such {what}: '{object_id}'", status=404, code="resource_missing", param=param)
