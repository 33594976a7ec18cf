"""``OutreachOperator`` and ``PlanOutreachOperator``: a campaign as one task that survives anything."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, conf
from airflow.sdk import Asset, BaseOperator

from airflow_provider_voice.dialing.run_age import check_run_age
from airflow_provider_voice.exceptions import CallOutcomeUnknown, InvalidRequest, StaleRun
from airflow_provider_voice.hooks.sql import ledger_engine, sql_engine
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import read_time
from airflow_provider_voice.utils.links import CampaignLink
from airflow_provider_voice.utils.masking import MaskedValue, plain
from airflow_provider_voice.utils.task_errors import permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import has_template, is_literal, is_resolved, one_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from airflow.sdk import Context
    from sqlalchemy import Engine

    from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings, Waiting
    from airflow_provider_voice.outreach.contacts import Columns
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.plan import PlanDigest
    from airflow_provider_voice.policy import ContactPolicy

StaleRunChoice = Literal["fail", "skip", "call"]
ProblemChoice = Literal["report", "fail"]
_NUMBERS = ":numbers"
#: Airflow's scheduler can fail a deferred task whose trigger fires within a second or two.
_SHORTEST_DEFERRAL = timedelta(seconds=5)


def outreach_asset(campaign: str) -> Asset:
    """Return the asset whose event tells that a campaign's contacts are all final, with the counts.

    :param campaign: the campaign, as the operator has it.
    :raises InvalidRequest: for a template: an asset must be known when the DAG is parsed.
    """
    from urllib.parse import quote  # with the first asset only

    if has_template(campaign):
        raise InvalidRequest("An asset cannot be made of a template: name the campaign's asset in outlets yourself.")
    return Asset(name=f"voice_outreach.{campaign}", uri=f"x-voice-outreach://{quote(campaign, safe='')}")


class _OutreachBase(BaseOperator):
    """The arguments that a plan and a campaign share, and what is made of them."""

    template_fields: Sequence[str] = (
        "campaign", "contacts", "contacts_conn_id", "voice_conn_id", "agent_id", "region", "context", "ledger_conn_id",
        "subject", "do_not_call", "do_not_call_conn_id", "ends_at", "plan_id", "max_concurrent", "calls_per_minute",
    )  # fmt: skip
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"contacts": "sql", "do_not_call": "sql", "context": "json"}
    operator_extra_links = (CampaignLink(),)
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        campaign: str,
        contacts: Any,
        contacts_conn_id: str | None = None,
        key: str = "contact_id",
        to: str = "to",
        time_zone: str = "time_zone",
        jurisdiction: str = "jurisdiction",
        variables: Sequence[str] | None = None,
        voice_conn_id: str = VoiceHook.default_conn_name,
        agent_id: str | int | None = None,
        region: str | None = None,
        context: Mapping[str, Any] | None = None,
        ledger_conn_id: str | None = None,
        max_attempts: int = 3,
        redial_after: Mapping[str, timedelta | float] | None = None,
        success_statuses: Collection[str] = ("completed",),
        policy: Any = None,
        subject: str | None = None,
        do_not_call: Any = None,
        do_not_call_conn_id: str | None = None,
        max_concurrent: int = 10,
        calls_per_minute: float | None = None,
        ends_at: datetime | str | None = None,
        stale_run: StaleRunChoice = "fail",
        max_run_age: timedelta | float = timedelta(days=1),
        on_invalid: ProblemChoice = "report",
        on_unknown: ProblemChoice = "report",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 30,
        call_timeout: timedelta | float = timedelta(hours=4),
        end_calls_on_kill: bool = False,
        plan_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.contacts = contacts
        self.contacts_conn_id = contacts_conn_id
        self.key, self.to, self.time_zone, self.jurisdiction = key, to, time_zone, jurisdiction
        self.variables = variables
        self.voice_conn_id = voice_conn_id
        self.agent_id = agent_id
        self.region = region
        self.context = context
        self.ledger_conn_id = ledger_conn_id
        self.max_attempts = max_attempts
        self.redial_after = redial_after
        self.success_statuses = success_statuses
        self.policy = policy
        self.subject = subject
        self.do_not_call = do_not_call
        self.do_not_call_conn_id = do_not_call_conn_id
        self.max_concurrent = max_concurrent
        self.calls_per_minute = calls_per_minute
        self.ends_at = ends_at
        self.stale_run = stale_run
        self.max_run_age = timedelta(seconds=seconds_of("max_run_age", max_run_age))
        self.on_invalid = on_invalid
        self.on_unknown = on_unknown
        self.deferrable = deferrable
        self.poll_interval = seconds_of("poll_interval", poll_interval)
        self.call_timeout = timedelta(seconds=seconds_of("call_timeout", call_timeout))
        self.end_calls_on_kill = end_calls_on_kill
        self.plan_id = plan_id
        self._running: Campaign | None = None
        self._check_arguments()

    def _check_arguments(self) -> None:
        """Refuse what can be known to be wrong when the DAG is parsed.

        :raises InvalidRequest: naming the argument.
        """
        one_of("stale_run", self.stale_run, get_args(StaleRunChoice))
        one_of("on_invalid", self.on_invalid, get_args(ProblemChoice))
        one_of("on_unknown", self.on_unknown, get_args(ProblemChoice))
        if not self.campaign or not isinstance(self.campaign, str):
            raise InvalidRequest("campaign must be a name; runs with the same name go on with the same contacts.")
        if isinstance(self.variables, str):
            raise InvalidRequest("variables must be a list of columns, not one text.")
        if is_literal(self.max_concurrent):
            _positive("max_concurrent", self.max_concurrent, whole=True)
        if self.calls_per_minute is not None and is_literal(self.calls_per_minute):
            _positive("calls_per_minute", self.calls_per_minute)
        if self.ends_at is not None and is_literal(self.ends_at):
            _moment(self.ends_at)
        # Imported here: an operator without redial rules of its own costs a DAG file nothing.
        if self.max_attempts != 3 or self.redial_after is not None or tuple(self.success_statuses) != ("completed",):  # noqa: PLR2004 - the default
            self._rules()

    def _rules(self) -> Any:
        from airflow_provider_voice.outreach.redial import RedialRules  # loads SQLAlchemy

        return RedialRules.of(self.max_attempts, self.redial_after, self.success_statuses)

    @property
    def contacts(self) -> Any:
        """The source of the contacts; a list of people is hidden as soon as it is one."""
        return self._contacts

    @contacts.setter
    def contacts(self, value: Any) -> None:
        is_people = not isinstance(value, (str, MaskedValue)) and hasattr(value, "__len__") and is_resolved(value)
        self._contacts = (
            MaskedValue(value, f"{len(value)} contacts") if is_people and not has_template(value) else value
        )

    @property
    def do_not_call(self) -> Any:
        """The do-not-call list; a list of numbers is hidden as soon as it is one."""
        return self._do_not_call

    @do_not_call.setter
    def do_not_call(self, value: Any) -> None:
        is_people = not isinstance(value, (str, MaskedValue)) and hasattr(value, "__len__") and is_resolved(value)
        self._do_not_call = MaskedValue(value, f"{len(value)} numbers") if is_people else value

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the voice connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    @cached_property
    def _database(self) -> Database:
        from airflow_provider_voice.outreach.database import Database  # loads SQLAlchemy

        return Database(ledger_engine(self.ledger_conn_id))

    @cached_property
    def _policy(self) -> ContactPolicy | None:
        if self.policy is None:
            return None
        from airflow_provider_voice.policy import as_policy  # YAML and calendars: only a task with a policy needs them

        return as_policy(self.policy)

    def _settings(self) -> CampaignSettings:
        from airflow_provider_voice.outreach.campaign import CampaignSettings
        from airflow_provider_voice.outreach.pacing import Limits

        rate = self.calls_per_minute
        return CampaignSettings(
            campaign=self.campaign,
            agent_id=None if self.agent_id in (None, "") else str(self.agent_id),
            context=self.context or {},
            subject=self.subject or None,
            limits=Limits(
                None if not rate and rate != 0 else _positive("calls_per_minute", rate),
                int(_positive("max_concurrent", self.max_concurrent, whole=True)),
            ),
            rules=self._rules(),
            ends_at=None if self.ends_at in (None, "") else _moment(self.ends_at),
            poll_interval=self.poll_interval,
            call_timeout=self.call_timeout,
            end_calls_on_kill=self.end_calls_on_kill,
        )

    def _columns(self) -> Columns:
        from airflow_provider_voice.outreach.contacts import Columns

        variables = None if self.variables is None else tuple(self.variables)
        return Columns(self.key, self.to, self.time_zone, self.jurisdiction, variables)

    def _digest(self, settings: CampaignSettings) -> PlanDigest:
        from airflow_provider_voice.outreach.plan import PlanDigest

        rules = settings.rules
        do_not_call = plain(self.do_not_call)
        return PlanDigest(
            {
                "campaign": self.campaign,
                "voice_conn_id": self.voice_conn_id,
                "agent_id": settings.agent_id,
                "context": settings.context,
                "subject": settings.subject,
                "columns": self._columns(),
                "limits": [settings.limits.calls_per_minute, settings.limits.max_concurrent],
                "max_attempts": rules.max_attempts,
                "redial_after": {status.value: span.total_seconds() for status, span in rules.after.items()},
                "success": sorted(status.value for status in rules.success),
                "ends_at": settings.ends_at,
                "policy": self._policy,
                # The entries are asked again right before each call, so they may change; not where they come from.
                "do_not_call": do_not_call if isinstance(do_not_call, str) else do_not_call is not None,
                "do_not_call_conn_id": self.do_not_call_conn_id,
            }
        )

    def _load(self, digest: PlanDigest) -> None:
        """Bring the contacts of the source into the ledger."""
        from airflow_provider_voice.outreach.contact_loading import ContactLoader, LoadCounts
        from airflow_provider_voice.outreach.contacts import contacts_of

        def check(counts: LoadCounts) -> None:
            if counts.rejected and self.on_invalid == "fail":
                raise InvalidRequest(
                    f"{counts.rejected} of {counts.rows} contacts cannot be called; nobody was. Their reasons are in "
                    "the ledger: voice-outreach status shows them. Correct the source, or set on_invalid='report'."
                )
            if self.plan_id and digest.plan_id != self.plan_id:
                raise InvalidRequest(
                    f"The contacts or the settings of campaign {self.campaign!r} have changed since the plan "
                    f"{self.plan_id} was made ({digest.plan_id} now); nobody was called. Plan again."
                )

        region = self.region or self.hook.vendor.settings.default_region
        found = digest.read(contacts_of(self._rows(), self._columns(), region))
        counts = ContactLoader(self._database, self.campaign).load(found, check)
        self.log.info(
            "Read %d contacts: %d cannot be called, %d are merged with another one of their number.",
            counts.rows, counts.rejected, counts.merged,
        )  # fmt: skip

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of the source, none of them kept."""
        source = plain(self.contacts)
        if not isinstance(source, str):
            yield from source
        elif self.contacts_conn_id:
            yield from _query(self.contacts_conn_id, source)
        else:
            from airflow.sdk import ObjectStoragePath  # fsspec: only for a file

            from airflow_provider_voice.outreach.contact_files import read_rows

            # Airflow's own open is untyped.
            with ObjectStoragePath(source).open("rb") as file:  # type: ignore[no-untyped-call]  # see above
                yield from read_rows(source.rpartition("/")[2], file)

    def _do_not_call_list(self) -> Any:
        source = plain(self.do_not_call)
        if source is None or source == "":
            return None
        from airflow_provider_voice.outreach.gate import ListedNumbers

        if not isinstance(source, str):
            return ListedNumbers(lambda: source)
        if not self.do_not_call_conn_id:
            raise InvalidRequest("do_not_call is SQL, so it needs do_not_call_conn_id: the connection it runs on.")
        return _DoNotCallTable(self.do_not_call_conn_id, source)

    def _campaign(self, settings: CampaignSettings) -> Campaign:
        from airflow_provider_voice.outreach.campaign import Campaign

        return Campaign(settings, self._database, self.hook, policy=self._policy, do_not_call=self._do_not_call_list())


