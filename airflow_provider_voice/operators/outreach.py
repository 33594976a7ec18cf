"""``OutreachOperator`` and ``PlanOutreachOperator``: a campaign as one task, which a retry continues.

The arguments become settings of ``outreach/``, where the campaign is. Modules that need SQLAlchemy are imported when a
task runs: a DAG file that names an operator need not load them.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, get_args
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import Asset, BaseOperator

from airflow_provider_voice.dialing.run_age import StaleRunAction, check_run_age
from airflow_provider_voice.exceptions import CallOutcomeUnknown, InvalidRequest, StaleRun
from airflow_provider_voice.export.assets import report
from airflow_provider_voice.hooks.sql import shared_ledger_engine, sql_engine
from airflow_provider_voice.hooks.voice import HasVoiceHook, VoiceHook
from airflow_provider_voice.models import json_object, write_time
from airflow_provider_voice.outreach.contact_source import LIST_AS_TEXT, check_source, rows_of
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.states import OPEN
from airflow_provider_voice.phone import checked_region
from airflow_provider_voice.utils.call_arguments import (
    check_templated,
    id_or_none,
    masked_list,
    masked_values,
    policy_of,
    text_or_none,
)
from airflow_provider_voice.utils.links import CampaignLink
from airflow_provider_voice.utils.masking import MaskedField, MaskedValue, MasksRenderedFields, plain
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import (
    boolean,
    duration,
    is_literal,
    moment_or_text,
    one_of,
    positive_or_text,
    seconds_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_voice.models import CallStatus
    from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings, Waiting
    from airflow_provider_voice.outreach.campaign_record import CampaignRecord
    from airflow_provider_voice.outreach.contact_loading import LoadCounts
    from airflow_provider_voice.outreach.contacts import Columns
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.gate import DoNotCall
    from airflow_provider_voice.outreach.plan import PlanDigest
    from airflow_provider_voice.policy import ContactPolicy

ProblemAction = Literal["report", "fail"]
EmptyAction = Literal["fail", "cancel"]


def outreach_asset(campaign: str) -> Asset:
    """Return the asset that a campaign updates when all of its contacts are final, to schedule DAGs by.

    :param campaign: the campaign, as given to the operator.
    :return: an asset named ``voice_outreach.<campaign>``; its events carry the campaign's counts.
    :raises InvalidRequest: for a template: an asset must be known when the DAG is parsed.
    """
    if not is_literal(campaign):
        raise InvalidRequest("An asset's name cannot be a template. Name the campaign's asset in outlets yourself.")
    return Asset(name=f"voice_outreach.{campaign}", uri=f"x-voice-outreach://{quote(campaign, safe='')}")


def _masked_contacts(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith(LIST_AS_TEXT):
        return MaskedValue(value, "the text of a list")  # it is refused later, and must not be shown either
    return masked_list(value, "contacts")


class _OutreachBase(MasksRenderedFields, HasVoiceHook, BaseOperator):
    """The arguments of both operators, and their conversion to settings of ``outreach/``."""

    template_fields: Sequence[str] = (
        "campaign", "contacts", "contacts_conn_id", "voice_conn_id", "agent_id", "region", "context", "ledger_conn_id",
        "subject", "do_not_call", "do_not_call_conn_id", "ends_at", "plan_id", "max_concurrent", "calls_per_minute",
    )  # fmt: skip
    # Airflow shows template fields, so a list of people is masked at once.
    contacts = MaskedField(_masked_contacts)
    do_not_call = MaskedField(partial(masked_list, noun="numbers"))
    context = MaskedField(masked_values)
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
        success_statuses: Collection[CallStatus | str] = ("completed",),
        policy: ContactPolicy | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        subject: str | None = None,
        do_not_call: Any = None,
        do_not_call_conn_id: str | None = None,
        max_concurrent: int | str = 10,
        calls_per_minute: float | str | None = None,
        ends_at: datetime | str | None = None,
        stale_run: StaleRunAction = "fail",
        max_run_age: timedelta | float = timedelta(days=1),
        on_invalid: ProblemAction = "report",
        on_unknown: ProblemAction = "report",
        on_empty: EmptyAction = "fail",
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
        self.subject = subject
        self.do_not_call = do_not_call
        # A template or another task's output that renders to nothing is a list that is missing, not one that is empty.
        is_given = bool(do_not_call) if isinstance(do_not_call, str) else do_not_call is not None
        self._expects_do_not_call = is_given or do_not_call_conn_id is not None
        self.do_not_call_conn_id = do_not_call_conn_id
        self.max_concurrent = max_concurrent
        self.calls_per_minute = calls_per_minute
        self.ends_at = ends_at
        self.stale_run = stale_run
        self.on_invalid = on_invalid
        self.on_unknown = on_unknown
        self.on_empty = on_empty
        self.plan_id = plan_id
        self._running: Campaign | None = None
        with bad_arguments_end_the_task():
            self.deferrable = boolean("deferrable", deferrable)
            self.end_calls_on_kill = boolean("end_calls_on_kill", end_calls_on_kill)
            self.max_run_age = duration("max_run_age", max_run_age)
            self.poll_interval = seconds_of("poll_interval", poll_interval)
            self.call_timeout = duration("call_timeout", call_timeout)
            self.redial_rules = RedialRules.of(max_attempts, redial_after, success_statuses)
            self.policy = policy_of(policy)
            self._check_arguments()

    def _check_arguments(self) -> None:
        """Refuse wrong arguments when the DAG is parsed; templates are checked when the task runs.

        :raises InvalidRequest: naming the argument.
        """
        one_of("stale_run", self.stale_run, get_args(StaleRunAction))
        one_of("on_invalid", self.on_invalid, get_args(ProblemAction))
        one_of("on_unknown", self.on_unknown, get_args(ProblemAction))
        one_of("on_empty", self.on_empty, get_args(EmptyAction))
        if not self.campaign or not isinstance(self.campaign, str):
            raise InvalidRequest("campaign must be a name; runs with the same name continue with the same contacts.")
        if is_literal(self.contacts) and is_literal(self.contacts_conn_id):
            check_source(plain(self.contacts), has_connection=bool(self.contacts_conn_id))
        sql = plain(self.do_not_call)
        if isinstance(sql, str) and sql.strip() and is_literal(sql) and not self.do_not_call_conn_id:
            raise InvalidRequest("do_not_call is SQL, so it needs do_not_call_conn_id: the connection it runs on.")
        if self.variables is not None and not isinstance(self.variables, (list, tuple)):
            raise InvalidRequest(f"variables must be a list of columns, not {type(self.variables).__name__}.")
        of_every_call = ("voice_conn_id", "agent_id", "region", "context", "subject")
        check_templated({name: plain(getattr(self, name)) for name in of_every_call})
        if is_literal(self.max_concurrent):
            positive_or_text("max_concurrent", self.max_concurrent, int)
        if self.calls_per_minute is not None and is_literal(self.calls_per_minute):
            positive_or_text("calls_per_minute", self.calls_per_minute)
        if self.ends_at is not None and is_literal(self.ends_at):
            moment_or_text("ends_at", self.ends_at)

    @cached_property
    def _database(self) -> Database:
        from airflow_provider_voice.outreach.database import Database  # loads SQLAlchemy

        return Database(shared_ledger_engine(self.ledger_conn_id))

    @cached_property
    def _record(self) -> CampaignRecord:
        from airflow_provider_voice.outreach.campaign_record import CampaignRecord  # loads SQLAlchemy

        return CampaignRecord(self._database, self.campaign)

    def _settings(self) -> CampaignSettings:
        """Return the campaign's settings, from rendered arguments."""
        from airflow_provider_voice.outreach.campaign import CampaignSettings
        from airflow_provider_voice.outreach.pacing import Limits

        rate, ends_at = self.calls_per_minute, self.ends_at
        return CampaignSettings(
            campaign=self.campaign,
            agent_id=id_or_none("agent_id", self.agent_id),
            context=json_object("context", plain(self.context) or None),
            subject=text_or_none("subject", self.subject),
            limits=Limits(
                calls_per_minute=None if rate in (None, "") else positive_or_text("calls_per_minute", rate),
                max_concurrent=int(positive_or_text("max_concurrent", self.max_concurrent, int)),
            ),
            rules=self.redial_rules,
            ends_at=None if ends_at in (None, "") else moment_or_text("ends_at", ends_at),
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

        do_not_call = plain(self.do_not_call)
        return PlanDigest(
            {
                **vars(settings),
                "agent_id": settings.agent_id or self.hook.vendor.settings.default_agent_id,
                "voice_conn_id": self.voice_conn_id,
                "columns": self._columns(),
                "policy": self.policy,
                # The entries are asked again right before each call, so they may change; not where they come from.
                "do_not_call": do_not_call if isinstance(do_not_call, str) else do_not_call is not None,
                "do_not_call_conn_id": self.do_not_call_conn_id,
            }
        )

    def _load(self, settings: CampaignSettings, *, is_plan: bool = False) -> tuple[str, int]:
        """Bring the contacts of the source into the ledger, unless they must not be called.

        :param settings: the campaign's settings.
        :param is_plan: whether nobody may be called yet, not even by a run of the campaign that is in progress.
        :return: the id of the plan that contacts and settings make, and the number of the load.
        :raises InvalidRequest: when nobody may be called; then no new or changed contact is.
        :raises InvalidPhoneNumber: when the region is not a country, likewise.
        """
        from airflow_provider_voice.outreach.contact_loading import ContactLoader
        from airflow_provider_voice.outreach.contacts import contacts_of

        digest = self._digest(settings)
        region = checked_region(self.region or self.hook.vendor.settings.default_region)
        found = digest.read(contacts_of(self._rows(), self._columns(), region))
        loader = ContactLoader(self._database, self.campaign, settings.rules)
        counts = loader.load(found, lambda counts: self._check_source(counts, digest.plan_id), is_plan=is_plan)
        self.log.info("Contacts: %d rows, %d cannot be called, %d merged.", counts.rows, counts.rejected, counts.merged)
        return digest.plan_id, loader.number

    def _check_source(self, counts: LoadCounts, plan_id: str) -> None:
        if not counts.rows and self.on_empty == "fail":
            stored = self._record.counts()
            if left := sum(stored[state.value] for state in OPEN):
                raise InvalidRequest(
                    f"The source of campaign {self.campaign!r} has no row, and {left} of its contacts are not final. "
                    "An empty source would cancel those who wait, so nothing was changed and nobody was called. "
                    "Correct the source; if it is right, set on_empty='cancel'."
                )
        if counts.rejected and self.on_invalid == "fail":
            raise InvalidRequest(
                f"{counts.rejected} of {counts.rows} contacts cannot be called; nobody was. Their reasons are in "
                "the ledger: voice-outreach status shows them. Correct the source, or set on_invalid='report'."
            )
        if self.plan_id and plan_id != self.plan_id:
            raise InvalidRequest(
                f"The contacts or the settings of campaign {self.campaign!r} have changed since the plan "
                f"{self.plan_id} was made ({plan_id} now); nobody was called. Plan again."
            )

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        engine = sql_engine(self.contacts_conn_id) if self.contacts_conn_id else None
        return rows_of(plain(self.contacts), engine, _open_file)

    def _do_not_call_list(self) -> DoNotCall | None:
        from airflow_provider_voice.outreach.gate import do_not_call_of  # loads SQLAlchemy

        engine = sql_engine(self.do_not_call_conn_id) if self.do_not_call_conn_id else None
        return do_not_call_of(plain(self.do_not_call), engine, is_expected=self._expects_do_not_call)


def _open_file(path: str) -> Any:
    from airflow.sdk import ObjectStoragePath  # fsspec: only for a file

    return ObjectStoragePath(path).open("rb")  # type: ignore[no-untyped-call]  # Airflow's own open is untyped


class OutreachOperator(_OutreachBase):
    """Call every contact of a list, with redials, at a pace, within a policy; no retry and no second run rings twice.

    .. code-block:: python

        OutreachOperator(
            task_id="call",
            campaign="spring-2026",
            contacts='SELECT contact_id, phone AS "to", name FROM people',
            contacts_conn_id="crm",
            ledger_conn_id="outreach_ledger",
            policy="us",
            calls_per_minute=60,
        )

    :param campaign: its name; runs with the same name continue with the same contacts.
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
    :param max_attempts: the most attempts a contact gets, default 3; independent of Airflow's ``retries``.
    :param redial_after: how long after an ending a contact is called again, by status; endings that are not named are
        final. Default: busy 15 minutes, no_answer 2 hours, voicemail 24 hours, failed 1 hour.
    :param success_statuses: the endings that reach a contact, default ``completed``.
    :param policy: a contact policy: a ``ContactPolicy``, the name or path of a rule file, or a list of them.
    :param subject: the topic of the calls; caps count attempts of one number and subject.
    :param do_not_call: SQL for ``do_not_call_conn_id`` whose first column is a number, or a list of numbers; asked
        again right before each call. With ``WHERE phone IN :numbers`` only those about to be called are looked up.
    :param do_not_call_conn_id: the connection of that SQL.
    :param max_concurrent: calls in progress at once, over all that share the ledger and the connection, default 10.
    :param calls_per_minute: calls placed in a minute, counted likewise; ``None``: no limit.
    :param ends_at: nobody is called from then on; aware ``datetime`` or ISO 8601 text.
    :param stale_run: ``fail`` (default) or ``skip`` an old run or a backfill that has not begun to call, or ``call``
        anyway.
    :param max_run_age: how long ago a run may have been due, as a ``timedelta`` or in seconds, default one day.
    :param on_invalid: ``report`` (default) contacts that cannot be called, or ``fail`` before anybody is called.
    :param on_unknown: ``report`` (default) contacts that may have been rung, or ``fail`` in the end.
    :param on_empty: ``fail`` (default) when the source has no row while contacts are not final, or ``cancel`` the
        contacts that wait.
    :param deferrable: hold no worker while nothing can happen for longer than a minute; default ``[operators]
        default_deferrable``.
    :param poll_interval: time between two polls of the calls in progress, as a ``timedelta`` or in seconds, default 30.
    :param call_timeout: how long a call may take before its contact becomes ``unknown``, and how long an attempt of
        unknown outcome counts for ``max_concurrent``, as a ``timedelta`` or in seconds, default 4 hours.
    :param end_calls_on_kill: hang up when a user kills the task, default False.
    :param plan_id: the ``plan_id`` that ``PlanOutreachOperator`` returned: the task fails when contacts or settings
        have changed since. None (default): no plan is needed.
    :param kwargs: the arguments of ``BaseOperator``, ``task_id`` for one.
    :return: ``{"campaign", "contacts", "attempts", <count per state>, "by_status"}``; also on the event of
        :func:`outreach_asset`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._asset = outreach_asset(self.campaign) if is_literal(self.campaign) else None
        if self._asset is not None and self._asset not in self.outlets:
            self.outlets = [*self.outlets, self._asset]

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the contacts, then call until every one is final.

        :param context: the task's context.
        :return: the counts.
        """
        with permanent_errors_end_the_task(skip_on=(StaleRun,) if self.stale_run == "skip" else ()):
            settings = self._settings()
            run = f"{context['ti'].dag_id}/{context['ti'].task_id}/{context['ti'].run_id}"
            if self.stale_run != "call" and not self._record.was_begun_by(run):
                check_run_age(context["dag_run"], self.max_run_age)
            self._record.begin("")
            self._load(settings)
            # Not before: a run whose source was refused has called nobody, and may be old when it is cleared.
            self._record.begin(run)
            return self._run(context, settings)

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after a deferral.

        :param context: the task's context.
        :param event: the payload of the trigger's event; not needed, because the next step follows from the ledger.
        :return: the counts.
        """
        del event
        with permanent_errors_end_the_task():
            return self._run(context, self._settings())

    def on_kill(self) -> None:
        """Send no more creates; calls in progress continue unless ``end_calls_on_kill``."""
        if self._running is not None:
            self._running.kill()

    def _run(self, context: Context, settings: CampaignSettings) -> dict[str, Any]:
        from airflow_provider_voice.outreach.campaign import Campaign, Waiting

        self._running = Campaign(
            settings, self._database, self.hook, policy=self.policy, do_not_call=self._do_not_call_list()
        )
        done = self._running.run(may_defer=self.deferrable)
        if isinstance(done, Waiting):
            self._defer(done)
        return self._finish(context, done)

    def _defer(self, waiting: Waiting) -> NoReturn:
        """Hold no worker until something can happen: a call ends, or somebody is due."""
        # Only a task that waits needs the triggers.
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        from airflow_provider_voice.triggers.call_status import CallStatusTrigger

        moment = datetime.now(timezone.utc) + timedelta(seconds=waiting.seconds)
        self.log.info("Nothing can happen before %s; %d calls in progress.", write_time(moment), len(waiting.calls))
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
        """Put the counts on the asset's event and return them; fail for unknown contacts if ``on_unknown`` says so."""
        self.log.info("Every contact is final: %s", counts)
        report(context, self._asset, counts)
        if counts["unknown"] and self.on_unknown == "fail":
            raise CallOutcomeUnknown(
                f"{counts['unknown']} contacts of campaign {self.campaign!r} may have been rung, and nobody can tell. "
                "List them with 'voice-outreach unknown', settle them with 'voice-outreach resolve'."
            )
        return counts


class PlanOutreachOperator(_OutreachBase):
    """Plan the campaign of an ``OutreachOperator`` with the same arguments, and call nobody.

    .. code-block:: python

        campaign = {"campaign": "spring-2026", "contacts": "s3://lists/people.csv", "ledger_conn_id": "outreach_ledger"}
        plan = PlanOutreachOperator(task_id="plan", **campaign)
        plan >> OutreachOperator(task_id="call", plan_id=plan.output["plan_id"], **campaign)

    The plan is written into the ledger (``voice_outreach_contacts.planned_at`` and ``reason``). Parameters:
    :class:`OutreachOperator`.

    :return: ``{"campaign", "plan_id", "contacts", "rejected", "merged", "planned", "not_called", "first_call_at",
        "finish_at", "reasons"}``.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the contacts, ask policy and do-not-call list for each, and return the plan.

        :param context: the task's context; not needed.
        :return: the plan's id, its counts and times.
        """
        from airflow_provider_voice.outreach.gate import Gate
        from airflow_provider_voice.outreach.ledger import Ledger
        from airflow_provider_voice.outreach.plan import Planner, store_plan_id

        del context
        with permanent_errors_end_the_task():
            settings = self._settings()
            self._record.begin("")
            plan_id, load_number = self._load(settings, is_plan=True)
            ledger = Ledger(self._database, self.campaign, self.voice_conn_id, subject=settings.subject)
            gate = Gate(ledger, self.policy, self._do_not_call_list(), settings.rules.max_attempts)
            plan = Planner(ledger, gate, settings.limits, settings.ends_at, load_number=load_number).plan()
            store_plan_id(self._database, self.campaign, plan_id)
            counts = self._record.counts()
        totals = {name: counts[name] for name in ("contacts", "rejected", "merged")}
        result = {"campaign": self.campaign, "plan_id": plan_id, **totals, **plan}
        self.log.info("The plan: %s", result)
        return result
