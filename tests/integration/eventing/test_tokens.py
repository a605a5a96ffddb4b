"""Bearer tokens against a real issuer that rotates, withdraws and goes away (DOMAIN H2)."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter

from contracts.ids import PersonId
from eventing import tokens
from eventing.http import build_app
from eventing.refusal import Unavailable
from eventing.tokens import Principal, Role, TokenVerifier, Unauthenticated, public, require
from tests.integration.eventing.shell import AUDIENCE, ISSUER, Issuer, client, serving, settings

PERSON = uuid.UUID("0190f2c4-0000-7000-8000-000000000001")


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def address(issuer: Issuer) -> AsyncIterator[str]:
    async with serving(issuer.app) as opened:
        yield opened


@pytest.fixture
def verifier(address: str, clock: Clock) -> TokenVerifier:
    return verifier_of(address, clock)


def verifier_of(address: str, clock: Clock) -> TokenVerifier:
    return TokenVerifier(jwks_url=f"{address}/jwks.json", issuer=ISSUER, audience=AUDIENCE, monotonic=clock)


class TestGoodToken:
    async def test_gives_person_and_known_roles(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        token = issuer.token(sub=str(PERSON), roles=["creator", "backer", "astronaut"])
        expected = Principal(PersonId(PERSON), frozenset({Role.CREATOR, Role.BACKER}))
        assert await verifier.verify(token) == expected

    @pytest.mark.parametrize(
        "key",
        [
            ec.generate_private_key(ec.SECP256R1()),
            ed25519.Ed25519PrivateKey.generate(),
            rsa.generate_private_key(65_537, 2_048),
        ],
        ids=["ES256", "EdDSA", "RS256"],
    )
    async def test_may_be_signed_by_each_allowed_algorithm(
        self, issuer: Issuer, verifier: TokenVerifier, key: Any
    ) -> None:
        issuer.keys["other"] = key
        assert (await verifier.verify(issuer.token("other"))).roles == {Role.BACKER}

    async def test_a_clock_a_little_ahead_is_forgiven(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        assert (await verifier.verify(issuer.token(iat=int(time.time()) + 5, nbf=int(time.time()) + 5))).roles == {
            Role.BACKER
        }

    async def test_is_checked_once_and_then_remembered(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        token = issuer.token()
        first = await verifier.verify(token)
        assert await verifier.verify(token) is first

    async def test_no_more_than_so_many_are_remembered(
        self, issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tokens, "CACHE_MAX", 2)
        oldest, *others = (issuer.token(sub=str(uuid.uuid4())) for _ in range(3))
        first = await verifier.verify(oldest)
        for token in others:
            await verifier.verify(token)
        again = await verifier.verify(oldest)
        assert again == first
        assert again is not first


class TestBadToken:
    @pytest.mark.parametrize(
        "changed",
        [
            {"exp": int(time.time()) - 60},
            {"nbf": int(time.time()) + 3600},
            {"iat": int(time.time()) + 3600},
            {"iss": "https://somebody.else"},
            {"aud": "another platform"},
            {"sub": "not-a-uuid"},
            {"sub": 7},
            {"roles": "backer"},
            {"roles": None},
            {"exp": "soon"},
            {"exp": 10**400},
            {"without": "exp"},
            {"without": "iss"},
            {"without": "aud"},
            {"without": "sub"},
            {"without": "roles"},
            {"kid_shown": 7},
            {"kid_shown": "unknown"},
        ],
        ids="-".join,  # without the values: those that are times differ from run to run
    )
    async def test_is_refused(self, issuer: Issuer, verifier: TokenVerifier, changed: dict[str, Any]) -> None:
        try:
            token = issuer.token(**changed)
        except (TypeError, jwt.PyJWTError):  # what the library will not sign, we sign by hand
            token = signed_by_hand(issuer, changed)
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 9_000, "e30.e30.e30"])
    async def test_that_is_no_token_is_refused(self, verifier: TokenVerifier, token: str) -> None:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)

    async def test_without_signature_is_refused(self, verifier: TokenVerifier) -> None:
        with pytest.raises(Unauthenticated):
            await verifier.verify(unsigned({"alg": "none", "kid": "first"}, claims()) + ".")

    async def test_signed_with_the_public_key_as_secret_is_refused(
        self, issuer: Issuer, verifier: TokenVerifier
    ) -> None:
        public_key = issuer.keys["first"].public_key()
        secret = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(Unauthenticated):
            await verifier.verify(hmac_token(secret))

    async def test_signed_by_a_published_secret_is_refused(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        secret = b"k" * 32
        issuer.extra = [{"kty": "oct", "kid": "first", "alg": "HS256", "k": encoded(secret)}]
        issuer.keys.clear()
        with pytest.raises(Unauthenticated):
            await verifier.verify(hmac_token(secret))

    async def test_signed_by_another_key_of_the_same_id_is_refused(
        self, issuer: Issuer, verifier: TokenVerifier
    ) -> None:
        forger = Issuer()
        with pytest.raises(Unauthenticated):
            await verifier.verify(forger.token())

    async def test_signed_by_a_weak_key_is_refused(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        issuer.keys["weak"] = rsa.generate_private_key(65_537, 1_024)
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.token("weak"))


class TestKeys:
    async def test_a_new_key_works_without_restart(self, issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
        await verifier.verify(issuer.token())
        issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
        clock.seconds += tokens.FETCH_INTERVAL_SECONDS
        assert (await verifier.verify(issuer.token("second"))).roles == {Role.BACKER}

    async def test_made_up_key_ids_do_not_hammer_the_issuer(self, issuer: Issuer, verifier: TokenVerifier) -> None:
        for number in range(50):
            with pytest.raises(Unauthenticated):
                await verifier.verify(issuer.token(kid_shown=f"made-up-{number}"))
        assert issuer.fetched == 1

    async def test_a_withdrawn_key_is_refused_once_the_keys_are_old(
        self, issuer: Issuer, verifier: TokenVerifier, clock: Clock
    ) -> None:
        withdrawn = [issuer.token(sub=str(uuid.uuid4())) for _ in range(100)]
        await verifier.verify(withdrawn.pop())
        issuer.keys = {"second": ec.generate_private_key(ec.SECP256R1())}
        clock.seconds += tokens.KEYS_FRESH_SECONDS + 1
        await verifier.verify(withdrawn.pop())  # still good: the renewal that it starts goes on behind it
        await verifier.verify(issuer.token("second"))  # waits for that renewal
        with pytest.raises(Unauthenticated):
            await verifier.verify(withdrawn.pop())

    async def test_with_the_issuer_away_its_keys_still_serve_for_a_day(self, issuer: Issuer, clock: Clock) -> None:
        async with serving(issuer.app) as address:
            verifier = verifier_of(address, clock)
            await verifier.verify(issuer.token())
        clock.seconds += tokens.KEYS_STALE_SECONDS - 1
        assert (await verifier.verify(issuer.token(sub=str(PERSON)))).roles == {Role.BACKER}
        clock.seconds += 2
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token(sub=str(uuid.uuid4())))

    async def test_with_no_keys_at_all_it_cannot_be_known(self, issuer: Issuer, clock: Clock) -> None:
        verifier = verifier_of("http://127.0.0.1:1", clock)
        with pytest.raises(Unavailable) as caught:
            await verifier.verify(issuer.token())
        assert caught.value.retry_after_seconds > 0

    @pytest.mark.parametrize("entry", [{}, {"kty": "EC", "crv": "P-256"}, {"kty": "RSA", "kid": "x", "n": "!"}, 7])
    async def test_one_that_cannot_be_used_does_not_spoil_the_others(
        self, issuer: Issuer, verifier: TokenVerifier, entry: Any
    ) -> None:
        issuer.extra = [entry]
        assert (await verifier.verify(issuer.token())).roles == {Role.BACKER}


class TestRoute:
    async def test_lets_in_by_role_and_says_no_in_problem_documents(self, issuer: Issuer, address: str) -> None:
        async with client(guarded(address)) as http:

            async def status(path: str, authorization: str = "") -> int:
                response = await http.get(path, headers={"Authorization": authorization})
                if response.status_code != 200:
                    assert response.headers["content-type"] == "application/problem+json"
                assert (response.status_code == 401) == ("www-authenticate" in response.headers)
                return response.status_code

            backer, nobody = f"Bearer {issuer.token()}", f"bearer {issuer.token(roles=[])}"
            assert [await status(p) for p in ("/open", "/anybody", "/backers", "/creators")] == [200, 401, 401, 401]
            assert [await status(p, backer) for p in ("/anybody", "/backers", "/creators")] == [200, 200, 403]
            assert [await status(p, nobody) for p in ("/anybody", "/backers")] == [200, 403]
            assert [await status("/anybody", a) for a in ("Basic eDp5", "Bearer", "Bearer x")] == [401, 401, 401]

    async def test_with_the_issuer_away_says_try_again(self, issuer: Issuer) -> None:
        async with client(guarded("http://127.0.0.1:1")) as http:
            response = await http.get("/anybody", headers={"Authorization": f"Bearer {issuer.token()}"})
        assert response.status_code == 503
        assert response.headers["retry-after"]


def guarded(address: str) -> Any:
    router = APIRouter()

    async def person(principal: Annotated[Principal, require()]) -> uuid.UUID:
        return principal.person_id

    async def nothing() -> None: ...

    router.get("/open", dependencies=[public()])(nothing)
    router.get("/anybody")(person)
    router.get("/backers", dependencies=[require(Role.BACKER, Role.OPERATOR)])(nothing)
    router.get("/creators", dependencies=[require(Role.CREATOR)])(nothing)
    return build_app(settings(jwks_url=f"{address}/jwks.json"), title="t", version="1", routers=[router])


def claims() -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": str(PERSON), "roles": ["operator"], "exp": now + 60}


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], payload: dict[str, Any]) -> str:
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, payload))


def hmac_token(secret: bytes) -> str:
    text = unsigned({"alg": "HS256", "kid": "first"}, claims())
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def signed_by_hand(issuer: Issuer, changed: dict[str, Any]) -> str:
    header = {"alg": "ES256", "kid": changed.pop("kid_shown", "first")}
    text = unsigned(header, claims() | changed)
    signature = jwt.get_algorithm_by_name("ES256").sign(text.encode(), issuer.keys["first"])
    return f"{text}.{encoded(signature)}"
