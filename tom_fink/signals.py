"""What follows when people rename, merge and name targets in TOM Toolkit, and when objects are deleted."""

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from tom_targets.models import TargetName

from tom_fink.models import Alert, FinkObject


@receiver(post_save, sender=TargetName, dispatch_uid="tom_fink_object_follows_alias")
def object_follows_alias(sender, instance: TargetName, created: bool, raw: bool = False, **kwargs) -> None:
    """Give an object and its alerts to the target that takes the object's name as an alias.

    TOM Toolkit merges two targets so: the one that stays gets the other's name, and the other is
    deleted. Without this its alerts would be left without a target.
    """
    if raw or not created:
        return
    with transaction.atomic():
        for found in (
            FinkObject.objects.select_for_update(no_key=True)
            .filter(object_id=instance.name)
            .order_by("survey")
        ):
            if found.target_id != instance.target_id:
                FinkObject.objects.filter(pk=found.pk).update(target_id=instance.target_id)
                Alert.objects.filter(fink_object=found).update(target_id=instance.target_id)


@receiver(post_delete, sender=FinkObject, dispatch_uid="tom_fink_cutouts_go_with_object")
def cutouts_go_with_object(sender, instance: FinkObject, **kwargs) -> None:
    """Remove the cutouts of an object that is deleted, once it is."""
    from tom_fink.conf import cutout_file  # with it comes Fink's API, which few web workers need

    key = instance.survey, instance.object_id
    transaction.on_commit(lambda: cutout_file().forget([key]))
