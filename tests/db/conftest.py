"""What the database tests have in common."""

import pytest
from django.contrib.auth.models import Group
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import BaseTarget, TargetList, TargetName

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
