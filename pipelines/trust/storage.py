"""The database of a study's server: SQLite with a write-ahead log. What it has confirmed outlives a killed process."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType

from vidcam.errors import InputError, OutputError

MOST_RATERS = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (study TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (rater TEXT PRIMARY KEY, form INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    rater TEXT NOT NULL REFERENCES raters, screen INTEGER NOT NULL, answer TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (rater, screen)
) WITHOUT ROWID;
"""


class AnswerStore:
    """An open database; may be used by several threads.

    Args:
        path: the database.
        study: the study that a new database is for; one that exists must be for this study. None: of any study, to
            read it; it must exist.

    Attributes:
        path: the database.
        study: the study.
        token: secret part of the server's address; the same after a restart.

    Raises:
        InputError: it is no database of this study.
        OutputError: it cannot be created.
    """

    def __init__(self, path: Path, study: str | None = None) -> None:
        if study is None and not path.is_file():
            raise InputError(f"the database {path} does not exist")
        self.path, self._lock = path, Lock()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        except sqlite3.Error as exc:
            raise OutputError(f"the database {path} cannot be opened ({exc}); choose another with --answers") from exc
        try:
            if study is not None:
                self._prepare(study)
            row = self._connection.execute("SELECT study, token FROM study").fetchone()
        except sqlite3.Error as exc:
            self._connection.close()
            raise InputError(f"{path} is no database of answers ({exc})") from exc
        if row is None or study not in (None, row[0]):
            self._connection.close()
            is_for = f"is for study {row[0]}, not {study}" if row else "names no study"
            raise InputError(f"{path} {is_for}; choose another with --answers")
        self.study, self.token = str(row[0]), str(row[1])

    def _prepare(self, study: str) -> None:
        """Make the tables if there are none."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before it is confirmed
        with self._transaction():
            for statement in _SCHEMA.split(";\n"):
                self._connection.execute(statement)
            if self._connection.execute("SELECT count(*) FROM study").fetchone()[0] == 0:
                self._connection.execute("INSERT INTO study VALUES (?, ?)", (study, secrets.token_urlsafe(16)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def form_of(self, rater: str, forms: int) -> int | None:
        """Return the rater's form: that which the fewest raters have; None if there are MOST_RATERS already."""
        with self._transaction():
            known = self._connection.execute("SELECT form FROM raters WHERE rater = ?", (rater,)).fetchone()
            if known is not None:
                return int(known[0])
            used = dict(self._connection.execute("SELECT form, count(*) FROM raters GROUP BY form").fetchall())
            if sum(used.values()) >= MOST_RATERS:
                return None
            form = min(range(forms), key=lambda index: used.get(index, 0))
            self._connection.execute("INSERT INTO raters VALUES (?, ?)", (rater, form))
            return form

    def save(self, rater: str, form: int, rows: Sequence[tuple[int, str, float]]) -> bool:
        """Save answers (screen, answer, seconds); a later one to the same question replaces the former.

        Returns:
            False, and nothing is saved, if the rater has another form, or there are MOST_RATERS already.
        """
        with self._transaction():
            known = self._connection.execute("SELECT form FROM raters WHERE rater = ?", (rater,)).fetchone()
            if known is None:
                if self._connection.execute("SELECT count(*) FROM raters").fetchone()[0] >= MOST_RATERS:
                    return False
                self._connection.execute("INSERT INTO raters VALUES (?, ?)", (rater, form))
            elif known[0] != form:
                return False
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", [(rater, *row) for row in rows]
            )
        return True

    def sheets(self) -> list[tuple[str, int, list[tuple[int, str, float]]]]:
        """Return rater, form and answers (screen, answer, seconds) of each rater."""
        with self._lock:
            raters = self._connection.execute("SELECT rater, form FROM raters ORDER BY rater").fetchall()
            query = "SELECT screen, answer, seconds FROM answers WHERE rater = ? ORDER BY screen"
            return [(rater, form, self._connection.execute(query, (rater,)).fetchall()) for rater, form in raters]

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; its log is merged into it."""
        with self._lock:
            self._connection.close()
