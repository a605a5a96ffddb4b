"""Applies the numbered SQL files of a folder, each once and in order, to the schema of the connecting role.

Alembic keeps the book and does the work (ADR 0024). Every file is one of its revisions, named after its number and
a hash of its text and all before it: a file that was changed after it ran is a revision that Alembic does not find.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script
from alembic.script.revision import ResolutionError, RevisionMap
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK_SECONDS = 60  # Replicas that start at once wait for one another; longer means that one hangs.
STATEMENT_SECONDS = 600  # Building an index over a large history is slower than any statement of the service.
CORE = Path(__file__).parent / "migrations"

_FILE = re.compile(r"(\d{4})_\w+\.sql")
# One lock per schema. It goes with the connection, so a killed migration leaves none behind.
_LOCK = text("SELECT pg_advisory_lock(hashtextextended('migrate ' || current_schema(), 0))")


class MigrationError(Exception):
    """The schema cannot be brought up to date. Nothing of the failing file was kept; the text says why."""


async def migrate(database_url: str, *folders: Path) -> list[str]:
    """Apply the files that have not been applied yet, folder by folder, each file in a transaction of its own.

    A folder is `<package>/migrations` with files `NNNN_name.sql`, numbered from 0001 without gaps.

    Returns:
        What was applied, such as `pledge/0002_waitlist.sql`; empty when all was there.

    Raises:
        MigrationError: A file fails, was changed after it ran, or the folder is older than the schema.
    """
    folders_of_files = {folder.parent.name: _files(folder) for folder in folders}

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(database_url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
            await connection.execute(text(f"SET statement_timeout = '{STATEMENT_SECONDS}s'"))
            await connection.execute(_LOCK)
            await connection.commit()
            applied: list[str] = []
            for package, files in folders_of_files.items():
                applied += await connection.run_sync(_apply, package, files)
            return applied
    except DBAPIError as error:
        raise MigrationError(f"cannot migrate: {error.orig}") from error
    except OSError as error:
        raise MigrationError(f"cannot reach the database: {error}") from error
    finally:
        await engine.dispose()


def _files(folder: Path) -> list[Path]:
    """The files of a folder in order, their numbers checked."""
    files = sorted(folder.glob("*.sql"))
    for number, file in enumerate(files, 1):
        found = _FILE.fullmatch(file.name)
        if not found or int(found[1]) != number:
            raise MigrationError(f"{file.name}: expected {number:04}_<name>.sql")
    if not files:
        raise MigrationError(f"no migrations in {folder}")
    return files


class _File(Script):
    """A SQL file as a revision of Alembic's."""

    def __init__(self, file: Path, sql: str, revision: str, previous: str | None) -> None:
        module: Any = ModuleType(revision)
        module.down_revision = previous
        module.upgrade = self.upgrade
        super().__init__(module, revision, str(file))
        self.file = file
        self.sql = sql
        self.connection: Connection

    def upgrade(self) -> None:
        # A first statement opens the transaction; the file then goes to the driver whole, as psql would send it.
        self.connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        driver: Any = self.connection.connection.dbapi_connection
        try:
            driver.run_async(lambda raw: raw.execute(self.sql))
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{self.file.name}: {error}") from error


def _revisions(files: Sequence[Path]) -> Iterator[_File]:
    previous, digest = None, hashlib.sha256()
    for file in files:
        sql = file.read_text("utf-8")
        digest.update(sql.encode())
        revision = f"{file.name[:4]}_{digest.hexdigest()[:16]}"
        yield _File(file, sql, revision, previous)
        previous = revision


def _apply(connection: Connection, package: str, files: Sequence[Path]) -> list[str]:
    revisions = list(_revisions(files))
    book = RevisionMap(lambda: revisions)
    applied: list[str] = []

    def pending(heads: tuple[str, ...], _context: MigrationContext) -> Iterator[MigrationStep]:
        try:
            newest_first = list(book.iterate_revisions("head", heads or "base"))
        except ResolutionError as error:
            raise MigrationError(_unknown(package, heads[0], len(revisions))) from error
        for revision in reversed(newest_first):
            assert isinstance(revision, _File)
            revision.connection = connection
            applied.append(f"{package}/{revision.file.name}")
            yield RevisionStep(book, revision, is_upgrade=True)

    context = MigrationContext.configure(
        connection,
        opts={"fn": pending, "transaction_per_migration": True, "version_table": f"migrated_{package}"},
    )
    context.run_migrations()
    connection.commit()  # ends the read of an up-to-date book; Alembic commits nothing inside a foreign transaction
    return applied


def _unknown(package: str, revision: str, known: int) -> str:
    last = int(revision[:4])
    if last > known:
        return f"{package}: the schema is at {last:04}, this version knows up to {known:04}: use a newer one"
    return f"{package}: a file up to {last:04} was changed after it was applied: add a new file instead"
