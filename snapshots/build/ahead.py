"""Statements that run one after the other in a thread, while the next ones are compiled beside it.

Compiling takes Python a fifth of a build's time, and DuckDB leaves a core free for most of its own:
what is asked first is under way while what builds on it is written down. Nothing else may use the
connection until `wait`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import ibis.expr.operations as ops
import pyarrow as pa

INTERRUPT_S = 0.02  # between two calls to stop


class Ahead:
    """One connection's statements, in their order. connection: Ibis' DuckDB.

    An error in one is raised by whoever waits for it or for a later one. As a context it leaves
    nothing running: on an error the statement under way is interrupted.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="duckdb")
        self._under_way: list[Future[Any]] = []

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            begun = [each for each in self._under_way if not each.cancelled()]
            while wait(begun, INTERRUPT_S).not_done:  # one may only be about to begin
                self._connection.con.interrupt()
        self._thread.shutdown()

    def table(self, name: str, rows: Any) -> Any:
        """A temporary table of these rows, to build on at once; it is being made."""
        sql = f'CREATE TEMP TABLE "{name}" AS {self._connection.compile(rows)}'
        self._begin(lambda: self._connection.raw_sql(sql))
        where = ops.Namespace(catalog="temp", database="main")
        table = ops.DatabaseTable(name, rows.schema(), self._connection, where)
        return table.to_expr()

    def rows(self, wanted: Any) -> Callable[[], pa.Table]:
        """What waits for these rows and gives them."""
        sql = self._connection.compile(wanted)
        return self._begin(lambda: self._connection.con.sql(sql).to_arrow_table()).result

    def wait(self) -> None:
        """Until everything asked so far is there."""
        for statement in self._under_way:
            statement.result()

    def _begin(self, run: Callable[[], Any]) -> Future[Any]:
        before = list(self._under_way)

        def after() -> Any:
            for statement in before:  # they are done: one that failed fails what builds on it
                statement.result()
            return run()

        self._under_way.append(self._thread.submit(after))
        return self._under_way[-1]


def given(connection: Any, name: str, rows: pa.Table) -> Any:
    """A small table that Python made, under a name of the connection. (Ibis would register it when
    a query runs: too late for one that is compiled beside another.)"""
    connection.con.register(name, rows)
    return connection.table(name)
