"""The local issuer: what its tokens say, that a verifier finds its keys, and whom it refuses."""

import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jwt
import pytest

from deploy.local.issuer import Issuer, NotLoopbackError, application, check_loopback
from deploy.local.private import free_ports
from deploy.local.processes import ProcessFailedError, open_run
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER

ADA = uuid.UUID("0192f0c1-2222-7000-8000-000000000001")


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
async def http(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(issuer))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuer") as client:
        yield client


async def verified(token: str, http: httpx.AsyncClient) -> dict[str, object]:
    """What a service does: find the key by its id, then check signature, issuer, audience and times."""
    published = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(token, key, algorithms=["RS256"], issuer=JWT_ISSUER, audience=JWT_AUDIENCE)
    return claims


async def test_a_token_from_http_is_verified_by_the_published_key(http: httpx.AsyncClient) -> None:
    wanted = {"sub": str(ADA), "roles": ["creator", "backer"], "lifetime_seconds": 60}

    answer = (await http.post("/token", json=wanted)).raise_for_status().json()

    claims = await verified(answer["access_token"], http)
    assert claims["sub"] == str(ADA)
    assert claims["roles"] == ["creator", "backer"]
    now = time.time()
    assert set(claims) == {"iss", "aud", "sub", "roles", "iat", "nbf", "exp"}
    assert now + 50 < float(str(claims["exp"])) <= now + 60
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 60)


async def test_a_token_minted_here_is_the_same_as_one_from_the_address(issuer: Issuer, http: httpx.AsyncClient) -> None:
    assert (await verified(issuer.mint(ADA, ["operator"]), http))["roles"] == ["operator"]


async def test_a_negative_lifetime_makes_an_expired_token(issuer: Issuer, http: httpx.AsyncClient) -> None:
    with pytest.raises(jwt.ExpiredSignatureError):
        await verified(issuer.mint(ADA, ["backer"], lifetime_seconds=-1), http)


async def test_after_a_rotation_both_keys_are_published_and_the_new_one_signs(
    issuer: Issuer, http: httpx.AsyncClient
) -> None:
    before = issuer.mint(ADA, ["backer"])

    issuer.rotate()

    after = issuer.mint(ADA, ["backer"])
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert (await verified(before, http))["sub"] == str(ADA)
    assert (await verified(after, http))["sub"] == str(ADA)


async def test_a_retired_key_is_not_published_any_more(issuer: Issuer, http: httpx.AsyncClient) -> None:
    before = issuer.mint(ADA, ["backer"])
    issuer.rotate()

    issuer.retire()

    with pytest.raises(KeyError):
        await verified(before, http)


async def test_only_the_public_half_is_published(http: httpx.AsyncClient) -> None:
    [key] = (await http.get("/.well-known/jwks.json")).json()["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "alg", "use"}


def test_keys_are_readable_by_their_owner_only(tmp_path: Path, issuer: Issuer) -> None:
    [key] = issuer.keys()
    assert key.path.stat().st_mode & 0o777 == 0o600


def test_two_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        issuers = list(pool.map(lambda _: Issuer(tmp_path / "shared"), range(8)))

    assert {issuer.keys()[-1].kid for issuer in issuers} == {issuers[0].keys()[0].kid}


@pytest.mark.parametrize(
    "wanted",
    [
        {"sub": "ada", "roles": ["backer"]},
        {"sub": str(ADA), "roles": []},
        {"sub": str(ADA), "roles": ["admin"]},
        {"sub": str(ADA), "roles": ["backer"], "lifetime_seconds": 10**9},
        {"sub": str(ADA), "roles": ["backer"], "iss": "somebody-else"},
    ],
)
async def test_a_request_that_makes_no_sense_gets_no_token(http: httpx.AsyncClient, wanted: dict[str, object]) -> None:
    assert (await http.post("/token", json=wanted)).status_code == 422


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_loopback_addresses_are_accepted(host: str) -> None:
    check_loopback(host, in_container=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "issuer.example.org", ""])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(NotLoopbackError, match="loopback only"):
        check_loopback(host, in_container=False)


def test_the_program_does_not_start_on_an_address_that_others_can_reach(tmp_path: Path) -> None:
    [port] = free_ports(1)
    env = {"ISSUER_HTTP_HOST": "0.0.0.0", "ISSUER_HTTP_PORT": str(port), "ISSUER_DIRECTORY": str(tmp_path / "keys")}
    with open_run("issuer", tmp_path) as run:
        process = run.process("issuer", ["python", "-m", "deploy.local.issuer"], env, f"http://127.0.0.1:{port}/docs")
        with pytest.raises(ProcessFailedError, match="loopback only"):
            process.start()
