"""Writing many rows by one statement, at little more than what the driver takes for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

Row = Mapping[str, Any]
_Written = Callable[[Row], Any]


class Bulk:
    """An insert or update that is compiled once for each kind of database, and whose rows go to the driver directly.

    SQLAlchemy prepares every row anew, which takes ten times as long as the driver needs to write it. What types do to
    values is done here as well; defaults of columns are not filled in, so a row names every column that has one.
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
        """
        dialect = connection.dialect
        found = self._forms.get(dialect.name)
        if found is None:
            found = self._forms[dialect.name] = self._form(dialect)
        text, written = found
        connection.exec_driver_sql(text, [written(row) for row in rows])

    def _form(self, dialect: Dialect) -> tuple[str, _Written]:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"received {self._statement!r}, expected an insert or update")
        left_out = [column.name for column in (*compiled.insert_prefetch, *compiled.update_prefetch)]
        unknown = set(compiled.bind_names.values()) - set(self._names)
        if left_out or unknown:
            raise ValueError(f"a row lacks {', '.join([*left_out, *sorted(unknown)])}; name it and give its value")
        kinds = {name: parameter.type for parameter, name in compiled.bind_names.items()}
        reads = {name: kind.dialect_impl(dialect).bind_processor(dialect) for name, kind in kinds.items()}
        if compiled.positional:
            order = [(name, reads[name]) for name in compiled.positiontup or ()]
            return str(compiled), lambda row: tuple(read(row[name]) if read else row[name] for name, read in order)
        named = list(reads.items())
        return str(compiled), lambda row: {name: read(row[name]) if read else row[name] for name, read in named}
