"""A small app behind the real door, a real server to run it, and an issuer whose keys tests can change."""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI

from deploy.local.plain_http import NO_TLS
from eventing.service import IDLE_SECONDS
from eventing.settings import ServiceSettings

ISSUER, AUDIENCE = "https://issuer.test", "groundswell"
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class Settings(ServiceSettings):
    service = "pledge"


def settings(**changed: Any) -> Settings:
    given = {
        "database_url": "postgresql://pledge:secret@127.0.0.1:1/none",
        "broker_url": "amqp://pledge:secret@127.0.0.1:1/none",
        "jwks_url": "http://127.0.0.1:1/jwks.json",
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
    }
    return Settings(**(given | changed))


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The app on a real server on a free port; yields its address."""
    config = uvicorn.Config(
        app, log_config=None, ws="none", timeout_graceful_shutdown=1, timeout_keep_alive=IDLE_SECONDS
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # signals belong to pytest
    with socket.create_server(("127.0.0.1", 0)) as listening:  # connections wait in it until the server is up
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as address, httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=10) as http:
        yield http


class Issuer:
    """Signs tokens and publishes its keys, counting how often they are fetched."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {"first": ec.generate_private_key(ec.SECP256R1())}
        self.extra: list[Mapping[str, Any]] = []
        self.fetched = 0
        self.app = FastAPI()
        self.app.get("/jwks.json")(self._publish)

    async def _publish(self) -> dict[str, Any]:
        self.fetched += 1
        return {"keys": [*self.extra, *(public_jwk(kid, key) for kid, key in self.keys.items())]}

    def token(self, kid: str = "first", *, without: str = "", **changed: Any) -> str:
        key = self.keys[kid]
        headers = {"kid": changed.pop("kid_shown", kid)}
        claims = {k: v for k, v in (_claims() | changed).items() if k != without}
        return jwt.encode(claims, key, algorithm=algorithm(key), headers=headers)


def _claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid.uuid4()),
        "roles": ["backer"],
        "iat": now,
        "exp": now + 600,
    }


def algorithm(key: PrivateKey) -> str:
    match key:
        case ec.EllipticCurvePrivateKey():
            return "ES256"
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
        case _:
            return "RS256"


def public_jwk(kid: str, key: PrivateKey) -> dict[str, Any]:
    published = jwt.get_algorithm_by_name(algorithm(key)).to_jwk(key.public_key())
    return {**json.loads(published), "kid": kid, "use": "sig"}
