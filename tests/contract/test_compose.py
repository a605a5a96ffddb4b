"""The compose file and its image, as far as they can be checked without an engine: in step with the native run."""

import importlib
import json
import re
import subprocess
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy import compose, topology
from deploy.gateway.routes import routes
from deploy.local import postgres
from deploy.local.bootstrap import uv
from deploy.local.provision import MIGRATOR, broker_definitions, database_sql
from deploy.topology import NAMESPACE, SERVICES, Part
from eventing.metrics import Metrics
from eventing.settings import PREFIX, ServiceSettings
from payment.metrics import CaseMetrics

ROOT = compose.ROOT
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+):-([^}]*)\}")
COMMITTED: dict[str, Any] = yaml.safe_load(compose.COMPOSE_FILE.read_text())
CONTAINERS: dict[str, Any] = COMMITTED["services"]
OURS = [name for name, container in CONTAINERS.items() if "build" in container]
PACKAGES = sorted(path.parent for path in ROOT.glob("*/**/pyproject.toml") if ".venv" not in path.parts)


def interpolated(text: str) -> str:
    """What compose makes of a text without a `.env` file."""
    return VARIABLE.sub(lambda match: match[2], text).replace("$$", "$")


def settings_of(service: Part) -> type[ServiceSettings]:
    """The settings class of a service; of one that has no app yet, what all have in common."""
    if find_spec(f"{service.name}.app") is None:
        return ServiceSettings
    classes = vars(importlib.import_module(f"{service.name}.app")).values()
    [found] = {each for each in classes if isinstance(each, type) and getattr(each, "service", "") == service.name}
    assert issubclass(found, ServiceSettings)
    return found


class TestFiles:
    def test_the_committed_compose_file_is_what_the_topology_gives(self) -> None:
        assert compose.COMPOSE_FILE.read_text() == compose.compose_text(), "run: python -m deploy.compose"

    def test_the_committed_example_of_a_dot_env_is_too(self) -> None:
        assert compose.EXAMPLE_FILE.read_text() == compose.example_text(), "run: python -m deploy.compose"

    def test_no_container_gives_tokens_to_whoever_opens_its_api_page(self) -> None:
        assert "API_PAGE_TOKENS" not in compose.COMPOSE_FILE.read_text() + compose.EXAMPLE_FILE.read_text()

    def test_the_file_reads_back_as_what_was_written(self) -> None:
        assert compose.compose() == COMMITTED

    def test_every_variable_has_the_default_that_the_example_shows(self) -> None:
        text = compose.COMPOSE_FILE.read_text()
        example = dict(line.split("=", 1) for line in compose.EXAMPLE_FILE.read_text().splitlines() if "=" in line)
        used = dict(VARIABLE.findall(text))

        assert used == example
        assert len(re.findall(r"(?<!\$)(?:\$\$)*\$(?!\$)", text)) == len(VARIABLE.findall(text))

    def test_no_password_stands_outside_of_a_variable(self) -> None:
        without_variables = VARIABLE.sub("", compose.COMPOSE_FILE.read_text())
        for name, value in compose.VARIABLES.items():
            if re.search("PASSWORD|SECRET|KEY", name):
                assert value not in without_variables, name


