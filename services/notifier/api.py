"""The contact book's HTTP door (DOMAIN N4)."""

import unicodedata
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Principal, require
from notifier import queries
from notifier.domain import SetContact

EMAIL_MAX: Final = 254  # RFC 5321, 4.5.3.1.3 less the angle brackets
NAME_MAX: Final = 100
# What every mail server takes: ASCII, no quoting, a domain with a dot.
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
EMAIL_PATTERN: Final = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}$"
LOCALE_PATTERN: Final = r"^[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?$"
_LOCAL_PART_MAX: Final = 64
_SIGNED_IN = require()
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No valid token"},
    422: {"description": "An address or a name that cannot be used, or a reused Idempotency-Key"},
}


class ContactNotFound(Refusal):
    code = "contact-not-found"
    title = "No contact is stored"
    status = 404


def _short_local_part(value: str) -> str:
    if value.index("@") > _LOCAL_PART_MAX:
        raise ValueError(f"An address has at most {_LOCAL_PART_MAX} characters before the @")
    return value


def _printable(value: str) -> str:
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in value):
        raise ValueError("A name has no control characters and no line breaks")
    return value


class ContactBody(BaseModel):
    """Where mail goes, and how it speaks: a language tag such as `en`, `de-AT` or `zh-Hant-TW`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Annotated[
        str,
        Field(max_length=EMAIL_MAX, pattern=EMAIL_PATTERN, examples=["ada@example.org"]),
        AfterValidator(_short_local_part),
    ]
    name: Annotated[
        str,
        Field(min_length=1, max_length=NAME_MAX, pattern=r"\S", examples=["Ada Lovelace"]),
        AfterValidator(_printable),
    ]
    locale: Annotated[str, Field(pattern=LOCALE_PATTERN, examples=["en-GB"])]


class ContactStored(BaseModel):
    status: str
    links: dict[str, str]


def router(runtime: Runtime) -> APIRouter:
    """The routes of the service."""
    routes = APIRouter(tags=["notifier"])

    @routes.put("/me/contact", responses=_PROBLEMS)
    async def set_contact(
        body: ContactBody, key: IdempotencyKey, principal: Annotated[Principal, _SIGNED_IN]
    ) -> ContactStored:
        """Say where your mail goes. Mail that waited for it goes out now."""
        command = SetContact(principal.person_id, body.email, body.name, body.locale)
        fingerprint = command_fingerprint("PUT", "/me/contact", body)
        answer = await runtime.commit.execute(command, idempotency=Idempotency(principal.person_id, key, fingerprint))
        return ContactStored.model_validate(answer)

    @routes.get("/me/contact", responses={401: _PROBLEMS[401], 404: {"description": "None is stored"}})
    async def contact(principal: Annotated[Principal, _SIGNED_IN]) -> ContactBody:
        """Your own entry in the contact book; nobody else can see it here."""
        found = await queries.contact(runtime.pool, principal.person_id)
        if found is None:
            raise ContactNotFound("Store one with PUT /me/contact.")
        return ContactBody.model_construct(email=found.email, name=found.name, locale=found.locale)

    return routes
