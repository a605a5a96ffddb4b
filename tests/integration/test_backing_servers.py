"""Private servers start from whatever an earlier run left, and never outlive the run that started them."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from deploy.local import private
from deploy.local.clean import clean
from deploy.local.guardian import Started, runs
from deploy.local.postgres import find_postgres
from deploy.local.private import MEMORY, Command, PrivateServer, Recipe, Site, free_ports, reserved_ports
from deploy.local.processes import REPOSITORY, ProcessFailedError, Run, open_run
from deploy.local.redis_server import find_redis
from deploy.local.servers import (
    ADDRESS_VARIABLES,
    KINDS,
    REDIS,
    MissingProgramsError,
    NotOursError,
    backing_servers,
    install_missing,
)

GONE_SECONDS = 40.0  # RabbitMQ takes 6 s to stop on an idle machine.


def wait_for(condition: Callable[[], bool], what: str, seconds: float = GONE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    """These tests need the programs themselves, also where a Docker engine would do for all others."""
    install_missing(KINDS)


@pytest.fixture
def local() -> Iterator[Path]:
    """A `.local` that also the servers' own account can reach, which pytest's directories are not."""
    path = Path(tempfile.mkdtemp(prefix="groundswell-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def recipe(find: Callable[[], Recipe | None]) -> Recipe:
    found = find()
    assert found is not None
    return found


@pytest.fixture
def run(local: Path) -> Iterator[Run]:
    with open_run("test", local) as opened:
        yield opened


def remembered(server: PrivateServer) -> bytes | None:
    with redis.Redis.from_url(server.urls[0]) as client:
        return client.get("key")  # type: ignore[no-any-return] # the client's types cover its async twin too


def remember(server: PrivateServer, value: str) -> None:
    with redis.Redis.from_url(server.urls[0]) as client:
        client.set("key", value)


async def _execute(server: PrivateServer, statement: str) -> None:
    connection = await asyncpg.connect(server.urls[0])
    await connection.execute(statement)
    await connection.close()


class TestInMemory:
    def test_data_outlive_the_server_and_not_the_run(self, local: Path) -> None:
        with open_run("test", local) as run:
            server = PrivateServer(run, recipe(find_postgres), in_memory=True)
            server.wait_ready()
            assert server.site.data.parent == MEMORY
            asyncio.run(_execute(server, "CREATE TABLE kept (it int)"))
            server.kill()
            server.start()
            asyncio.run(_execute(server, "TABLE kept"))
        assert not server.site.data.exists()

    def test_without_room_they_are_on_disk(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(private, "MEMORY_BYTES_MIN", 1 << 60)
        assert PrivateServer(run, recipe(find_redis), in_memory=True).site.data.parent != MEMORY


class TestStart:
    def test_a_taken_port_is_left_alone_and_another_is_used(self, run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            offers = iter([(taken.getsockname()[1],), free_ports(1)])
            server = PrivateServer(run, recipe(find_redis), pick_ports=lambda _: next(offers))
            server.wait_ready()
            assert server.site.ports != (taken.getsockname()[1],)
            assert remembered(server) is None

    def test_a_server_that_fails_shows_its_log(self, run: Run) -> None:
        working = recipe(find_postgres)

        def misconfigured(site: Site) -> Command:
            command = working.prepare(site)
            return replace(command, argv=[*command.argv, "-c", "shared_buffers=plenty"])

        server = PrivateServer(run, replace(working, prepare=misconfigured))
        with pytest.raises(ProcessFailedError, match='invalid value for parameter "shared_buffers": "plenty"'):
            server.wait_ready()

    def test_a_server_that_never_answers_is_given_up_and_shows_its_log(self, run: Run) -> None:
        server = PrivateServer(run, replace(recipe(find_redis), answers=lambda *_: False))
        with pytest.raises(ProcessFailedError, match=r"(?s)not ready after 1 s.*Ready to accept connections"):
            server.wait_ready(seconds=1)

    def test_a_program_that_does_not_exist_is_named(self, run: Run) -> None:
        with pytest.raises(ProcessFailedError, match="no-such-program"):
            run.process("odd", ["no-such-program"], {}).launch()

    def test_a_setting_of_ours_does_not_leak_into_what_we_start(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GROUNDSWELL_LEAK", "yes")
        process = run.process("env", ["env"], {"GROUNDSWELL_OWN": "1"})
        process.launch()
        process.wait_done()
        log = process.log.read_text()
        assert ("GROUNDSWELL_OWN=1" in log, "GROUNDSWELL_LEAK" in log) == (True, False)


class TestReservedPorts:
    def test_go_to_their_server_and_to_no_other_socket(self) -> None:
        with reserved_ports(1) as (port,):
            address = ("127.0.0.1", port)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(address)
            for _ in range(2):  # again after a restart
                with socket.create_server(address), socket.create_connection(address, timeout=1):
                    pass


class TestTakingAway:
    def test_a_stopped_server_comes_back_at_its_address(self, run: Run) -> None:
        server = PrivateServer(run, recipe(find_redis))
        server.wait_ready()
        before = server.urls
        server.stop()
        with pytest.raises(redis.ConnectionError):
            remembered(server)
        server.start()
        assert (server.urls, remembered(server)) == (before, None)

    def test_a_frozen_server_is_silent_and_goes_on_where_it_was(self, run: Run) -> None:
        server = PrivateServer(run, recipe(find_redis))
        server.wait_ready()
        remember(server, "kept")
        server.freeze()
        client = redis.Redis.from_url(server.urls[0], socket_timeout=0.3, retry=None)
        with client, pytest.raises(redis.TimeoutError):
            client.ping()
        server.thaw()
        assert remembered(server) == b"kept"

    def test_a_killed_postgres_keeps_what_it_confirmed(self, run: Run) -> None:
        server = PrivateServer(run, recipe(find_postgres))
        server.wait_ready()
        psql(server, "CREATE TABLE kept AS SELECT 42 AS number")
        server.kill()
        server.start()
        assert psql(server, "SELECT number FROM kept") == "42"


def psql(server: PrivateServer, statement: str) -> str:
    return subprocess.run(
        ["psql", "-XAt", "-c", statement, server.urls[0]], check=True, capture_output=True, text=True
    ).stdout.strip()


class TestStaleData:
    def test_data_are_kept_for_the_next_run(self, local: Path) -> None:
        for statement in ("CREATE TABLE kept (id int)", "SELECT * FROM kept"):
            with open_run("test", local) as run:
                server = PrivateServer(run, recipe(find_postgres))
                server.wait_ready()
                psql(server, statement)

    def test_a_pid_file_that_names_another_program_by_now_is_no_obstacle(self, run: Run) -> None:
        server = PrivateServer(run, recipe(find_postgres))
        server.wait_ready()
        pid_file = next(server.site.data.glob("data-*")) / "postmaster.pid"
        stale = pid_file.read_text()
        server.stop()
        with subprocess.Popen(["sleep", "60"], user=pid_file.parent.owner()) as innocent:
            pid_file.write_text(stale.replace(stale.partition("\n")[0], str(innocent.pid), 1))
            again = PrivateServer(run, recipe(find_postgres))
            again.wait_ready()
            assert innocent.poll() is None
            innocent.kill()

    def test_data_of_which_half_were_made_are_made_again(self, run: Run, local: Path) -> None:
        account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        draft = local / "test" / f"postgres-{account}" / "data-draft"
        draft.mkdir(parents=True)
        (draft / "PG_VERSION").write_text("1")
        server = PrivateServer(run, recipe(find_postgres))
        server.wait_ready()
        assert psql(server, "SELECT 1") == "1"

    def test_a_record_that_names_another_program_by_now_is_forgotten(self, local: Path) -> None:
        with subprocess.Popen(["sleep", "60"]) as innocent:
            records = local / "test" / "started"
            records.mkdir(parents=True)
            stale = Started(innocent.pid, time.time() - 3_600, signal.SIGTERM, 1.0)
            (records / "redis.json").write_text(stale.to_json())
            (records / "half.json").write_text('{"pid": 1')
            with open_run("test", local):
                assert (innocent.poll(), list(records.iterdir())) == (None, [])
            innocent.kill()


class TestTwoRuns:
    def test_at_the_same_time_get_their_own_instances(self, local: Path) -> None:
        with ExitStack() as stack:
            runs = [stack.enter_context(open_run("test", local)) for _ in range(2)]
            servers = [PrivateServer(run, recipe(find_redis)) for run in runs]
            for server, value in zip(servers, ("first", "second"), strict=True):
                server.wait_ready()
                remember(server, value)
            assert [remembered(server) for server in servers] == [b"first", b"second"]
            assert [run.path.name for run in runs] == ["test", "test-2"]


@dataclass(frozen=True)
class Child:
    """A run in a process of its own, with all three servers up."""

    process: subprocess.Popen[str]
    directory: Path
    started: list[psutil.Process]

    @property
    def left(self) -> list[int]:
        return [each.pid for each in self.started if runs(each)]


@dataclass(frozen=True)
class Interpreter:
    """A Python that knows our code, and whom it runs as."""

    program: Path = Path(sys.executable)
    code: Path = REPOSITORY
    user: str | None = None


RUN_SERVERS = """
import pathlib, signal, sys
from deploy.local.private import PrivateServer
from deploy.local.processes import open_run
from deploy.local.servers import KINDS
with open_run("test", pathlib.Path(sys.argv[1])) as run:
    servers = [PrivateServer(run, kind.find()) for kind in KINDS]
    for server in servers:
        server.wait_ready()
    print(run.path, flush=True)
    signal.pause()