class TestContainers:
    def test_whoever_is_waited_for_exists_and_can_come_to_that_condition(self) -> None:
        for name, container in CONTAINERS.items():
            for other, wait in container.get("depends_on", {}).items():
                awaited = CONTAINERS[other]
                match wait["condition"]:
                    case "service_healthy":
                        assert "healthcheck" in awaited, (name, other)
                    case "service_completed_successfully":
                        assert awaited["restart"] == "no", (name, other)
                    case condition:
                        assert condition == "service_started"

    def test_nobody_waits_in_a_circle(self) -> None:
        left = {name: set(container.get("depends_on", {})) for name, container in CONTAINERS.items()}
        while left:
            free = {name for name, needs in left.items() if not needs}
            assert free, f"each of these waits for another of them: {sorted(left)}"
            left = {name: needs - free for name, needs in left.items() if name not in free}

    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
    def test_a_service_starts_after_its_migration_and_all_that_it_needs(self, service: Part) -> None:
        waits = {other: wait["condition"] for other, wait in CONTAINERS[service.name]["depends_on"].items()}

        assert waits[f"{service.name}-migrate"] == "service_completed_successfully"
        assert {other for other, condition in waits.items() if condition == "service_healthy"} == set(service.needs)

    def test_ports_are_open_on_loopback_only(self) -> None:
        ports = [port for container in CONTAINERS.values() for port in container.get("ports", [])]
        assert len(ports) >= 4
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == []

    def test_every_volume_and_config_that_is_used_is_declared(self) -> None:
        volumes = {each.split(":")[0] for container in CONTAINERS.values() for each in container.get("volumes", [])}
        configs = {each["source"] for container in CONTAINERS.values() for each in container.get("configs", [])}

        assert {name for name in volumes if not name.startswith("./")} == set(COMMITTED["volumes"])
        assert configs == set(COMMITTED["configs"])
        assert all((ROOT / name).is_dir() for name in volumes if name.startswith("./"))

    @pytest.mark.parametrize("name", OURS)
    def test_our_own_containers_have_no_rights_that_they_do_not_need(self, name: str) -> None:
        container = CONTAINERS[name]

        assert (container["cap_drop"], container["read_only"]) == (["ALL"], True)
        assert "no-new-privileges:true" in container["security_opt"]
        assert not {"user", "privileged", "cap_add", "network_mode", "pid"} & set(container)


