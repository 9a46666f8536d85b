"""The local server's issuer: its tokens are taken by the way that every issuer's are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from chalicelib.errors import Unauthenticated
from chalicelib.security.principals import Principal
from chalicelib.security.tokens import TokenVerifier, token_verifier
from chalicelib.settings import Settings
from infra.local.answers import json_answer
from infra.local.issuer import A_YEAR, HALF_A_DAY, LocalIssuer
from infra.local.server import LocalServer, listen
from tests.support.clock import START, Clock
from tests.support.processes import make_run
from tests.support.tokens import Issuer, decoded

ROOT = Path(__file__).parents[2]
USER = frozenset({"user"})


class NoApi:
    """Nothing stands behind the API: a token is not its business."""

    def handle(self, *_: Any) -> Any:
        return json_answer(200, {})


class Running(httpx.Client):
    """A client of a local server with an issuer, and the verifier of a function beside it."""

    def __init__(self, url: str, environment: Mapping[str, str], clock: Clock) -> None:
        super().__init__(base_url=f"{url}/_local", timeout=10, trust_env=False)
        self.environment = environment
        self.clock = clock
        self.verifier = self.new_verifier()

    def new_verifier(self) -> TokenVerifier:
        return token_verifier(Settings.from_environment(self.environment), self.clock)

    def token(self, **body: Any) -> str:
        answer = self.post("/token", json=body)
        assert answer.status_code == 200, answer.text
        (token,) = answer.json().values()
        return str(token)

    def principal(self, **body: Any) -> Principal | None:
        return self.verifier.verify(f"Bearer {self.token(**body)}")


@contextmanager
def running(**claims: str) -> Iterator[Running]:
    clock = Clock()
    names = {"tenant_claim": "tenant", "roles_claim": "roles", **claims}
    listener = listen(0)
    issuer = LocalIssuer(
        f"http://127.0.0.1:{listener.getsockname()[1]}", **names, now=lambda: clock() / 1000
    )
    environment = {
        **issuer.environment,
        "JWT_TENANT_CLAIM": names["tenant_claim"],
        "JWT_ROLES_CLAIM": names["roles_claim"],
    }
    nowhere = Path("/nonexistent")
    with (
        LocalServer(NoApi(), nowhere, {}, local=issuer.endpoints, listener=listener) as server,
        Running(server.url, environment, clock) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def local() -> Iterator[Running]:
    with running() as client:
        yield client


class TestTokens:
    def test_a_token_is_taken(self, local: Running) -> None:
        assert local.principal(user="ada") == Principal("ada", None, USER)
        assert local.principal(user="ada", tenant="harbour", roles=["admin"]) == Principal(
            "ada", "harbour", USER | {"admin"}
        )

    def test_null_is_the_same_as_not_there(self, local: Running) -> None:
        principal = local.principal(user="ada", tenant=None, roles=None, expiresIn=None)
        assert principal == Principal("ada", None, USER)

    @pytest.mark.parametrize("name", ["Ädä 🌊", "a" * 255, "auth0|5f"])
    def test_names_are_kept(self, local: Running, name: str) -> None:
        assert local.principal(user=name, tenant=name) == Principal(name, name, USER)

    def test_it_is_good_for_half_a_day(self) -> None:
        with running() as local:
            token = f"Bearer {local.token(user='ada')}"
            local.clock.advance(HALF_A_DAY * 1000 - 1)
            assert local.verifier.verify(token)
            local.clock.advance(1)
            with pytest.raises(Unauthenticated):
                local.verifier.verify(token)

    @pytest.mark.parametrize("seconds", [1, 60, A_YEAR])
    def test_or_for_as_long_as_was_asked(self, local: Running, seconds: int) -> None:
        claims = json.loads(decoded(local.token(user="ada", expiresIn=seconds).split(".")[1]))
        assert claims["exp"] - claims["iat"] == seconds
        assert claims["iat"] == START // 1000

    def test_claims_have_the_names_that_the_function_looks_for(self) -> None:
        names = {"tenant_claim": "https://a.test/tenant", "roles_claim": "cognito:groups"}
        with running(**names) as local:
            principal = local.principal(user="ada", tenant="harbour", roles=["analyst"])
            assert principal == Principal("ada", "harbour", USER | {"analyst"})

    def test_a_claim_cannot_take_the_place_of_the_user(self) -> None:
        with running(tenant_claim="sub") as local:
            principal = local.principal(user="ada", tenant="eve")
            assert principal is not None
            assert principal.user == "ada"

    def test_the_answer_is_not_kept_by_anybody(self, local: Running) -> None:
        answer = local.post("/token", json={"user": "ada"})
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_content_type_is_not_asked_for(self, local: Running) -> None:
        assert local.post("/token", content=b'{"user": "ada"}').status_code == 200


class TestKeys:
    def test_only_the_public_part_is_published(self, local: Running) -> None:
        answer = local.get("/jwks.json")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        (key,) = answer.json()["keys"]
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["crv"], key["use"], key["alg"]) == ("P-256", "sig", "ES256")

    def test_the_next_server_has_another_key(self, local: Running) -> None:
        with running() as other:
            assert local.get("/jwks.json").json() != other.get("/jwks.json").json()
            with pytest.raises(Unauthenticated):
                local.verifier.verify(f"Bearer {other.token(user='ada')}")

    def test_another_issuers_token_is_refused(self, local: Running) -> None:
        impostor = Issuer(
            local.clock,
            url=local.environment["JWT_ISSUER"],
            audience=local.environment["JWT_AUDIENCE"],
        )
        with pytest.raises(Unauthenticated):
            local.verifier.verify(f"Bearer {impostor.token('ada')}")


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "The body is not valid JSON."),
    "no JSON": (b"user=ada", "The body is not valid JSON."),
    "no text": (b"\xff", "The body is not UTF-8."),
    "a list": (b'["ada"]', 'The body must be an object like {"user": "ada", "tenant": "harbour"}.'),
    "user twice": (b'{"user": "a", "user": "b"}', "An object names a member twice."),
    "no user": (b"{}", "user must be a text of 1 to 255 characters."),
    "user null": (b'{"user": null}', "user must be a text of 1 to 255 characters."),
    "user empty": (b'{"user": ""}', "user must be a text of 1 to 255 characters."),
    "user as a number": (b'{"user": 5}', "user must be a text of 1 to 255 characters."),
    "user too long": (
        json.dumps({"user": "a" * 256}).encode(),
        "user must be a text of 1 to 255 characters.",
    ),
    "tenant empty": (
        b'{"user": "ada", "tenant": ""}',
        "tenant must be a text of 1 to 255 characters.",
    ),
    "roles as text": (
        b'{"user": "ada", "roles": "admin"}',
        "roles must be a list of admin, analyst, user.",
    ),
    "a role that is none": (
        b'{"user": "ada", "roles": ["root"]}',
        "roles must be a list of admin, analyst, user.",
    ),
    "a role that is a list": (
        b'{"user": "ada", "roles": [["admin"]]}',
        "roles must be a list of admin, analyst, user.",
    ),
    "no time": (
        b'{"user": "ada", "expiresIn": 0}',
        f"expiresIn must be a whole number of seconds, 1 to {A_YEAR}.",
    ),
    "too much time": (
        json.dumps({"user": "ada", "expiresIn": A_YEAR + 1}).encode(),
        f"expiresIn must be a whole number of seconds, 1 to {A_YEAR}.",
    ),
    "time true": (
        b'{"user": "ada", "expiresIn": true}',
        f"expiresIn must be a whole number of seconds, 1 to {A_YEAR}.",
    ),
    "half a second": (
        b'{"user": "ada", "expiresIn": 0.5}',
        f"expiresIn must be a whole number of seconds, 1 to {A_YEAR}.",
    ),
    "a slip": (
        b'{"user": "ada", "role": ["admin"]}',
        "'role' is not one of user, tenant, roles, expiresIn.",
    ),
}


class TestRefused:
    @pytest.mark.parametrize(("body", "detail"), BAD.values(), ids=BAD)
    def test_a_bad_body_is_told_what_is_wrong(
        self, local: Running, body: bytes, detail: str
    ) -> None:
        answer = local.post("/token", content=body)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"] == detail

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
    def test_tokens_are_posted_for(self, local: Running, method: str) -> None:
        answer = local.request(method, "/token")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_keys_are_got(self, local: Running, method: str) -> None:
        answer = local.request(method, "/jwks.json")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")

    @pytest.mark.parametrize("path", ["/token/ada", "/jwks.json/x", "/tokens", "/jwks"])
    def test_there_is_nothing_beside_them(self, local: Running, path: str) -> None:
        assert local.post(path, json={"user": "ada"}).status_code == 404
        assert local.get(path).status_code == 404


class Stepwell(httpx.Client):
    """`make run`, as a process of its own."""

    def user_of(self, headers: Mapping[str, str]) -> int:
        """Give the status of a request that only users may make."""
        return self.get("/api/me/sessions", headers=headers).status_code


@contextmanager
def stepwell(tmp_path: Path, **environ: str) -> Iterator[Stepwell]:
    with (
        make_run(XDG_STATE_HOME=str(tmp_path), **environ) as address,
        Stepwell(base_url=address, timeout=30, trust_env=False) as client,
    ):
        yield client


def test_the_application_takes_them_by_the_real_way(tmp_path: Path) -> None:
    with stepwell(tmp_path, JWT_TENANT_CLAIM="org") as client:
        body = {"user": "ada", "tenant": "harbour"}
        token = client.post("/_local/token", json=body).json()["token"]
        claims = json.loads(decoded(token.split(".")[1]))
        assert (claims["iss"], claims["org"]) == (f"{client.base_url}/_local", "harbour")
        assert client.user_of({"Authorization": f"Bearer {token}"}) == 200
        assert client.user_of({"Authorization": f"Bearer {token[:-4]}AAAA"}) == 401
        assert client.user_of({}) == 401


def test_an_issuer_of_ones_own_takes_its_place(tmp_path: Path) -> None:
    own = {
        "JWT_ISSUER": "https://issuer.test/",
        "JWT_AUDIENCE": "stepwell",
        # Nobody listens there.
        "JWKS_URL": "http://127.0.0.1:1/jwks.json",
    }
    with stepwell(tmp_path, **own) as client:
        assert client.post("/_local/token", json={"user": "ada"}).status_code == 404
        token = Issuer(lambda: START).token("ada")
        assert client.user_of({"Authorization": f"Bearer {token}"}) == 503
