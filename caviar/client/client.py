"""The client: the verbs of the API as methods, its answers as the contract's views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx2

from caviar.client.bodies import as_json, checked, import_bodies, study_body
from caviar.client.connection import Clock, Connection, Query
from caviar.client.downloads import download
from caviar.client.events import PATIENCE_S, follow
from caviar.client.tokens import TokenRequests
from caviar.client.webhooks import WebhookClient
from caviar.contract.analysis import Importances, ReplayView
from caviar.contract.catalogue import StudyComparison
from caviar.contract.curves import CurveQuery
from caviar.contract.errors import InvalidRequest, Unavailable
from caviar.contract.messages import TrialStatus
from caviar.contract.points import Contour, Points
from caviar.contract.preview import Preview
from caviar.contract.ranking import Annotation, Comparison, Leaderboard, Retest, Retested
from caviar.contract.rungs import Rungs
from caviar.contract.space import ParamValue
from caviar.contract.study import ImportTrials, OpenRound, StudyEdit, StudySpec
from caviar.contract.timeline import Timeline
from caviar.contract.views import (
    Curve,
    Curves,
    Demand,
    EventView,
    History,
    Imported,
    Measurements,
    Objectives,
    Rounds,
    RoundView,
    Skipped,
    Spaces,
    StudyPage,
    StudyView,
    TrialDetail,
    TrialPage,
    TrialView,
    Workers,
    WorkerView,
)

_PAGE = 500


class Client(TokenRequests):
    """A synchronous client of one Caviar service; safe to share among threads.

    Every method raises the errors of `caviar.contract.errors`: `Unavailable` if the service cannot be reached,
    `Unauthorized` without a valid access token, and otherwise what the service says.

    Attributes:
        webhooks: Whom the service tells of its studies.
    Args:
        url: Address of the service; None for `CAVIAR_URL`, or http://127.0.0.1:8700.
        token: Access token; None for `CAVIAR_TOKEN`, or the one that a service of this user stored on this machine.
        http: An HTTP client to send requests with; it stays open when this client is closed.
        clock: Where waiting takes its time from.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        http: httpx2.Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = Connection(url, token, http, clock or Clock())
        self.webhooks = WebhookClient(self._connection)

    @property
    def url(self) -> str:
        """Address of the service, without a slash at its end."""
        return self._connection.url

    def close(self) -> None:
        """Close the connections to the service."""
        self._connection.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections to the service."""
        self.close()

    def create_study(self, spec: StudySpec | Mapping[str, Any]) -> StudyView:
        """Submit a study; submitting the same one again changes nothing and answers with it.

        Raises:
            InvalidRequest: Fields are missing or wrong; found here before anything is sent, or by the service.
            StudyExists: Another study has this name (409).
        """
        return self._connection.ask(StudyView, "POST", "/studies", body=study_body(spec))

    def preview(self, spec: StudySpec | Mapping[str, Any], samples: int = 20) -> Preview:
        """What a study would propose and could cost; nothing is stored.

        Args:
            spec: The study.
            samples: Configurations to draw, 1 to 10,000.
        """
        query = {"samples": samples}
        return self._connection.ask(Preview, "POST", "/studies:preview", query=query, body=study_body(spec))

    def studies(self, *, archived: bool = False) -> Iterator[StudyView]:
        """All studies in use, or all that are archived, fetched page by page as they are asked for."""
        after: str | None = None
        while True:
            page = self._connection.ask(
                StudyPage, "GET", "/studies", query={**_page(100, after), "archived": str(archived).lower()}
            )
            yield from page.items
            after = page.next_after
            if after is None:
                return

    def compare_studies(self, *names: str) -> StudyComparison:
        """Two to six studies side by side: best values over time, distributions, what differs in their set-up."""
        return self._connection.ask(StudyComparison, "GET", "/studies:compare", query={"study": list(names)})

    def study(self, name: str) -> StudyView:
        """A study and where it stands."""
        return self._connection.ask(StudyView, "GET", _study(name))

    def edit_study(self, name: str, edit: StudyEdit | Mapping[str, Any]) -> StudyView:
        """Change the budget, the search space, the priority, the requirements or the tags of a live study.

        What is left out stays, and a limit of None is lifted. A search space is given whole.
        """
        change = edit if isinstance(edit, StudyEdit) else checked(StudyEdit, edit)
        return self._connection.ask(StudyView, "PATCH", _study(name), body=change.model_dump_json(exclude_unset=True))

    def delete_study(self, name: str) -> None:
        """Delete a study with all its trials and measurements."""
        self._connection.send("DELETE", _study(name))

    def pause(self, name: str) -> StudyView:
        """Hand out no more trials of a study until it is resumed."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:pause")

    def resume(self, name: str) -> StudyView:
        """Go on with a paused study."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:resume")

    def stop(self, name: str) -> StudyView:
        """End a study for good; its running trials are cancelled."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:stop")

    def archive(self, name: str) -> StudyView:
        """Keep a study that has ended out of lists; nothing of it changes any more, and its checkpoints go."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:archive")

    def unarchive(self, name: str) -> StudyView:
        """Take a study out of the archive."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:unarchive")

    def clone(self, name: str, new_name: str) -> StudyView:
        """Create a study with the same body under another name."""
        return self._connection.ask(StudyView, "POST", f"{_study(name)}:clone", body=as_json({"name": new_name}))

    def leaderboard(
        self,
        name: str,
        *,
        limit: int = 50,
        after: int | None = None,
        state: str | Sequence[str] = (),
        where: Sequence[str] = (),
        text: str = "",
        sort: str = "rank",
    ) -> Leaderboard:
        """A page of the trials of a study, best first unless told otherwise.

        Args:
            name: The study.
            limit: Rows on the page.
            after: `next_after` of the page before; None for the first.
            state: Only trials in this state, or in one of these.
            where: Only trials that meet all of these, such as `learning_rate:1e-4..1e-2` or `optimizer:adam|sgd`.
            text: Only trials with this text in a tag or in the note.
            sort: A column or parameter; `-` before it turns the order round.
        """
        states = [state] if isinstance(state, str) else [*state]
        query: Query = {**_page(limit, after), "state": states, "where": [*where], "q": text, "sort": sort}
        return self._connection.ask(Leaderboard, "GET", f"{_study(name)}/leaderboard", query=query)

    def compare(self, name: str, numbers: Sequence[int]) -> Comparison:
        """Two to six trials of a study side by side, with their curves.

        Args:
            name: The study.
            numbers: Of the trials within the study.
        """
        query: Query = {"trial": [*numbers]}
        return self._connection.ask(Comparison, "GET", f"{_study(name)}/trials:compare", query=query)

    def retest(self, name: str, top: int = 5, repeats: int = 2) -> Retested:
        """Train the best configurations of a live study again, each time with another seed.

        Args:
            name: The study.
            top: How many configurations, from the best.
            repeats: How many further trials of each.
        Raises:
            StateConflict: The study has ended, has no result yet, or its budget has no room for them (409).
        """
        body = checked(Retest, {"top": top, "repeats": repeats})
        return self._connection.ask(Retested, "POST", f"{_study(name)}:retest", body=body.model_dump_json())

    def annotate(self, trial_id: int, tags: Mapping[str, str] | None = None, note: str | None = None) -> TrialDetail:
        """Say something of a trial: all its tags by name, its note, or both; what is None stays as it is."""
        given = {"tags": None if tags is None else dict(tags), "note": note}
        body = checked(Annotation, {key: value for key, value in given.items() if value is not None})
        text = body.model_dump_json(exclude_none=True)
        return self._connection.ask(TrialDetail, "PATCH", f"/trials/{trial_id:d}", body=text)

    def history(self, name: str) -> History:
        """How the best value of a study came about: every epoch that was better than all before it."""
        return self._connection.ask(History, "GET", f"{_study(name)}/history")

    def trials(self, name: str) -> Iterator[TrialView]:
        """All trials of a study in the order of their numbers, fetched page by page as they are asked for."""
        after: int | None = None
        while True:
            page = self._connection.ask(TrialPage, "GET", f"{_study(name)}/trials", query=_page(_PAGE, after))
            yield from page.items
            after = page.next_after
            if after is None:
                return

    def trial(self, trial_id: int) -> TrialDetail:
        """A trial with its attempts."""
        return self._connection.ask(TrialDetail, "GET", f"/trials/{trial_id:d}")

    def measurements(self, trial_id: int, attempts: Literal["current", "all"] = "current") -> Measurements:
        """The epochs of a trial: its curve, or everything that all of its attempts reported."""
        query = {"attempts": attempts}
        return self._connection.ask(Measurements, "GET", f"/trials/{trial_id:d}/measurements", query=query)

    def curves(self, name: str) -> Iterator[Curve]:
        """The learning curves of a study in the order of trial numbers, fetched page by page as they are asked for."""
        after: int | None = None
        while True:
            page = self._connection.ask(Curves, "GET", f"{_study(name)}/curves", query=_page(_PAGE, after))
            yield from page.items
            after = page.next_after
            if after is None:
                return

    def curve_sample(self, name: str, query: CurveQuery | None = None) -> Curves:
        """Learning curves of a sample of a study's trials, thinned so that they can be drawn at once.

        Raises:
            InvalidRequest: The range of values at an epoch cannot be used, or no trial reports the metric (422).
        """
        wanted = query or CurveQuery()
        found = wanted.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"limit", "after"})
        return self._connection.ask(Curves, "GET", f"{_study(name)}/curves", query={"sample": 400} | found)

    def rounds(self, name: str) -> Rounds:
        """The rounds of a study's strategy, oldest first; none for strategies without rounds."""
        return self._connection.ask(Rounds, "GET", f"{_study(name)}/rounds")

    def rungs(self, name: str) -> Rungs:
        """Who came to which rung of a study, who went on, and on what grounds."""
        return self._connection.ask(Rungs, "GET", f"{_study(name)}/rungs")

    def timeline(self, name: str) -> Timeline:
        """When each attempt of a study ran and where, or of very many how busy each worker was."""
        return self._connection.ask(Timeline, "GET", f"{_study(name)}/timeline")

    def importances(self, name: str, method: Literal["ped_anova", "fanova"] = "ped_anova") -> Importances:
        """How much each parameter of a study matters.

        Raises:
            StateConflict: Fewer than 10 of its trials can be compared yet (409).
        """
        return self._connection.ask(Importances, "GET", f"{_study(name)}/importances", query={"method": method})

    def points(self, name: str, *, limit: int = 2000) -> Points:
        """A sample of a study's trials, column by column: the best ones, those that run, an even part of all.

        Args:
            name: The study.
            limit: At most this many trials, 4 to 5000.
        """
        return self._connection.ask(Points, "GET", f"{_study(name)}/points", query={"limit": limit})

    def contour(self, name: str, x: str, y: str) -> Contour:
        """How the metric of a study goes with two parameters, smoothed over its trials.

        Raises:
            InvalidRequest: The study has no such parameters (422).
            StateConflict: Fewer than 5 of its trials have a value and both parameters (409).
        """
        return self._connection.ask(Contour, "GET", f"{_study(name)}/contour", query={"x": x, "y": y})

    def replay(self, name: str) -> ReplayView:
        """Have every suggestion of a study computed once more from its events, and compared with what is stored.

        Raises:
            StateConflict: Its events contradict each other (409).
        """
        return self._connection.ask(ReplayView, "GET", f"{_study(name)}/replay")

    def open_round(self, name: str, windows: Mapping[str, Any]) -> RoundView:
        """Set what the strategy draws from next.

        Args:
            name: A study whose strategy works in rounds.
            windows: By parameter, `{"low": …, "high": …}` or `{"weights": {choice: weight, …}}`; parameters that are
                left out keep the window of the round before.
        """
        body = checked(OpenRound, {"windows": dict(windows)})
        return self._connection.ask(
            RoundView, "POST", f"{_study(name)}/rounds", body=body.model_dump_json(exclude_none=True)
        )

    def spaces(self, name: str) -> Spaces:
        """The search spaces that a study has had, and how many of its trials fit the one in force."""
        return self._connection.ask(Spaces, "GET", f"{_study(name)}/spaces")

    def import_trials(self, name: str, trials: ImportTrials | Mapping[str, Any]) -> Imported:
        """Give a study the results of another one, or of trials that were trained elsewhere.

        Large imports are sent in portions; one that broke off may be repeated.

        Args:
            name: The study.
            trials: `{"study": other}` or `{"items": [{"params": {…}, "value": 0.3}, …]}`.
        """
        body = trials if isinstance(trials, ImportTrials) else checked(ImportTrials, trials)
        num_imported, skipped = 0, list[Skipped]()
        for offset, text in import_bodies(body):
            part = self._connection.ask(Imported, "POST", f"{_study(name)}/trials:import", body=text)
            num_imported += part.num_imported
            skipped += [one.model_copy(update={"position": one.position + offset}) for one in part.skipped]
        return Imported(num_imported=num_imported, skipped=skipped)

    def enqueue(self, name: str, params: Mapping[str, ParamValue]) -> TrialStatus:
        """Have a hand-made configuration trained next.

        Raises:
            InvalidRequest: It does not fit the study's space (422).
        """
        body = as_json({"params": dict(params)})
        return self._connection.ask(TrialStatus, "POST", f"{_study(name)}/trials", body=body)

    def stop_trial(self, trial_id: int) -> TrialStatus:
        """Cancel a trial that has not ended."""
        return self._connection.ask(TrialStatus, "POST", f"/trials/{trial_id:d}:stop")

    def retry_trial(self, trial_id: int) -> TrialStatus:
        """Run a failed or cancelled trial once more."""
        return self._connection.ask(TrialStatus, "POST", f"/trials/{trial_id:d}:retry")

    def snippet(self, trial_id: int) -> str:
        """A trial's configuration as a Python program that needs Keras and nothing of Caviar."""
        return self._connection.send("GET", f"/trials/{trial_id:d}/snippet").content.decode("utf-8")

    def download_weights(self, trial_id: int, path: str | Path = ".") -> Path:
        """Save the weights of a trial's best epoch, a `.weights.h5` file of Keras.

        Args:
            trial_id: One of the best trials of a study that has ended; `trial(trial_id).artifacts` tells what is kept.
            path: The file, or the folder for a file `trial-<trial_id>.weights.h5`.
        Returns:
            The file.
        Raises:
            NotFound: There is no such trial, or its weights are not kept (404).
            OSError: The file cannot be written.
        """
        target = Path(path)
        target = target / f"trial-{trial_id:d}.weights.h5" if target.is_dir() else target
        download(self._connection, f"/trials/{trial_id:d}/weights", target)
        return target

    def events(self, name: str, after: int | None = None) -> Iterator[EventView]:
        """What happens in a study, as it happens, without end; broken connections are mended without a gap.

        Args:
            name: The study.
            after: Sequence number of the last known event, such as `study(name).last_event_seq`; 0 for all events from
                the first; None for those from now on.
        Raises:
            Unavailable: The service cannot be reached at first, or was away for more than a minute later.
        """
        start = self.study(name).last_event_seq if after is None else after
        return follow(self._connection, f"{_study(name)}/events", start)

    def export(self, name: str, format: Literal["csv", "json"] = "csv") -> str:
        """All trials of a study as one text, in UTF-8 on the wire.

        Args:
            name: The study.
            format: `csv` for a table with a line per trial, `json` for everything.
        """
        answer = self._connection.send("GET", f"{_study(name)}/export", query={"format": format})
        return answer.content.decode("utf-8")

    def objectives(self) -> Objectives:
        """What can be trained."""
        return self._connection.ask(Objectives, "GET", "/objectives")

    def workers(self) -> Workers:
        """The registered workers, the newest first."""
        return self._connection.ask(Workers, "GET", "/workers")

    def demand(self) -> Demand:
        """How many trials are in training, and how many could be if there were slots for all."""
        return self._connection.ask(Demand, "GET", "/workers:demand")

    def pause_worker(self, worker_id: str) -> WorkerView:
        """Give a worker nothing new; what it trains goes on."""
        return self._connection.ask(WorkerView, "POST", f"{_worker(worker_id)}:pause")

    def resume_worker(self, worker_id: str) -> WorkerView:
        """Give a worker trials again."""
        return self._connection.ask(WorkerView, "POST", f"{_worker(worker_id)}:resume")

    def drain_worker(self, worker_id: str) -> WorkerView:
        """Give a worker nothing new; it ends once what it trains is done."""
        return self._connection.ask(WorkerView, "POST", f"{_worker(worker_id)}:drain")

    def wait(
        self,
        name: str,
        timeout_s: float | None = None,
        *,
        poll_s: float = 1.0,
        patience_s: float = PATIENCE_S,
        on_view: Callable[[StudyView], None] | None = None,
    ) -> StudyView:
        """Wait until a study is complete or stopped.

        Args:
            name: The study.
            timeout_s: Seconds after which to give up; None for never.
            poll_s: Seconds between two looks.
            patience_s: Seconds for which a service that is away is asked again.
            on_view: Called with the study at every look.
        Returns:
            The finished study.
        Raises:
            TimeoutError: The study is not finished after `timeout_s`.
            Unavailable: The service was away for longer than `patience_s`.
        """
        clock = self._connection.clock
        start = seen = clock.monotonic()
        while True:
            try:
                study = self.study(name)
            except Unavailable:
                if clock.monotonic() - seen >= patience_s:
                    raise
            else:
                seen = clock.monotonic()
                if on_view is not None:
                    on_view(study)
                if study.state.is_finished:
                    return study
            elapsed = clock.monotonic() - start
            if timeout_s is not None and elapsed >= timeout_s:
                raise TimeoutError(f"study {name} is not finished after {timeout_s:g} s")
            clock.sleep(poll_s if timeout_s is None else min(poll_s, timeout_s - elapsed))


def _study(name: str) -> str:
    return f"/studies/{_part(name, 'the name of a study')}"


def _worker(worker_id: str) -> str:
    return f"/workers/{_part(worker_id, 'the id of a worker')}"


def _part(name: str, expected: str) -> str:
    if not name or name.strip(".") == "":
        raise InvalidRequest(f"received {name!r}, expected {expected}")
    return quote(name, safe="")


def _page(limit: int, after: str | int | None) -> Query:
    return {"limit": limit} if after is None else {"limit": limit, "after": after}
