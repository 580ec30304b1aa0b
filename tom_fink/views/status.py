"""The state of the stream: what became of every message, how long alerts took, and who reads."""

from django.http import Http404
from django.utils.cache import patch_cache_control
from django.views.generic import TemplateView

from tom_fink.access import sees_all_accounts, sees_readers, sees_rejected, visible_topics
from tom_fink.models import Topic
from tom_fink.status.delaychart import chart
from tom_fink.status.standing import Finding, Level, standing
from tom_fink.status.status import status

HOURS = 24
STEP_WORDS = {
    "emitted_to_broker": (
        "Observed to Fink done",
        "From the observation (ZTF: start of the exposure, Rubin: its middle) until Fink had finished with the alert. "
        "Alerts without Fink's time are not in it.",
    ),
    "broker_to_received": (
        "Fink done to here",
        "From then until the reader of this site had received it: with the broker, and on the way.",
    ),
    "received_to_stored": (
        "Here to stored",
        "From then until it was in the database of this site.",
    ),
    "emitted_to_stored": (
        "Observed to stored",
        "The whole way, from the observation until it could be seen here.",
    ),
}


class StatusView(TemplateView):
    """How the stream stands, for the topics that the user may know of; `?topic=` for one of them by hour."""

    template_name = "tom_fink/status.html"
    http_method_names = ["get", "head", "options"]

    def get_context_data(self, **kwargs):
        user = self.request.user
        sees_all = sees_all_accounts(user)
        accounts = None if sees_all else visible_topics(user).order_by().values("name")
        # PostgreSQL refuses a NUL in a text, and raises.
        topic = self.request.GET.get("topic", "").replace("\x00", "\ufffd")
        if topic:
            accounts = [topic] if sees_all else accounts.filter(name=topic)
        elif not sees_all and not accounts.exists():
            raise Http404("There is no topic that this user may see.")
        found = status(HOURS, accounts, by_hour=bool(topic))
        if topic and not (found["topics"] or found["rejected_elsewhere"]):
            raise Http404("There is no such topic.")
        findings = standing(found)
        # Who sees all may look at a topic that is no row of Topic; for others it would not be here.
        has_page = bool(topic) and (not sees_all or visible_topics(user).filter(name=topic).exists())
        return super().get_context_data(
            **kwargs,
            status=found,
            topic=topic,
            topic_has_page=has_page,
            findings=findings,
            level=findings[0].level.name,
            accounts=found["topics"],
            timed=_timed(found["topics"]),
            hours=_hours(found) if topic else None,
            charts=_charts(found) if topic else None,
            step_words=STEP_WORDS.values(),
            sees_readers=sees_readers(user),
            sees_rejected=sees_rejected(user),
        )

    def render_to_response(self, context, **kwargs):
        response = super().render_to_response(context, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        return response


def notices(user, names: list[str]) -> list[Finding]:
    """What the list of the visible topics of these names should say of the stream.

    Nothing when all is well, or nothing was ever read. Rejected messages are only for those who can look
    at them.
    """
    found = status(topics=None if sees_all_accounts(user) else names, with_delays=False)
    wanted = Level.NOTICE if sees_rejected(user) else Level.WARNING
    if not found["topics"] and not found["rejected_elsewhere"]:
        return []
    return [
        finding
        for finding in standing(found)
        if finding.level >= wanted
        and finding.about != "nothing"
        and (found["topics"] or finding.about == "rejected")
    ]


def account_of(topic: Topic) -> dict | None:
    """The ledger of a topic, itself visible, in the group that reads it: None where nothing was read."""
    entries = status(topics=[topic.name], with_delays=False)["topics"]
    return max(entries, key=lambda entry: entry["touched_at"], default=None)


def _timed(entries: list[dict]) -> list[dict]:
    """A row of delays for each topic that has any, with a cell for each step."""
    by_topic = {entry["topic"]: entry["delays"] for entry in entries if entry["delays"]}
    return [{"topic": topic, **_cells(delays["steps"])} for topic, delays in sorted(by_topic.items())]


def _hours(found: dict) -> list[dict]:
    """The same by hour, newest first."""
    by_hour = found["topics"][0]["delays"].get("by_hour", []) if found["topics"] else []
    return [{"hour": hour["hour"], **_cells(hour["steps"])} for hour in reversed(by_hour)]


def _charts(found: dict) -> list[dict]:
    by_hour = found["topics"][0]["delays"].get("by_hour", []) if found["topics"] else []
    drawn = [(words, chart(by_hour, step, found["at"], found["hours"])) for step, words in STEP_WORDS.items()]
    return [{"title": title, "meaning": meaning, **made} for (title, meaning), made in drawn if made]


def _cells(steps: dict) -> dict:
    cells = [steps[step] for step in STEP_WORDS]
    return {"alerts": max(cell["alerts"] for cell in cells), "cells": cells}
