"""What the database tests have in common."""

import uuid

import pytest
from django.contrib.auth.models import Group, User
from guardian.shortcuts import assign_perm
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from tests.db.pages import make_topic
from tom_fink.kafka.options import StreamOptions
from tom_fink.kafka.producer import AlertProducer, mock_cluster
from tom_fink.models import Alert, FinkObject, RejectedMessage, Topic, TopicAlert

WRITTEN = (
    BaseTarget, TargetName, TargetList, TargetList.targets.through, PhotometryReducedDatum, Topic, FinkObject, Alert,
    TopicAlert, RejectedMessage, Group,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cutouts(settings, tmp_path):
    """A file of cutouts for each test: it knows nothing of a transaction that is rolled back."""
    settings.FINK_CUTOUTS_FILE = str(tmp_path / "cutouts.sqlite3")


@pytest.fixture
def row_counts():
    """A function that counts the rows of every table that the writer writes."""

    def count() -> dict[str, int]:
        return {model._meta.label: model.objects.count() for model in WRITTEN}

    return count


@pytest.fixture
def ordinary():
    return User.objects.create_user("ordinary", password="x")


@pytest.fixture
def permitted(ordinary):
    """A user with view_target on every private target that a test makes before it logs in."""
    return User.objects.create_user("permitted", password="x")


@pytest.fixture
def superuser():
    return User.objects.create_superuser("root", password="x")


@pytest.fixture
def as_user(client, ordinary, permitted, superuser):
    """A function from a kind of visitor to a client that is logged in as one."""

    def log_in(who):
        client.logout()
        users = {"ordinary": ordinary, "permitted": permitted, "superuser": superuser}
        if who in users:
            client.force_login(users[who])
        if who == "permitted":
            for target in Target.objects.filter(permissions="PRIVATE"):
                assign_perm("tom_targets.view_target", permitted, target)
        return client

    return log_in


@pytest.fixture
def topic():
    return make_topic()


@pytest.fixture(scope="module")
def cluster():
    """The address of a mock cluster."""
    with mock_cluster() as address:
        yield address


@pytest.fixture
def short_sessions(monkeypatch):
    """The mock cluster lets a group be joined again only when the session of who left it has run out."""
    settings = StreamOptions.kafka
    monkeypatch.setattr(StreamOptions, "kafka", lambda self: settings(self) | {"session.timeout.ms": 6000})


@pytest.fixture
def send(cluster):
    """A function that sends messages to their topics, each given a prefix of this test's own."""
    prefix = f"t{uuid.uuid4().hex[:8]}_"

    def send(messages) -> str:
        with AlertProducer(cluster) as producer:
            for message in messages:
                producer.send(prefix + message.topic, message.key, message.value)
        return prefix

    return send


@pytest.fixture
def published(settings, cluster):
    """Settings with the published configuration of Fink's TOM module, as its README has it."""

    def configure(topic, **changes):
        settings.ALERT_STREAMS = [
            {
                "ACTIVE": True,
                "NAME": "tom_fink.alertstream.FinkAlertStream",
                "OPTIONS": {
                    "URL": cluster,
                    "USERNAME": "observer",
                    "GROUP_ID": f"group-{uuid.uuid4().hex[:8]}",
                    "TOPIC": topic,
                    "MAX_POLL_NUMBER": 1e10,
                    "TIMEOUT": 10,
                    "TOPIC_HANDLERS": {"fink.stream": "tom_fink.alertstream.alert_logger"},
                }
                | changes,
            }
        ]
        return settings.ALERT_STREAMS[0]["OPTIONS"]

    return configure
