"""Migrations on a real PostgreSQL, as a service's own role."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from deploy.local.provision import Provisioned
from eventing.migrations import CORE, MigrationError, migrate


@pytest.fixture
def url(empty: Provisioned) -> str:
    return empty.database_urls["pledge"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pledge" / "migrations"
    made.mkdir(parents=True)
    write(made, "0001_first.sql", "CREATE TABLE first (id int PRIMARY KEY);")
    return made


def write(folder: Path, name: str, sql: str) -> None:
    (folder / name).write_text(sql, encoding="utf-8")


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {row["tablename"] for row in rows if not row["tablename"].startswith("migrated_")}
    finally:
        await connection.close()


class TestMigrate:
    async def test_applies_each_file_once_in_order_folder_by_folder(self, url: str, folder: Path) -> None:
        assert (await migrate(url, CORE, folder))[-1] == "pledge/0001_first.sql"
        write(folder, "0002_second.sql", "CREATE TABLE second (id int REFERENCES first);")
        assert await migrate(url, CORE, folder) == ["pledge/0002_second.sql"]
        assert await migrate(url, CORE, folder) == []
        assert {"event", "first", "second"} <= await tables(url)

    async def test_a_file_goes_to_postgres_as_it_is_written(self, url: str, folder: Path) -> None:
        body = "CREATE FUNCTION odd() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ':name; %s -- ?'; END $$;"
        write(folder, "0002_odd.sql", f"-- a comment; with a semicolon\n{body}\nCREATE TABLE odd_table (id int);")
        await migrate(url, folder)
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT odd()") == ":name; %s -- ?"
        await connection.close()

    async def test_a_file_that_fails_leaves_nothing_and_the_ones_before_stay(self, url: str, folder: Path) -> None:
        write(folder, "0002_bad.sql", "CREATE TABLE half (id int); SELECT 1 / 0;")
        with pytest.raises(MigrationError, match=r"0002_bad\.sql: division by zero"):
            await migrate(url, folder)
        assert await tables(url) == {"first"}
        write(folder, "0002_bad.sql", "CREATE TABLE whole (id int);")
        assert await migrate(url, folder) == ["pledge/0002_bad.sql"]

    async def test_a_file_changed_after_it_was_applied_is_refused(self, url: str, folder: Path) -> None:
        write(folder, "0002_second.sql", "CREATE TABLE second (id int);")
        await migrate(url, folder)
        write(folder, "0001_first.sql", "CREATE TABLE other (id int);")
        with pytest.raises(MigrationError, match="changed after it was applied"):
            await migrate(url, folder)
        assert await tables(url) == {"first", "second"}

    async def test_an_older_version_of_the_service_is_refused(self, url: str, folder: Path) -> None:
        write(folder, "0002_second.sql", "CREATE TABLE second (id int);")
        await migrate(url, folder)
        (folder / "0002_second.sql").unlink()
        with pytest.raises(MigrationError, match="use a newer one"):
            await migrate(url, folder)

    async def test_several_at_once_apply_it_once(self, url: str, folder: Path) -> None:
        applied = await asyncio.gather(*(migrate(url, CORE, folder) for _ in range(4)))
        assert sorted(map(len, applied))[:3] == [0, 0, 0]
        assert "first" in await tables(url)

    @pytest.mark.parametrize("name", ["0003_gap.sql", "0001_twice.sql", "second.sql"])
    async def test_a_file_out_of_number_is_refused_before_anything_runs(
        self, url: str, folder: Path, name: str
    ) -> None:
        write(folder, name, "SELECT 1;")
        with pytest.raises(MigrationError, match="expected 000"):
            await migrate(url, folder)
        assert await tables(url) == set()

    async def test_an_empty_folder_is_refused(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(MigrationError, match="no migrations"):
            await migrate(url, tmp_path)

    async def test_a_database_that_is_away_is_told_in_a_sentence(self, folder: Path) -> None:
        with pytest.raises(MigrationError, match="cannot reach the database"):
            await migrate("postgresql://pledge:secret@127.0.0.1:1/none", folder)
