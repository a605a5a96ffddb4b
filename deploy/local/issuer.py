"""A token issuer for development: whoever asks gets a token for whomever they name. Never for production.

It keeps its RS256 keys under `.local/issuer`, newest last; the newest signs, all are published at
`/.well-known/jwks.json`, so a rotated key stays valid until it is retired. `mint` does in this process what
`POST /token` does over HTTP. `python -m deploy.local.issuer` serves it, on loopback only.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import jwt
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from eventing.settings import is_loopback

Role = Literal["creator", "backer", "operator"]

ALGORITHM = "RS256"  # What most identity providers sign with unless told otherwise; the cheapest of all to check.
KEY_BITS = 2048
PUBLIC_EXPONENT = 65_537
KEYS_CACHED = 16
DIRECTORY = Path(".local/issuer")
LIFETIME_SECONDS = 3_600
LIFETIME_SECONDS_MAX = 86_400  # A day of development; a longer-lived token would outlive the run that made it.
CLOCK_SKEW_SECONDS = 5  # `nbf` lies this far back, for a verifier whose clock is a little behind.


class NotLoopbackError(Exception):
    """Whoever reaches this issuer can be anybody, so it does not listen where strangers are."""


@dataclass(frozen=True)
class Key:
    path: Path
    private: rsa.RSAPrivateKey

    @cached_property
    def kid(self) -> str:
        """Names the key by its public half, so that it is the same in every process."""
        public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()[:16]

    def public_jwk(self) -> dict[str, str]:
        jwk: dict[str, str] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"kty": jwk["kty"], "n": jwk["n"], "e": jwk["e"], "kid": self.kid, "alg": ALGORITHM, "use": "sig"}


class Issuer:
    """Signs with the newest key of a directory; several processes may share the directory."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.keys():
            self._add_key(1)

    def keys(self) -> list[Key]:
        """Every key that is still published, oldest first. Read anew, since another process may rotate."""
        return [_read(path, path.stat().st_mtime_ns) for path in sorted(self._directory.glob("rs256-*.pem"))]

    def mint(self, person_id: uuid.UUID, roles: list[Role], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        """A signed JWT for one person; a negative lifetime makes one that has expired already (H2)."""
        now, key = int(time.time()), self.keys()[-1]
        claims = {
            "iss": JWT_ISSUER,
            "aud": JWT_AUDIENCE,
            "sub": str(person_id),
            "roles": roles,
            "iat": now,
            "nbf": now - CLOCK_SKEW_SECONDS,
            "exp": now + lifetime_seconds,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": [key.public_jwk() for key in self.keys()]}

    def rotate(self) -> None:
        """Sign with a new key from now on; tokens of the old ones stay valid."""
        self._add_key(int(self.keys()[-1].path.stem.removeprefix("rs256-")) + 1)

    def retire(self) -> None:
        """Publish the newest key only: tokens of all older ones are void once verifiers look again."""
        for key in self.keys()[:-1]:
            key.path.unlink()

    def _add_key(self, number: int) -> None:
        """Two processes may start at once: a link is made or is there already, and never half a file."""
        pem = rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        draft = self._directory / f"{uuid.uuid4()}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(pem)
        try:
            os.link(draft, self._directory / f"rs256-{number:06}.pem")
        except FileExistsError:
            pass  # The other process was first; its key is as good.
        finally:
            draft.unlink()


def mint(person_id: uuid.UUID, roles: list[Role], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
    """A token by the key of this checkout's own issuer."""
    return Issuer().mint(person_id, roles, lifetime_seconds)


@lru_cache(maxsize=KEYS_CACHED)
def _read(path: Path, _changed_ns: int) -> Key:
    """A key of the directory; checking one takes a hundred times as long as signing with it."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path} is not an RSA key: remove it, a new one is made")
    return Key(path, key)


class TokenRequest(BaseModel):
    """What `POST /token` takes."""

    model_config = ConfigDict(extra="forbid")

    sub: uuid.UUID
    roles: list[Role] = Field(min_length=1, max_length=3)
    lifetime_seconds: int = Field(default=LIFETIME_SECONDS, ge=1, le=LIFETIME_SECONDS_MAX)


class Token(BaseModel):
    """What `POST /token` answers, in the words of RFC 6749."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int


def application(issuer: Issuer) -> FastAPI:
    app = FastAPI(title="Groundswell local issuer", docs_url="/docs", redoc_url=None)

    @app.get("/.well-known/jwks.json")
    def jwks() -> dict[str, list[dict[str, str]]]:
        return issuer.jwks()

    @app.post("/token")
    def token(wanted: TokenRequest) -> Token:
        signed = issuer.mint(wanted.sub, wanted.roles, wanted.lifetime_seconds)
        return Token(access_token=signed, expires_in=wanted.lifetime_seconds)

    @app.get("/health/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


class Settings(BaseSettings):
    """Where the issuer listens and keeps its keys."""

    model_config = SettingsConfigDict(env_prefix="ISSUER_")

    http_host: str = "127.0.0.1"
    http_port: int = 8090
    directory: Path = DIRECTORY
    in_container: bool = False


def check_loopback(host: str, *, in_container: bool) -> None:
    """Refuse every address but loopback, unless compose vouches that it publishes this container there only.

    Raises:
        NotLoopbackError: the address can be reached by others.
    """
    if not is_loopback(host) and not in_container:
        raise NotLoopbackError(
            f"the local issuer gives a token to anybody who asks and listens on loopback only, not on {host}"
        )


def main() -> None:
    settings = Settings()
    check_loopback(settings.http_host, in_container=settings.in_container)
    uvicorn.run(
        application(Issuer(settings.directory)),
        host=settings.http_host,
        port=settings.http_port,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,  # longer than any client keeps a connection, here and in the services
    )


if __name__ == "__main__":
    main()
