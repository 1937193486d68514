"""Statements that every trial and report needs: compiled once for each kind of database, and run by its driver.

SQLAlchemy prepares every statement, and every row of it, anew, which takes about ten times as long as the driver needs.
What types do to values is done here as well, and what the driver refuses is told by the same errors.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache, partial
from operator import itemgetter
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from service.store.schema import UtcDateTime

Row = Mapping[str, Any]
Record = Any
"""A row that was found, its columns as attributes."""

SPANS = "spans"
"""Execution option of an engine: makes the context in which a statement, given as its text, is run."""

_NUM_TIMES = 64
_Written = Callable[[Row], Any]
_Read = Callable[[Any], Any]
_Rows = tuple[list[list[Any]], Callable[[Iterable[Any]], Record]]
"""Rows, and what makes a record of each."""


class _Prepared:
    """A statement, compiled once for each kind of database."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = names
        self._forms: dict[str, tuple[str, _Written]] = {}

    def _form(self, dialect: Dialect) -> tuple[str, _Written]:
        found = self._forms.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._names and list(self._names))
            if not isinstance(compiled, SQLCompiler):
                raise TypeError(f"received {self._statement!r}, expected a query, insert, update or delete")
            if self._names is not None:
                _require_all_named(compiled, self._names)
            found = self._forms[dialect.name] = str(compiled), _written(compiled, dialect)
        return found


class _Found(_Prepared):
    """A statement that finds rows: what its columns' types make of them, once the driver has told what it finds."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete, names: Sequence[str] | None = None) -> None:
        super().__init__(statement, names)
        self._columns = list(statement.exported_columns)
        self._readings: dict[str, tuple[list[tuple[int, _Read]], Callable[[Iterable[Any]], Record]]] = {}

    def records(self, connection: Connection, parameters: Row) -> list[Record]:
        """What it finds, the columns of each row as attributes.

        Args:
            connection: In a transaction.
            parameters: All that it has.
        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        found, as_record = self._fetch(connection, parameters)
        return [as_record(row) for row in found]

    @contextmanager
    def asked(self, connection: Connection, parameters: Row) -> Iterator[Callable[[], _Rows]]:
        """Ask for what it finds; within the block, the function that is given waits for the answer."""
        text, written = self._form(connection.dialect)
        with _cursor(connection, text) as cursor:
            cursor.execute(text, written(parameters))
            yield partial(self._answer, connection.dialect, cursor)

    def _fetch(self, connection: Connection, parameters: Row) -> _Rows:
        with self.asked(connection, parameters) as answer:
            return answer()

    def _answer(self, dialect: Dialect, cursor: Any) -> _Rows:
        # What was sent together is answered only now, and with it is known what the columns are.
        found = [list(row) for row in cursor.fetchall()]
        reading = self._readings.get(dialect.name)
        if reading is None:
            reading = self._readings[dialect.name] = self._reading(dialect, cursor.description)
        reads, as_record = reading
        for at, read in reads:
            for row in found:
                row[at] = read(row[at])
        return found, as_record

    def _reading(
        self, dialect: Dialect, description: Sequence[Any]
    ) -> tuple[list[tuple[int, _Read]], Callable[[Iterable[Any]], Record]]:
        # What a type has to do may depend on what the driver makes of the column's own type.
        reads: list[tuple[int, _Read]] = []
        for at, (column, told) in enumerate(zip(self._columns, description, strict=True)):
            read = column.type.dialect_impl(dialect).result_processor(dialect, told[1])
            if read is not None:
                reads.append((at, read))
        return reads, _named([told[0] for told in description])


class Query(_Found):
    """A query."""

    def __init__(self, statement: Select[Any]) -> None:
        """Nothing is compiled yet.

        Args:
            statement: Its parameters are given by name.
        """
        super().__init__(statement)

    def rows(self, connection: Connection, parameters: Row) -> list[list[Any]]:
        """What it finds as plain lists, in the order of its columns; otherwise as `records`."""
        return self._fetch(connection, parameters)[0]


def all_records(connection: Connection, asked: Sequence[tuple[Query, Row]]) -> list[list[Record]]:
    """What several queries find, as `records` of each; within `together`, all of them share one way to the server.

    Args:
        connection: In a transaction.
        asked: Queries, and all parameters of each.
    Raises:
        DBAPIError: As SQLAlchemy raises it.
    """
    with ExitStack() as stack:
        answers = [stack.enter_context(query.asked(connection, parameters)) for query, parameters in asked]
        return [[as_record(row) for row in found] for found, as_record in (answer() for answer in answers)]


class Change(_Found):
    """An insert, update or delete that returns columns of the rows that it was done to.

    Defaults of columns are not filled in, so the parameters name every column that has one.
    """

    def __init__(self, statement: Insert | Update | Delete, *names: str) -> None:
        """Nothing is compiled yet.

        Args:
            statement: One with `returning`.
            names: Of its parameters.
        """
        super().__init__(statement, names)


class Bulk(_Prepared):
    """An insert, update or delete that is done for many rows.

    Defaults of columns are not filled in, so a row names every column that has one.
    """

    def __init__(self, statement: Insert | Update | Delete, *names: str) -> None:
        """Nothing is compiled yet.

        Args:
            statement: The values of a row are its parameters.
            names: Of these parameters.
        """
        super().__init__(statement, names)

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write rows.

        Args:
            connection: In a transaction.
            rows: At least one; each has all names.
        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        text, written = self._form(connection.dialect)
        with _cursor(connection, text) as cursor:
            if len(rows) == 1:
                cursor.execute(text, written(rows[0]))
            else:
                cursor.executemany(text, [written(row) for row in rows])