class OutreachOperator(_OutreachBase):
    """Call every contact of a list, with redials, at a pace, within a policy; no retry and no second run rings twice.

    .. code-block:: python

        OutreachOperator(
            task_id="call",
            campaign="spring-2026",
            contacts="SELECT contact_id, phone AS to, name FROM people",
            contacts_conn_id="crm",
            ledger_conn_id="outreach_ledger",
            policy="us",
            calls_per_minute=60,
        )

    :param campaign: its name; runs with the same name go on with the same contacts.
    :param contacts: SQL for ``contacts_conn_id``; a list of mappings, also another task's output; or the path of a
        CSV, JSONL or Parquet file in any storage.
    :param contacts_conn_id: the connection that SQL runs on.
    :param key: the column of a contact's key, default ``contact_id``; derived from the number where it is missing.
    :param to: the column of the number, default ``to``.
    :param time_zone: the column of the IANA time zone, default ``time_zone``; used when it is there.
    :param jurisdiction: the column of the ISO 3166 code, default ``jurisdiction``; used when it is there.
    :param variables: the columns handed to the agent; ``None``: all others.
    :param voice_conn_id: the voice connection, default ``voice_default``.
    :param agent_id: the vendor's agent; ``None``: the connection's ``default_agent_id``.
    :param region: two-letter country of numbers written without ``+``; ``None``: the connection's ``default_region``.
    :param context: values that come back with the vendor's events.
    :param ledger_conn_id: the ledger's database; ``None``: a SQLite file under ``AIRFLOW_HOME``, for one machine.
    :param max_attempts: attempts a contact gets at most, default 3; apart from Airflow's ``retries``.
    :param redial_after: how long after an ending a contact is called again, by status; endings that are not named are
        final. Default: busy 15 minutes, no_answer 2 hours, voicemail 24 hours, failed 1 hour.
    :param success_statuses: the endings that reach a contact, default ``completed``.
    :param policy: a contact policy: a ``ContactPolicy``, the name or path of a rule file, or a list of them.
    :param subject: what the calls are about; caps count attempts of one number and subject.
    :param do_not_call: SQL for ``do_not_call_conn_id`` whose first column is a number, or a list of numbers; asked
        again right before each call. With ``:numbers`` in the SQL only the numbers at hand are asked for, as E.164.
    :param do_not_call_conn_id: the connection of that SQL.
    :param max_concurrent: calls in progress at once, over all that share the ledger and the connection, default 10.
    :param calls_per_minute: calls placed in a minute, counted likewise; ``None``: no limit.
    :param ends_at: nobody is called from then on; aware ``datetime`` or ISO 8601 text.
    :param stale_run: what an old run or a backfill does that has not begun to call: ``fail``, ``skip`` or ``call``.
    :param max_run_age: how old a run may be, default one day.
    :param on_invalid: ``report`` contacts that cannot be called, or ``fail`` before anybody is called.
    :param on_unknown: ``report`` contacts that may have been rung, or ``fail`` in the end.
    :param deferrable: hold no worker while nothing can happen for longer than a minute.
    :param poll_interval: seconds between two polls of the calls in progress, default 30.
    :param call_timeout: how long a call may take, default 4 hours.
    :param end_calls_on_kill: hang up when a user kills the task, default False.
    :param plan_id: what ``PlanOutreachOperator`` returned: the task fails when contacts or settings have changed since.
    :return: ``{"campaign", "contacts", "attempts", <count per state>, "by_status"}``; also on the event of
        :func:`outreach_asset`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._asset = None if has_template(self.campaign) else outreach_asset(self.campaign)
        if self._asset is not None and self._asset not in self.outlets:
            self.outlets = [*self.outlets, self._asset]

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the contacts, then call until every one is final."""
        from airflow_provider_voice.outreach.campaign_record import CampaignRecord

        with permanent_errors_end_the_task():
            settings = self._settings()
            run = f"{context['ti'].dag_id}/{context['ti'].task_id}/{context['ti'].run_id}"
            self._check_run_age(context, CampaignRecord(self._database, self.campaign), run)
            CampaignRecord(self._database, self.campaign).begin(run)
            self._load(self._digest(settings))
            return self._run(context, settings)

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after a deferral.

        :param context: the task's context.
        :param event: what the trigger fired; the ledger knows better, so it is not read.
        """
        del event
        with permanent_errors_end_the_task():
            return self._run(context, self._settings())

    def on_kill(self) -> None:
        """Send no more creates from now on; the calls in progress go on unless ``end_calls_on_kill``."""
        if self._running is not None:
            self._running.kill()

    def _check_run_age(self, context: Context, record: Any, run: str) -> None:
        if self.stale_run == "call" or record.was_begun_by(run):
            return
        try:
            check_run_age(context["dag_run"], self.max_run_age)
        except StaleRun as error:
            if self.stale_run == "skip":
                raise AirflowSkipException(error.message) from error
            raise

    def _run(self, context: Context, settings: CampaignSettings) -> dict[str, Any]:
        from airflow_provider_voice.outreach.campaign import CampaignKilled, Waiting

        self._running = self._campaign(settings)
        try:
            done = self._running.run(may_defer=self.deferrable)
        except CampaignKilled as error:
            raise AirflowException(str(error)) from error
        if not isinstance(done, Waiting):
            return self._finish(context, done)
        self._defer(done)
        raise AssertionError("defer() returned")

    def _defer(self, waiting: Waiting) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # only a task that waits needs them

        from airflow_provider_voice.triggers.call_status import CallStatusTrigger

        moment = datetime.now(timezone.utc) + max(_SHORTEST_DEFERRAL, timedelta(seconds=waiting.seconds))
        self.log.info("Nothing can happen before %s; %d calls in progress.", moment, len(waiting.calls))
        trigger: Any = DateTimeTrigger(moment=moment)
        if waiting.calls:
            trigger = CallStatusTrigger(
                voice_conn_id=self.voice_conn_id,
                calls=[ref.to_dict() for ref in waiting.calls],
                deadline=moment.timestamp(),
                poll_interval=self.poll_interval,
                end_call_on_kill=self.end_calls_on_kill,
            )
        self.defer(trigger=trigger, method_name="resume")

    def _finish(self, context: Context, counts: dict[str, Any]) -> dict[str, Any]:
        self.log.info("The campaign is done: %s.", ", ".join(f"{count} {name}" for name, count in counts.items()))
        events = context.get("outlet_events")
        if self._asset is not None and events is not None:
            events[self._asset].extra = counts
        if counts["unknown"] and self.on_unknown == "fail":
            raise CallOutcomeUnknown(
                f"{counts['unknown']} contacts of campaign {self.campaign!r} may have been rung, and nobody can tell. "
                "List them with 'voice-outreach unknown', settle them with 'voice-outreach resolve'.",
                permanent=True,
            )
        return counts


class PlanOutreachOperator(_OutreachBase):
    """Plan the campaign of an ``OutreachOperator`` with the same arguments, and call nobody.

    The plan is written into the ledger (``voice_outreach_contacts.planned_at`` and ``reason``). Parameters:
    :class:`OutreachOperator`.

    :return: ``{"campaign", "plan_id", "contacts", "rejected", "merged", "planned", "not_called", "first_call_at",
        "finish_at", "reasons"}``.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the contacts, ask policy and do-not-call list for each, and return the plan."""
        from airflow_provider_voice.outreach.campaign_record import CampaignRecord
        from airflow_provider_voice.outreach.gate import Gate
        from airflow_provider_voice.outreach.ledger import Ledger
        from airflow_provider_voice.outreach.plan import Planner, store_plan_id

        del context
        with permanent_errors_end_the_task():
            settings = self._settings()
            record = CampaignRecord(self._database, self.campaign)
            record.begin("")
            digest = self._digest(settings)
            self._load(digest)
            ledger = Ledger(self._database, self.campaign, self.voice_conn_id, subject=settings.subject)
            gate = Gate(ledger, self._policy, self._do_not_call_list(), settings.rules.max_attempts)
            plan = Planner(ledger, gate, settings.limits, settings.ends_at).plan()
            store_plan_id(self._database, self.campaign, digest.plan_id)
            counts = record.counts()
        result = {
            "campaign": self.campaign,
            "plan_id": digest.plan_id,
            **{name: counts[name] for name in ("contacts", "rejected", "merged")},
            **plan,
        }
        self.log.info("The plan: %s", result)
        return result


class _DoNotCallTable:
    """A do-not-call list in a database, asked for every batch."""

    def __init__(self, conn_id: str, sql: str) -> None:
        self._conn_id = conn_id
        self._sql = sql

    @cached_property
    def _engine(self) -> Engine:
        return sql_engine(self._conn_id)

    def listed(self, numbers: Collection[str]) -> set[str]:
        """Return those of the numbers that are on the list now."""
        from sqlalchemy import bindparam, text

        from airflow_provider_voice.outreach.gate import matching

        with self._engine.connect() as connection:
            if _NUMBERS in self._sql:
                statement = text(self._sql).bindparams(bindparam("numbers", expanding=True))
                return matching(numbers, connection.execute(statement, {"numbers": list(numbers)}).scalars())
            return matching(numbers, connection.exec_driver_sql(self._sql).scalars())


def _query(conn_id: str, sql: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a query, streamed by the server where it can."""
    with sql_engine(conn_id).connect() as connection:
        streamed = connection.execution_options(stream_results=True, yield_per=1000)
        for row in streamed.exec_driver_sql(sql).mappings():
            yield dict(row)


def _positive(name: str, value: object, *, whole: bool = False) -> float:
    """Return a number greater than zero, also out of a template."""
    try:
        number = float(value)  # type: ignore[arg-type]  # what float refuses is refused below
    except (TypeError, ValueError):
        number = 0.0
    if isinstance(value, bool) or not 0 < number < float("inf") or (whole and not number.is_integer()):
        kind = "a whole number" if whole else "a number"
        raise InvalidRequest(f"{name} must be {kind} greater than 0, not {str(value)[:40]!r}.")
    return number


def _moment(value: object) -> datetime:
    """Return an aware moment, also out of a template."""
    moment = value if isinstance(value, datetime) else None
    if isinstance(value, str):
        moment = read_time(value)
    if moment is None or moment.tzinfo is None:
        raise InvalidRequest("ends_at must be an aware datetime or ISO 8601 text with a time zone.")
    return moment.astimezone(timezone.utc)
