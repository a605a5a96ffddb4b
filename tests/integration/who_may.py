"""Who may do what (DOMAIN H2): every operation of a service's OpenAPI page, asked by everybody.

A test lists who may; whoever is not listed is to be refused, and so is everybody at an operation that is not listed.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.ids import new_id
from tests.integration.eventing.shell import PrivateKey, algorithm

METHODS: Final = ("get", "post", "put", "patch", "delete")


class Who(StrEnum):
    """In the order in which they ask: the owner is last, because an owner may change what it is about."""

    NOBODY = "nobody"
    WRONG_ROLE = "a role that this is not for"
    OPERATOR = "an operator"
    OTHER_OWNER = "the right role, but somebody else's"
    OWNER = "whose it is"


EVERYBODY: Final = frozenset(Who)
OWNER: Final = frozenset({Who.OWNER})
Allowed = Mapping[str, frozenset[Who]]


@dataclass(frozen=True)
class Asked:
    """A request about something that was just made for it; `tokens` are those of everybody who asks."""

    path: str
    tokens: Mapping[Who, str]
    body: Any = None


Subject = Callable[[str], Awaitable[Asked]]


def operations(document: Mapping[str, Any], prefix: str = "/") -> list[str]:
    """`METHOD /path` of everything on the page below the prefix, but for what no person uses (`/health`)."""
    return [
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in METHODS
        if method in methods and path.startswith(prefix) and not path.startswith(("/health", "/metrics"))
    ]


def guarded(document: Mapping[str, Any]) -> Iterator[str]:
    """Operations that look at a token, whether they need it or not."""
    for name in operations(document):
        method, _, path = name.partition(" ")
        if any("Token" in scheme for scheme in document["paths"][path][method.lower()].get("security", ())):
            yield name


async def send(http: httpx.AsyncClient, operation: str, asked: Asked, token: str) -> tuple[int, str]:
    """The status, and the code of the problem if it is one. An answer that does not end is left at its beginning."""
    headers = {"Idempotency-Key": str(new_id())} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = {} if asked.body is None else {"json": asked.body}
    async with http.stream(operation.partition(" ")[0], asked.path, headers=headers, **content) as answer:
        if "problem+json" not in answer.headers.get("content-type", ""):
            return answer.status_code, ""
        problem = json.loads(await answer.aread())
        return answer.status_code, str(problem["type"]).rpartition("/")[2]


async def verdicts(http: httpx.AsyncClient, names: Iterable[str], subject: Subject) -> dict[str, dict[Who, str]]:
    """What becomes of everybody at every operation: `in`, `refused`, or what else was answered."""
    found: dict[str, dict[Who, str]] = {}
    for name in names:
        asked = await subject(name)
        for who in Who:
            status, code = await send(http, name, asked, asked.tokens[who])
            found.setdefault(name, {})[who] = _verdict(who, status, code)
    return found


def expected(names: Iterable[str], allowed: Allowed) -> dict[str, dict[Who, str]]:
    """The same as a test's list says it."""
    return {name: {who: "in" if who in allowed.get(name, ()) else "refused" for who in Who} for name in names}


def _verdict(who: Who, status: int, code: str) -> str:
    if 200 <= status < 300:
        return "in"
    refusals = (401,) if who is Who.NOBODY else (403, 404)
    hidden = status == 404 and code.endswith("not-found")  # what is not yours need not be known to exist
    return "refused" if status in refusals or hidden else f"{status} {code}"


def bad_tokens(key: PrivateKey, kid: str, *, issuer: str, audience: str, role: str) -> dict[str, str]:
    """Tokens that must not be taken although their sender is otherwise as good as anybody, by what is wrong."""
    now, person = int(time.time()), str(new_id())
    good = {"iss": issuer, "aud": audience, "sub": person, "roles": [role], "iat": now, "exp": now + 600}

    def signed(by: PrivateKey = key, **changed: Any) -> str:
        return jwt.encode(good | changed, by, algorithm=algorithm(by), headers={"kid": kid})

    genuine = signed()
    head, _, signature = genuine.split(".")
    promoted = _encoded(good | {"sub": str(UUID(int=1)), "roles": ["operator", "creator", "backer"]})
    unsigned = f"{_encoded({'alg': 'none', 'kid': kid})}.{_encoded(good)}."
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    by_public_key = f"{_encoded({'alg': 'HS256', 'kid': kid})}.{_encoded(good)}"
    mac = base64.urlsafe_b64encode(hmac.digest(public, by_public_key.encode(), hashlib.sha256)).rstrip(b"=").decode()
    return {
        "expired": signed(exp=now - 60),
        "not valid yet": signed(nbf=now + 3_600),
        "issued in the future": signed(iat=now + 3_600),
        "for another audience": signed(aud="another platform"),
        "of another issuer": signed(iss="https://somebody.else"),
        "without roles": signed(roles=None),
        "without a signature": unsigned,
        "signed with the public key as secret": f"{by_public_key}.{mac}",
        "signed by a stranger": signed(_another(key)),
        "changed after it was signed": f"{head}.{promoted}.{signature}",
        "cut off": genuine[:-9],
        "not a token": "let-me-in",
    }


def _another(key: PrivateKey) -> PrivateKey:
    """A key of the same kind, so that nothing but the signature is wrong."""
    if isinstance(key, rsa.RSAPrivateKey):
        return rsa.generate_private_key(65_537, 2_048)
    return ec.generate_private_key(ec.SECP256R1())


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
