"""What the database tests have in common."""

import pytest
from django.contrib.auth.models import Group, User
from guardian.shortcuts import assign_perm
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, Target, TargetList, TargetName

from tests.db.pages import make_topic
from tom_fink.models import Alert, Cutout, FinkObject, RejectedMessage, Topic, TopicAlert

WRITTEN = (
    BaseTarget, TargetName, TargetList, TargetList.targets.through, PhotometryReducedDatum, Topic, FinkObject, Alert,
    TopicAlert, Cutout, RejectedMessage, Group,
)  # fmt: skip


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