"""


@contextmanager
def child_run(local: Path, interpreter: Interpreter) -> Iterator[Child]:
    with subprocess.Popen(
        [interpreter.program, "-c", RUN_SERVERS, str(local)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=interpreter.code,
        env={**os.environ, "PYTHONPATH": str(interpreter.code), "HOME": str(local)},
        user=interpreter.user,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            directory = process.stdout.readline().strip()
            assert directory, "the run did not get ready; what it said stands above"
            child = Child(process, Path(directory), psutil.Process(process.pid).children(recursive=True))
            yield child
        finally:
            process.kill()
        wait_for(lambda: not child.left, "everything ends, and none of it writes any more")


def without_privileges(folder: Path) -> Interpreter:
    """For root: a Python for nobody, with a copy of our code, as both may lie where only root can read."""
    if os.geteuid() != 0:
        return Interpreter()
    code = folder / "code"
    shutil.copytree(sysconfig.get_path("purelib"), code, copy_function=_link, ignore=NOT_NEEDED)
    shutil.copytree(REPOSITORY / "deploy", code / "deploy", ignore=NOT_NEEDED)
    shutil.chown(folder, "nobody")
    return Interpreter(_python_for_nobody(), code, "nobody")


NOT_NEEDED = shutil.ignore_patterns("__pycache__", "*.pyi", "mypy", "stripe")


def _link(source: str, target: str) -> None:
    """A link takes no time and no space, but stays within one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def _python_for_nobody() -> Path:
    """The compiled packages want the same version."""
    question = "import sys; sys.exit(sys.version_info[:2] != ({}, {}))".format(*sys.version_info)
    for program in (Path(sys.executable).resolve(), Path("/usr/local/bin/python3"), Path("/usr/bin/python3")):
        try:
            asked = subprocess.run([program, "-c", question], cwd="/", user="nobody", check=False)
        except OSError:
            continue
        if asked.returncode == 0:
            return program
    raise AssertionError("no Python of this version can be run by nobody")


