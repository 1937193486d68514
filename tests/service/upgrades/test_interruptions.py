"""An upgrade happens whole or not at all, once however many ask for it, and never from a newer version backwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import inspect

from caviar.contract.errors import InvalidRequest
from service.serving import prepare
from service.settings import ServiceSettings
from service.store import migrations
from service.store.engine import begun, connect
from tests.databases import Databases
from tests.service.upgrades import olden

KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
_ROOT = Path(__file__).parents[3]
# Dies once the fourth revision has made its table and before it has filled it: in the middle of all of them.
_KILLED = """
import os, signal, sys
import alembic.op as op
from service.store import migrations
make = op.create_table
def create_table(name, *columns, **options):
    made = make(name, *columns, **options)
    if name == "improvements":
        os.kill(os.getpid(), signal.SIGKILL)
    return made
op.create_table = create_table
migrations.upgrade(sys.argv[1])
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_that_was_killed_changed_nothing_and_is_repeated(databases: Databases, kind: str) -> None:
    url = databases.empty(kind)
    before = olden.make(url, "0001")
    done = subprocess.run([sys.executable, "-c", _KILLED, url], cwd=_ROOT, check=False, timeout=120, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert migrations.current(url) == "0001"
    assert olden.stored(url) == before
    migrations.upgrade(url)
    assert migrations.check(url) is None
    assert len(olden.stored(url)["trials"]) == len(before["trials"])


@pytest.mark.parametrize("kind", KINDS)
def test_services_that_start_at_once_upgrade_once(databases: Databases, kind: str) -> None:
    url = databases.empty(kind)
    before = olden.make(url, "0001")
    script = "import sys; from service.store import migrations; migrations.upgrade(sys.argv[1])"
    with ThreadPoolExecutor(3) as pool:
        started = [
            pool.submit(
                subprocess.run, [sys.executable, "-c", script, url], cwd=_ROOT, check=False, timeout=120, stderr=-1
            )
            for _ in range(3)
        ]
        for one in started:
            assert one.result().returncode == 0, one.result().stderr.decode()[-2000:]
    assert migrations.check(url) is None
    assert len(olden.stored(url)["trials"]) == len(before["trials"])


def test_a_database_of_a_newer_version_is_refused(ready_database_url: str) -> None:
    engine = connect(ready_database_url)
    with begun(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    tables = set(inspect(engine).get_table_names())
    engine.dispose()
    settings = ServiceSettings(database_url=ready_database_url, token=SecretStr("a-token-of-the-tests-only"))
    for ask in (lambda: prepare(settings), lambda: migrations.upgrade(ready_database_url)):
        with pytest.raises(InvalidRequest, match="newer version") as refused:
            ask()
        assert refused.value.errors[0].received == "9999"
        assert str(migrations.head()) in refused.value.errors[0].expected
    engine = connect(ready_database_url)
    assert set(inspect(engine).get_table_names()) == tables
    engine.dispose()
