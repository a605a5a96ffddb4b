"""Settings come from the environment, say what is wrong with them and never show a secret."""

import pytest

from eventing import settings
from eventing.settings import ServiceSettings, SettingsError, load, markdown

GOOD = {
    "GROUNDSWELL_DATABASE_URL": "postgresql://pledge:zq-secret@db:5432/groundswell",
    "GROUNDSWELL_BROKER_URL": "amqps://pledge:zq-secret@broker/groundswell",
    "GROUNDSWELL_JWKS_URL": "https://issuer.example/jwks.json",
    "GROUNDSWELL_JWT_ISSUER": "https://issuer.example",
    "GROUNDSWELL_JWT_AUDIENCE": "groundswell",
}


class Tiny(ServiceSettings):
    service = "tiny"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


class TestLoad:
    def test_reads_the_environment(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("GROUNDSWELL_HTTP_PORT", "8123")
        environment.setenv("GROUNDSWELL_LOG_LEVEL", "debug")
        loaded = load(Tiny)
        assert loaded.database_url.get_secret_value() == GOOD["GROUNDSWELL_DATABASE_URL"]
        assert (loaded.http_port, loaded.log_level) == (8123, "DEBUG")

    def test_an_empty_variable_counts_as_absent(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("GROUNDSWELL_OTLP_ENDPOINT", "")
        assert load(Tiny).otlp_endpoint is None

    def test_shows_no_secret(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("GROUNDSWELL_API_PAGE_TOKENS", '{"creator": "zq-secret"}')
        loaded = load(Tiny)
        assert "zq-secret" not in f"{loaded!r} {loaded} {loaded.model_dump()} {loaded.model_dump_json()}"

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "pledge"])
    def test_tokens_for_the_api_page_go_with_loopback_only(self, environment: pytest.MonkeyPatch, host: str) -> None:
        environment.setenv("GROUNDSWELL_API_PAGE_TOKENS", '{"creator": "zq-secret"}')
        assert load(Tiny).api_page_tokens["creator"].get_secret_value() == "zq-secret"
        environment.setenv("GROUNDSWELL_HTTP_HOST", host)
        with pytest.raises(SettingsError) as caught:
            load(Tiny)
        assert str(caught.value) == "Tiny: GROUNDSWELL_API_PAGE_TOKENS gives tokens away: it goes with loopback only"

    @pytest.mark.parametrize(
        ("variable", "value", "reason"),
        [
            ("GROUNDSWELL_DATABASE_URL", "zq", "expected postgresql:// or postgres:// with a host"),
            ("GROUNDSWELL_DATABASE_URL", "postgresql:///zq", "expected postgresql:// or postgres:// with a host"),
            ("GROUNDSWELL_DATABASE_URL", "postgresql://h:zq/db", "expected postgresql:// or postgres:// with a host"),
            ("GROUNDSWELL_BROKER_URL", "http://zq", "expected amqp:// or amqps:// with a host"),
            ("GROUNDSWELL_JWKS_URL", "file:///zq", "expected http:// or https:// with a host"),
            ("GROUNDSWELL_HTTP_PORT", "70000", "Input should be less than or equal to 65535"),
            ("GROUNDSWELL_JWT_AUDIENCE", None, "is missing"),
            ("GROUNDSWELL_API_PAGE_TOKENS", "zq", "Invalid JSON: expected value at line 1 column 1"),
        ],
    )
    def test_names_the_variable_and_the_reason_but_not_the_value(
        self, environment: pytest.MonkeyPatch, variable: str, value: str | None, reason: str
    ) -> None:
        if value is None:
            environment.delenv(variable)
        else:
            environment.setenv(variable, value)
        with pytest.raises(SettingsError) as caught:
            load(Tiny)
        assert str(caught.value) == f"{variable}: {reason}"

    def test_tells_all_that_is_wrong_at_once(self, environment: pytest.MonkeyPatch) -> None:
        environment.delenv("GROUNDSWELL_JWKS_URL")
        environment.setenv("GROUNDSWELL_LOG_LEVEL", "loud")
        with pytest.raises(SettingsError) as caught:
            load(Tiny)
        assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
            "GROUNDSWELL_JWKS_URL",
            "GROUNDSWELL_LOG_LEVEL",
        ]


class TestReference:
    def test_every_setting_has_a_row_with_default_and_meaning(self) -> None:
        rows = markdown(Tiny).splitlines()[2:]
        assert len(rows) == len(Tiny.model_fields)
        assert all(all(cell.strip() for cell in row.strip("|").split(" | ")) for row in rows)
        assert "| `GROUNDSWELL_HTTP_PORT` | `8000` | Port to listen on |" in rows
        assert any(row.startswith("| `GROUNDSWELL_DATABASE_URL` | required | ") for row in rows)

    def test_the_page_lists_the_named_classes(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings.main([f"{__name__}:Tiny"])
        page = capsys.readouterr().out
        assert page.startswith("# Settings\n")
        assert f"## tiny\n\n{markdown(Tiny)}\n" in page
