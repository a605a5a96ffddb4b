"""Who is asking (DOMAIN H2): bearer tokens, checked against the issuer's published keys.

A route states whom it lets in, by `require(...)` or `public()`; with a route that says neither no app is built.
"""

import asyncio
import hashlib
import json
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar
from uuid import UUID

import jwt
import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase

from contracts.ids import PersonId
from eventing.refusal import Refusal, Unavailable

# One algorithm per kind of key, so a token cannot choose: no `none`, no HMAC with a public key as secret.
_ALGORITHMS: dict[tuple[object, object], str] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
RSA_BITS_MIN = 2048
LEEWAY_SECONDS = 10  # Clocks of issuer and service differ by less.
TOKEN_BYTES_MAX = 8_192  # Ours have 500.
JWKS_BYTES_MAX = 1_048_576
KEYS_MAX = 100
FETCH_SECONDS = 3.0
KEYS_FRESH_SECONDS = 300  # A key withdrawn by the issuer is refused after this long.
KEYS_STALE_SECONDS = 86_400  # With the issuer away, its keys are trusted for a day.
FETCH_INTERVAL_SECONDS = 5  # Tokens with made-up key ids cause no more fetches than this.
CACHE_SECONDS = 60  # A signature costs 60 to 125 µs to check; a withdrawn key is noticed this much later.
CACHE_MAX = 10_000  # 3 MB

logger = structlog.get_logger()