@pytest.mark.timeout(300)
class TestEnd:
    """With all three servers, since each takes leave in its own way."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_nothing_is_left_however_the_run_ends(self, local: Path, number: signal.Signals) -> None:
        with child_run(local, Interpreter()) as child:
            names = {each.name() for each in child.started}
            assert {"postgres", "beam.smp", "epmd", "redis-server"} <= names
            child.process.send_signal(number)
            wait_for(lambda: not child.left, f"{number.name} ends everything")

    def test_the_next_run_ends_what_even_the_guardian_could_not(self, local: Path) -> None:
        with child_run(local, Interpreter()) as child:
            guardian = next(each for each in child.started if "deploy.local.guardian" in each.cmdline())
            guardian.kill()
            child.process.kill()
            child.process.wait()
            orphans = child.left
            assert orphans
            with open_run("test", local) as run:
                assert (run.path, child.left) == (child.directory, [])
                servers = [PrivateServer(run, recipe(kind.find)) for kind in KINDS]
                for server in servers:
                    server.wait_ready()

    def test_works_without_privileges(self, local: Path) -> None:
        """As a user who can read no more than the code; for root that is nobody, for others it is themselves."""
        with child_run(local, without_privileges(local)) as child:
            owners = {each.username() for each in child.started}
            assert owners == {"nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name}


class TestGiven:
    """Servers named in the environment."""

    def test_are_used_and_never_stopped(self, run: Run, local: Path) -> None:
        ours = [PrivateServer(run, recipe(kind.find)) for kind in KINDS]
        for server in ours:
            server.wait_ready()
        addresses = [url for server in ours for url in server.urls]
        environ = dict(zip(ADDRESS_VARIABLES, addresses, strict=True))
        with backing_servers("given", local=local, environ=environ) as servers:
            assert servers.backing.redis_url == environ["GROUNDSWELL_REDIS_URL"]
            with pytest.raises(NotOursError, match="GROUNDSWELL_REDIS_URL"):
                servers.redis.stop()
        assert remembered(ours[2]) is None

    def test_that_do_not_answer_are_named(self, local: Path) -> None:
        nobody = f"127.0.0.1:{free_ports(1)[0]}"
        environ = {
            "GROUNDSWELL_POSTGRES_URL": f"postgresql://x:x@{nobody}/postgres",
            "GROUNDSWELL_RABBITMQ_URL": f"amqp://x:x@{nobody}/",
            "GROUNDSWELL_RABBITMQ_API_URL": f"http://x:x@{nobody}",
            "GROUNDSWELL_REDIS_URL": f"redis://{nobody}",
        }
        with (
            pytest.raises(ProcessFailedError, match="does not answer at GROUNDSWELL_POSTGRES_URL"),
            backing_servers("given", local=local, environ=environ),
        ):
            pass

    def test_by_half_an_address_are_refused(self, local: Path) -> None:
        environ = {"GROUNDSWELL_RABBITMQ_URL": "amqp://127.0.0.1/"}
        with (
            pytest.raises(MissingProgramsError, match="GROUNDSWELL_RABBITMQ_API_URL"),
            backing_servers("given", local=local, environ=environ),
        ):
            pass


class TestMissing:
    def test_programs_are_named_with_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")  # No apt-get, no sudo.
        with pytest.raises(MissingProgramsError, match=r"(?s)Redis.*apt-get install redis-server.*_REDIS_URL"):
            install_missing([replace(REDIS, find=lambda: None)])


class TestClean:
    def test_removes_what_no_run_uses_and_ends_what_was_left(self, local: Path) -> None:
        with child_run(local, Interpreter()) as child:
            assert (clean(local), child.directory.exists()) == ([child.directory], True)
            guardian = next(each for each in child.started if "deploy.local.guardian" in each.cmdline())
            guardian.kill()
            child.process.kill()
            child.process.wait()
            assert (clean(local), child.left, child.directory.exists()) == ([], [], False)
