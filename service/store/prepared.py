"""Statements of the path that every report takes: compiled once for each kind of database, and run by its driver.

SQLAlchemy prepares every statement, and every row of it, anew, which takes about ten times as long as the driver needs.
What types do to values is done here as well, and what the driver refuses is told by the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Row = Mapping[str, Any]
_Written = Callable[[Row], Any]
_Read = Callable[[Any], Any]


class Bulk:
    """An insert or update of many rows.

    Defaults of columns are not filled in, so a row names every column that has one.
    """

    def __init__(self, statement: Insert | Update, *names: str) -> None:
        """Nothing is compiled yet.

        Args:
            statement: Whose values are the parameters of a row, and nothing else.
            names: Of these parameters.
        """
        self._statement = statement
        self._names = names
        self._forms: dict[str, tuple[str, _Written]] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write rows.

        Args:
            connection: In a transaction.
            rows: At least one; each has all names.
        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        text, written = self._forms.get(connection.dialect.name) or self._form(connection.dialect)
        with _cursor(connection, text) as cursor:
            if len(rows) == 1:
                cursor.execute(text, written(rows[0]))
            else:
                cursor.executemany(text, [written(row) for row in rows])

    def _form(self, dialect: Dialect) -> tuple[str, _Written]:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"received {self._statement!r}, expected an insert or update")
        left_out = [column.name for column in (*compiled.insert_prefetch, *compiled.update_prefetch)]
        unknown = set(compiled.bind_names.values()) - set(self._names)
        if left_out or unknown:
            raise ValueError(f"a row lacks {', '.join([*left_out, *sorted(unknown)])}; name it and give its value")
        found = self._forms[dialect.name] = str(compiled), _written(compiled, dialect)
        return found


class Query:
    """A query whose rows are read as plain lists, in the order of its columns."""

    def __init__(self, statement: Select[Any]) -> None:
        """Nothing is compiled yet.

        Args:
            statement: Its parameters are given by name.
        """
        self._statement = statement
        self._forms: dict[str, tuple[str, _Written]] = {}
        self._reads: dict[str, list[tuple[int, _Read]]] = {}

    def rows(self, connection: Connection, parameters: Row) -> list[list[Any]]:
        """What it finds.

        Args:
            connection: In a transaction.
            parameters: All that it has.
        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        dialect = connection.dialect
        text, written = self._forms.get(dialect.name) or self._form(dialect)
        with _cursor(connection, text) as cursor:
            cursor.execute(text, written(parameters))
            reads = self._reads.get(dialect.name)
            if reads is None:
                reads = self._reads[dialect.name] = self._reading(dialect, cursor.description)
            found = [list(row) for row in cursor.fetchall()]
        for at, read in reads:
            for row in found:
                row[at] = read(row[at])
        return found

    def _form(self, dialect: Dialect) -> tuple[str, _Written]:
        compiled = self._statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"received {self._statement!r}, expected a select")
        found = self._forms[dialect.name] = str(compiled), _written(compiled, dialect)
        return found

    def _reading(self, dialect: Dialect, description: Sequence[Any]) -> list[tuple[int, _Read]]:
        # What a type has to do may depend on what the driver makes of the column's own type.
        found: list[tuple[int, _Read]] = []
        for at, (column, told) in enumerate(zip(self._statement.selected_columns, description, strict=True)):
            read = column.type.dialect_impl(dialect).result_processor(dialect, told[1])
            if read is not None:
                found.append((at, read))
        return found


def _written(compiled: SQLCompiler, dialect: Dialect) -> _Written:
    kinds = {name: parameter.type for parameter, name in compiled.bind_names.items()}
    writes = {name: kind.dialect_impl(dialect).bind_processor(dialect) for name, kind in kinds.items()}
    if not compiled.positional:
        named = list(writes.items())
        return lambda row: {name: write(row[name]) if write else row[name] for name, write in named}
    order = [(name, writes[name]) for name in compiled.positiontup or ()]
    return lambda row: [write(row[name]) if write else row[name] for name, write in order]


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send what is written in the block to Postgres without waiting for each answer; nothing is read meanwhile.

    Every statement otherwise costs its way to the server and back. On SQLite there is no way to save.

    Raises:
        DBAPIError: Whatever one of the statements met, at the end of the block at the latest.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    with _errors_told(connection, "", None), driver.pipeline():
        yield


@contextmanager
def _cursor(connection: Connection, text: str) -> Iterator[Any]:
    cursor = connection.connection.cursor()
    try:
        with _errors_told(connection, text, cursor):
            yield cursor
    finally:
        cursor.close()


@contextmanager
def _errors_told(connection: Connection, text: str, cursor: Any) -> Iterator[None]:
    pooled, dialect = connection.connection, connection.dialect
    driver = dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        is_gone = dialect.is_disconnect(error, pooled, cursor)
        if is_gone:
            connection.invalidate(error)
        told = DBAPIError.instance(
            text, None, error, driver.Error, hide_parameters=True, connection_invalidated=is_gone, dialect=dialect
        )
        raise told from error