class Role(StrEnum):
    CREATOR = "creator"
    BACKER = "backer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """The person who asks, and as what they may act."""

    person_id: PersonId
    roles: frozenset[Role]


class Unauthenticated(Refusal):
    """401: no token, or one that does not hold."""

    code: ClassVar[str] = "unauthenticated"
    title: ClassVar[str] = "Sign in first"
    status: ClassVar[int] = 401


class Forbidden(Refusal):
    """403: a good token of somebody who may not do this."""

    code: ClassVar[str] = "forbidden"
    title: ClassVar[str] = "This is not yours to do"
    status: ClassVar[int] = 403


class UndeclaredRouteError(Exception):
    """A route says neither `require(...)` nor `public()`."""


@dataclass(frozen=True, slots=True)
class _Key:
    key: jwt.PyJWK
    algorithm: str


class KeySet:
    """The issuer's keys by id: fetched when first needed, again when old or when an unknown id turns up."""

    def __init__(
        self, url: str, fetch: Callable[[str], Awaitable[bytes]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, _Key] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> _Key | None:
        """The key, or None when the issuer does not have it.

        Raises:
            Unavailable: It cannot be known, because the issuer is away and its keys are too old or not there.
        """
        age = self._clock() - self._fetched_at
        if (key := self._keys.get(kid)) and age <= KEYS_STALE_SECONDS:
            if age > KEYS_FRESH_SECONDS and self._may_try():
                self._renewal = asyncio.create_task(self._renew())  # the old key serves meanwhile
            return key
        await self._renew()
        if self._tried_at > self._fetched_at:
            raise Unavailable("The token cannot be checked: its issuer is away.", FETCH_INTERVAL_SECONDS)
        return self._keys.get(kid)

    def _may_try(self) -> bool:
        return self._clock() - self._tried_at >= FETCH_INTERVAL_SECONDS

    async def _renew(self) -> None:
        async with self._lock:
            if not self._may_try():
                return
            self._tried_at = now = self._clock()
            try:
                self._keys = dict(_readable(json.loads(await self._fetch(self._url))))
            except (OSError, ValueError, TypeError, AttributeError) as error:
                logger.warning("jwks_fetch_failed", error=type(error).__name__)
            else:
                self._fetched_at = now


def _readable(document: Any) -> Iterator[tuple[str, _Key]]:
    """The keys of a JWKS document that we can use, by id. Others are passed over, as RFC 7517 asks."""
    for entry in document["keys"][:KEYS_MAX]:
        key = _usable(entry) if isinstance(entry, dict) else None
        if key and isinstance(entry.get("kid"), str):
            yield entry["kid"], key


def _usable(entry: Mapping[str, Any]) -> _Key | None:
    algorithm = _ALGORITHMS.get((entry.get("kty"), entry.get("crv")))
    if not algorithm or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    too_weak = algorithm == "RS256" and key.key.key_size < RSA_BITS_MIN
    return None if too_weak else _Key(key, algorithm)


async def fetch(url: str) -> bytes:
    """The document at an http(s) address. In a thread, because it happens once in minutes.

    Raises:
        OSError: It could not be had within `FETCH_SECONDS`, or is too large.
    """

    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310 - the settings admit http(s) only
            body: bytes = response.read(JWKS_BYTES_MAX + 1)
        if len(body) > JWKS_BYTES_MAX:
            raise OSError("the JWKS document is too large")
        return body

    return await asyncio.to_thread(read)


class TokenVerifier:
    """Turns a bearer token into a `Principal`. One found good is remembered for a minute, by its hash."""

    def __init__(
        self,
        *,
        jwks_url: str,
        issuer: str,
        audience: str,
        fetch: Callable[[str], Awaitable[bytes]] = fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = KeySet(jwks_url, fetch, monotonic)
        self._issuer = issuer
        self._audience = audience
        self._good: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Whose token this is.

        Raises:
            Unauthenticated: It is malformed, expired, not valid yet, meant for others or not from the issuer.
            Unavailable: The issuer's keys cannot be had.
        """
        digest = hashlib.sha256(token.encode()).digest()
        found = self._good.get(digest)
        if found and time.time() < found[1]:
            return found[0]
        principal, expires = await self._check(token)
        self._good[digest] = principal, min(expires + LEEWAY_SECONDS, time.time() + CACHE_SECONDS)
        self._good.move_to_end(digest)
        while len(self._good) > CACHE_MAX:
            self._good.popitem(last=False)
        return principal

    async def _check(self, token: str) -> tuple[Principal, float]:
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthenticated("The token is too long.")
        try:
            kid = _kid(token.partition(".")[0])
            key = await self._keys.find(kid) if isinstance(kid, str) else None
            if key is None:
                raise Unauthenticated("The token was not signed by a key of the issuer.")
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub", "roles"]},
            )
            return _principal(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("The token is not valid here.") from None


@lru_cache(maxsize=KEYS_MAX)
def _kid(header: str) -> object:
    """The key that a token's first part names. All tokens of a key begin alike, so it is read once for all of them."""
    return jwt.get_unverified_header(f"{header}..").get("kid")


def _principal(claims: Mapping[str, Any]) -> Principal:
    roles = claims["roles"]
    if not isinstance(roles, list):
        raise TypeError("roles")
    known = frozenset(role for role in Role if role in roles)  # a newer issuer may know more
    return Principal(PersonId(UUID(claims["sub"])), known)


class Guard(SecurityBase):
    """The dependency behind `require`: who asks, if they may. Its scheme puts the padlock on the API page."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles
        self.scheme_name = "Token"
        self.model = HTTPBearer(bearerFormat="JWT", description="A JWT of the platform's issuer")

    async def __call__(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("This needs a bearer token in the Authorization header.")
        principal: Principal = await request.app.state.verifier.verify(token.strip())
        if self.roles and not self.roles & principal.roles:
            raise Forbidden(f"This needs the role {' or '.join(sorted(self.roles))}.")
        return principal


class Public:
    async def __call__(self) -> None:
        """Everybody may."""


def require(*roles: Role) -> Any:
    """A dependency that gives the `Principal` and lets in who has one of the roles, or any token if none is named.

    `principal: Annotated[Principal, require(Role.BACKER)]`, or in `dependencies=[...]` of a route or router.
    """
    return Depends(Guard(frozenset(roles)))


def public() -> Any:
    """States that a route lets everybody in: `dependencies=[public()]`."""
    return Depends(Public())


def check_declared(router: APIRouter) -> None:
    """Refuse a router with a route that does not say whom it lets in (H2).

    Raises:
        UndeclaredRouteError: Names the route.
    """
    for route in router.routes:
        if not isinstance(route, APIRoute) or not _declares(route.dependant):
            path = getattr(route, "path", route)
            raise UndeclaredRouteError(f"{path}: add require(...) or public()")


def _declares(dependant: Dependant) -> bool:
    return any(isinstance(d.call, Guard | Public) or _declares(d) for d in dependant.dependencies)
