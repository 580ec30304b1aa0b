"""How far the commands are that fill gaps: what is here may be deleted, and costs questions alone."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from tom_targets.models import BaseTarget


class Backfill(models.Model):
    """A backfill that has not ended yet. It is removed when it ends: who fills the same gap again asks anew.

    One that stores less of the same alerts is another one.
    """

    topic = models.CharField(max_length=249)
    since = models.DateTimeField(help_text=_("Where it began"))
    light_curves = models.BooleanField(default=True)
    aliases = models.BooleanField(default=False)
    done_until = models.DateTimeField(help_text=_("All alerts before it are stored"))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "since", "light_curves", "aliases"], name="tom_fink_backfill_once"
            )
        ]

    def __str__(self):
        return f"{self.topic} since {self.since:%Y-%m-%d %H:%M}"


class TargetRefresh(models.Model):
    """When Fink's databases were asked last for what they have of a target, be it nothing."""

    target = models.OneToOneField(
        BaseTarget, primary_key=True, on_delete=models.CASCADE, related_name="fink_refresh"
    )
    refreshed_at = models.DateTimeField()

    def __str__(self):
        return f"Refresh of target {self.target_id}"
