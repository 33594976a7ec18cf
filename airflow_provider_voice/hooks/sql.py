"""Engines of Airflow's SQL connections: the ledger's, and those that contacts and do-not-call lists are read from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, conf
from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: The ledger of one machine, under ``AIRFLOW_HOME``.
LEDGER_FILE = "voice_outreach.db"
_USES_MANY_MACHINES = re.compile("celery|kubernetes|edge|ecs|batch|lambda", re.IGNORECASE)
# Set in a container that an executor starts for one task. The configuration there may name another executor: Airflow's
# Helm chart names the LocalExecutor in the pods of the KubernetesExecutor.
_CONTAINER_MARKS = ("AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER")


def sql_engine(conn_id: str) -> Engine:
    """Return the SQLAlchemy engine of a connection.

    :param conn_id: a connection whose hook is a ``DbApiHook``.
    :return: the engine; its errors leave out the parameters of statements.
    :raises InvalidRequest: when the connection is not a SQL database, or the provider of its type is not installed.
    """
    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        raise
    except AirflowException as error:
        raise InvalidRequest(
            f"The connection {conn_id!r} cannot be used: {error}. Install the provider of its type on this machine, "
            "such as apache-airflow-providers-sqlite or apache-airflow-providers-postgres."
        ) from None
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise InvalidRequest(f"The connection {conn_id!r} is not a SQL database. Name one that is.")
    # Parameters are people's numbers; SQLAlchemy would put them into its errors.
    engine: Engine = hook.get_sqlalchemy_engine({"hide_parameters": True, "pool_pre_ping": True})
    return engine


def ledger_engine(ledger_conn_id: str | None = None) -> Engine:
    """Return the engine of a ledger.

    :param ledger_conn_id: a connection to PostgreSQL, MySQL, MariaDB or SQLite; ``None``: a SQLite file under
        ``AIRFLOW_HOME``, for campaigns whose tasks all run on one machine.
    :return: the engine; its errors leave out the parameters of statements.
    :raises InvalidRequest: when the connection is not a SQL database.
    """
    if ledger_conn_id:
        return sql_engine(ledger_conn_id)
    from sqlalchemy import create_engine  # with the first ledger, not with a DAG file

    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    return create_engine(f"sqlite:///{home / LEDGER_FILE}", hide_parameters=True)


def shared_ledger_engine(ledger_conn_id: str | None = None) -> Engine:
    """Return the engine of a ledger that a retry finds again, on whichever worker it runs.

    :param ledger_conn_id: see :func:`ledger_engine`.
    :return: the engine; its errors leave out the parameters of statements.
    :raises InvalidRequest: when the ledger would be a file of one machine, and the executor uses several.
    """
    is_in_container = any(os.environ.get(mark) for mark in _CONTAINER_MARKS)
    executor = conf.get("core", "executor", fallback="") if not is_in_container else "an executor of containers"
    if not ledger_conn_id and (is_in_container or _USES_MANY_MACHINES.search(executor)):
        raise InvalidRequest(
            f"Without ledger_conn_id the ledger is a file of one machine, and {executor} may run a retry on another: "
            "it would ring everybody again. Set ledger_conn_id to a database that all workers reach."
        )
    return ledger_engine(ledger_conn_id)


def existing_ledger_engine(ledger_conn_id: str | None = None) -> Engine:
    """Return the engine of a ledger, for a command: a person can correct the name of a connection that does not exist.

    :param ledger_conn_id: see :func:`ledger_engine`.
    :return: the engine; its errors leave out the parameters of statements.
    :raises InvalidRequest: when there is no such connection, or it is not a SQL database.
    """
    try:
        return ledger_engine(ledger_conn_id)
    except (AirflowNotFoundException, ImportError) as error:
        # Airflow 3.1 asks a task's supervisor for a connection that it finds nowhere; in a command there is none.
        if isinstance(error, ImportError) and error.name != "airflow.sdk.execution_time.task_runner":
            raise
        raise InvalidRequest(
            f"There is no connection {ledger_conn_id!r:.80}. Give the ledger_conn_id of your operators."
        ) from None