class TestSettings:
    @pytest.mark.parametrize("step", ["", "-migrate"])
    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
    def test_a_service_finds_every_setting_that_it_requires(
        self, service: Part, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = CONTAINERS[f"{service.name}{step}"]["environment"]
        for name, value in given.items():
            monkeypatch.setenv(name, interpolated(value))

        loaded = settings_of(service)()

        known = {f"{PREFIX}{field}".upper() for field in type(loaded).model_fields}
        if settings_of(service) is not ServiceSettings:
            assert set(given) <= known, "the topology sets what the service does not know"
        assert (loaded.http_host, loaded.http_port) == ("0.0.0.0", topology.HTTP_PORT)

    def test_only_migrations_use_the_account_that_may_declare_every_queue(self) -> None:
        users = {
            name: interpolated(container["environment"]["GROUNDSWELL_BROKER_URL"]).split("/")[2].split(":")[0]
            for name, container in CONTAINERS.items()
            if "GROUNDSWELL_BROKER_URL" in container.get("environment", {})
        }
        expected = {service.name: f"{NAMESPACE}_{service.name}" for service in SERVICES}
        expected |= {f"{service.name}-migrate": f"{NAMESPACE}_{MIGRATOR}" for service in SERVICES}

        assert users == expected

    def test_the_database_server_runs_with_the_settings_of_the_native_run(self) -> None:
        command = CONTAINERS["postgres"]["command"]
        assert dict(word.split("=") for word in command if "=" in word) == postgres.SETTINGS

    def test_roles_and_rights_in_the_database_are_those_of_the_native_run(self) -> None:
        passwords = {name: compose.VARIABLES[f"{name.upper()}_PASSWORD"] for name in compose.ACCOUNTS}
        script = interpolated(COMMITTED["configs"]["database.sql"]["content"])

        assert script == database_sql(NAMESPACE, passwords)

    def test_users_and_rights_at_the_broker_are_those_of_the_native_run(self) -> None:
        loaded = json.loads(interpolated(COMMITTED["configs"]["broker.json"]["content"]))
        native = broker_definitions(NAMESPACE, dict.fromkeys(compose.ACCOUNTS, ""))

        assert loaded | {"users": []} == native | {"users": []}
        assert [user["name"] for user in loaded["users"]] == [user["name"] for user in native["users"]]
        addresses = [str(container.get("environment", {})) for container in CONTAINERS.values()]
        for user in loaded["users"]:
            assert f"amqp://{user['name']}:{user['password']}@" in interpolated("".join(addresses))


class TestGateway:
    def test_every_upstream_is_a_container_that_listens_there(self) -> None:
        upstreams = set(re.findall(r"\{\$(\w+):([\w-]+):(\d+)\}", routes()))
        given = CONTAINERS["gateway"]["environment"]

        assert {variable for variable, _, _ in upstreams} == {service.upstream_variable for service in SERVICES}
        for variable, host, port in upstreams:
            assert CONTAINERS[host]["environment"]["GROUNDSWELL_HTTP_PORT"] == port
            assert given[variable] == f"{host}:{port}"


class TestImage:
    DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()

    def test_every_target_is_a_stage_and_none_runs_as_root(self) -> None:
        base_by_stage = {stage: base for base, stage in re.findall(r"(?m)^FROM (\S+) AS (\S+)$", self.DOCKERFILE)}
        targets = {CONTAINERS[name]["build"]["target"] for name in OURS}

        assert targets == {"services", "development"}
        assert targets <= set(base_by_stage)
        assert base_by_stage["development"] == "services", "which says who it runs as"
        assert re.findall(r"^USER (\S+)$", self.DOCKERFILE, re.MULTILINE) == ["10001:10001"]

    def test_all_that_is_copied_in_exists_and_is_not_ignored(self) -> None:
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", self.DOCKERFILE, re.MULTILINE)
        allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        names = {name for line in copied for name in line.split() if name != "."}

        assert names <= allowed
        assert [name for name in allowed if not (ROOT / name).exists()] == []
        assert {path.relative_to(ROOT).parts[0] for path in PACKAGES} <= allowed

    @pytest.mark.parametrize("name", OURS)
    def test_every_command_is_a_script_of_a_package_or_a_module_of_ours(self, name: str) -> None:
        program, *arguments = CONTAINERS[name]["command"]
        scripts: set[str] = set()
        for package in PACKAGES:
            scripts |= set(tomllib.loads((package / "pyproject.toml").read_text())["project"].get("scripts", {}))

        if program == "python":
            assert arguments[0] == "-m"
            assert find_spec(arguments[1]) is not None
        else:
            assert program in scripts

    def test_the_wheels_hold_every_file_that_the_packages_need(self, tmp_path: Path) -> None:
        built = subprocess.run(
            [uv(), "build", "--all-packages", "--wheel", "--quiet", "--out-dir", tmp_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        held = {name for wheel in tmp_path.glob("*.whl") for name in zipfile.ZipFile(wheel).namelist()}

        assert needed_files() - held == set()


def needed_files() -> set[str]:
    """What is under version control or about to be, in the packages, by its name in a wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *map(str, PACKAGES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    needed = set()
    for path in map(Path, listed):
        [package] = [each for each in PACKAGES if (ROOT / path).is_relative_to(each)]
        if path.suffix in {".py", ".sql", ".j2", ".html"} and (ROOT / path).exists():
            needed.add(f"{package.name}/{(ROOT / path).relative_to(package)}")
    return needed


class TestAlerts:
    def test_every_metric_that_an_alert_asks_for_exists(self) -> None:
        registry = CollectorRegistry()
        Metrics(registry)
        CaseMetrics(registry)
        names = {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in registry.collect()}
        rules = yaml.safe_load((ROOT / "deploy/observability/alerts.yml").read_text())
        asked = set()
        for group in rules["groups"]:
            for rule in group["rules"]:
                asked |= set(re.findall(r"groundswell_\w+", rule["expr"]))

        assert asked
        assert asked <= names

    def test_every_service_is_scraped_where_it_listens(self) -> None:
        [job] = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())["scrape_configs"]
        [found] = job["dns_sd_configs"]

        assert set(found["names"]) == {service.name for service in SERVICES}
        assert found["port"] == topology.HTTP_PORT