class Columns:
    """An update that sets whichever columns it is given values for."""

    def __init__(self, statement: Update, *names: str) -> None:
        """Nothing is compiled yet.

        Args:
            statement: Without values.
            names: Of the parameters that tell which rows it is done to.
        """
        self._statement = statement
        self._names = names
        self._bulks: dict[tuple[str, ...], Bulk] = {}

    def run(self, connection: Connection, row: Row) -> None:
        """Set columns.

        Args:
            connection: In a transaction.
            row: The parameters, and a value for each of the columns.
        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        names = tuple(row)
        bulk = self._bulks.get(names)
        if bulk is None:
            values: dict[str, Any] = {name: bindparam(name) for name in names if name not in self._names}
            bulk = self._bulks[names] = Bulk(self._statement.values(values), *names)
        bulk.run(connection, [row])


def _named(columns: Sequence[str]) -> Callable[[Iterable[Any]], Record]:
    made: Any = namedtuple("Found", columns)  # type: ignore[misc]  # They are known once something was found.
    make: Callable[[Iterable[Any]], Record] = made._make
    return make


def _require_all_named(compiled: SQLCompiler, names: Collection[str]) -> None:
    left_out = [column.name for column in (*compiled.insert_prefetch, *compiled.update_prefetch)]
    asked = {name for parameter, name in compiled.bind_names.items() if parameter.required}
    if left_out or not asked <= set(names):
        lacking = ", ".join([*left_out, *sorted(asked - set(names))])
        raise ValueError(f"a row lacks {lacking}; name it and give its value")


def _written(compiled: SQLCompiler, dialect: Dialect) -> _Written:
    constants: dict[str, Any] = {}
    writes: dict[str, _Read | None] = {}
    for parameter, name in compiled.bind_names.items():
        write: _Read | None = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if write is not None and isinstance(parameter.type, UtcDateTime):
            # All that a transaction writes has the same few times, and SQLite takes a time as text.
            write = lru_cache(_NUM_TIMES)(write)
        writes[name] = write
        if not parameter.required:
            constants[name] = write(parameter.value) if write else parameter.value
    if not compiled.positional:
        named = [(name, write) for name, write in writes.items() if name not in constants]
        return lambda row: {**constants, **{name: write(row[name]) if write else row[name] for name, write in named}}
    order = compiled.positiontup or ()
    converted = [(at, write) for at, name in enumerate(order) if name not in constants and (write := writes[name])]
    # Of one name alone it would give the value and no sequence.
    pick: Any = itemgetter(*order) if len(order) > 1 else lambda row: [row[name] for name in order]

    def in_order(row: Row) -> list[Any]:
        values = list(pick({**row, **constants} if constants else row))
        for at, write in converted:
            values[at] = write(values[at])
        return values

    return in_order


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send statements of this module to Postgres without waiting for the answers of those that only write.

    Every statement otherwise costs its way to the server and back. On SQLite there is no way to save. SQLAlchemy's own
    queries cannot be run meanwhile, since it looks at once for what they find.

    Raises:
        DBAPIError: Whatever one of the statements met, at the end of the block at the latest.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    with _errors_told(connection), driver.pipeline():
        yield


def first_row(connection: Connection, text: str) -> Sequence[Any]:
    """What a statement of Postgres finds first; a transaction that has not begun yet begins on the same way there.

    Raises:
        DBAPIError: As SQLAlchemy raises it.
    """
    with _cursor(connection, text) as cursor:
        with together(connection):
            cursor.execute(text)
        found: Sequence[Any] = cursor.fetchone()
    return found


def send(connection: Connection, text: str, *parameters: Any) -> None:
    """Run a statement of Postgres whose result nobody needs.

    Raises:
        DBAPIError: As SQLAlchemy raises it.
    """
    with _cursor(connection, text) as cursor:
        cursor.execute(text, parameters)


class _cursor:  # noqa: N801  # It is used like the functions around it.
    """A cursor for a statement, whose errors are told as SQLAlchemy's.

    Written out, because a generator that is made a context manager takes three times as long, for every statement.
    """

    __slots__ = ("_connection", "_cursor", "_pooled", "_span", "_text")

    def __init__(self, connection: Connection, text: str) -> None:
        self._connection, self._text = connection, text
        spans = connection.get_execution_options().get(SPANS)
        self._span: AbstractContextManager[None] | None = None if spans is None else spans(text)
        self._pooled = connection.connection
        self._cursor: Any = self._pooled.cursor()

    def __enter__(self) -> Any:
        if self._span is not None:
            self._span.__enter__()
        return self._cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._span is not None:
                self._span.__exit__(kind, error, trace)
            if isinstance(error, self._connection.dialect.loaded_dbapi.Error):
                raise _told(self._connection, self._pooled, self._text, error, self._cursor) from error
        finally:
            self._cursor.close()


@contextmanager
def _errors_told(connection: Connection) -> Iterator[None]:
    pooled = connection.connection
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, pooled, "", error, None) from error


def _told(connection: Connection, pooled: Any, text: str, error: Any, cursor: Any) -> BaseException:
    dialect = connection.dialect
    is_gone = dialect.is_disconnect(error, pooled, cursor)
    if is_gone:
        connection.invalidate(error)
    kind = dialect.loaded_dbapi.Error
    told: BaseException = DBAPIError.instance(
        text, None, error, kind, hide_parameters=True, connection_invalidated=is_gone, dialect=dialect
    )
    return told
