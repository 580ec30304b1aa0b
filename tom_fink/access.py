"""Who may see what: the one place that every Fink page asks.

Targets follow TOM Toolkit: OPEN ones are for everybody, PUBLIC ones for every logged-in user, PRIVATE
ones for users with guardian's `view_target` on them. Objects, alerts and counts follow their target.

A topic follows its target list. It is visible to

* superusers;
* users with `view_targetlist` on the list, their own or through one of their groups;
* every logged-in user if the group Public has it, as a PUBLIC target is for every logged-in user.
  Membership is not asked for: TOM Toolkit puts only self-registered users into that group, not those
  that an administrator creates;
* anonymous visitors, too, if the group Public has it and AUTH_STRATEGY is READ_ONLY.

A topic whose list was deleted is left to superusers. A visible topic may hold targets that are not.
"""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, Q
from guardian.shortcuts import get_objects_for_group, get_objects_for_user
from tom_dataproducts.models import PhotometryReducedDatum
from tom_targets.models import Target, TargetList
from tom_targets.permissions import targets_for_user

from tom_fink.models import Alert, FinkObject, Topic, TopicAlert

PUBLIC_GROUP = "Public"
VIEW_LIST = "tom_targets.view_targetlist"


def visible_targets(user):
    """Targets that `user`, who may be anonymous, may see.

    Returns a queryset of the site's target model, which TARGET_MODEL_CLASS may have exchanged.
    """
    return targets_for_user(user, Target.objects.all(), "view_target")


def visible_topics(user):
    """Topics whose existence `user` may know of. See the rules above."""
    if user.is_superuser:
        return Topic.objects.all()
    allowed = Q(pk__in=[])
    if user.is_authenticated:
        own_lists = get_objects_for_user(user, VIEW_LIST, klass=TargetList)
        allowed |= Q(target_list__in=own_lists.order_by().values("pk"))
    if user.is_authenticated or settings.AUTH_STRATEGY == "READ_ONLY":
        public = Group.objects.filter(name=PUBLIC_GROUP).first()
        if public is not None:
            public_lists = get_objects_for_group(public, VIEW_LIST, klass=TargetList)
            allowed |= Q(target_list__in=public_lists.order_by().values("pk"))
    return Topic.objects.filter(allowed)


def sees_all_accounts(user) -> bool:
    """Whether `user` may see the whole ledger: superusers, and staff who may see it in the admin.

    Others see what it says of the visible topics. A topic that brought nothing but messages without an
    alert is no row of `Topic`, and so not among them.
    """
    return user.is_superuser or (user.is_staff and user.has_perm("tom_fink.view_partitionledger"))


def sees_readers(user) -> bool:
    """Whether `user` may know the names of groups, hosts and processes: who may in the admin."""
    return user.is_superuser or (user.is_staff and user.has_perm("tom_fink.view_reader"))


def sees_rejected(user) -> bool:
    """Whether the admin shows `user` the rejected messages."""
    return user.is_staff and user.has_perm("tom_fink.view_rejectedmessage")


def visible_objects(user, topic=None):
    """Objects whose target `user` may see; with `topic`, a visible one, those that came in it.

    An object whose target was deleted is left to superusers.
    """
    objects = FinkObject.objects.all()
    if not user.is_superuser:
        objects = objects.filter(target__in=visible_targets(user).order_by().values("pk"))
    if topic is not None:
        objects = objects.filter(Exists(TopicAlert.objects.filter(topic=topic, fink_object=OuterRef("pk"))))
    return objects


def visible_deliveries(user, topics):
    """Rows of `TopicAlert` of visible objects in `topics`, themselves visible: what is counted."""
    deliveries = TopicAlert.objects.filter(topic__in=topics)
    if user.is_superuser:
        return deliveries
    return deliveries.filter(fink_object__target__in=visible_targets(user).order_by().values("pk"))


def visible_alerts(user, target=None):
    """Alerts, of one target or all, whose target `user` may see. Their cutouts are visible with them."""
    alerts = Alert.objects.filter(target__in=visible_targets(user).order_by().values("pk"))
    return alerts if target is None else alerts.filter(target=target)


def visible_photometry(user, target):
    """Fink's photometry of one target that `user` may see, in order of time.

    With TARGET_PERMISSIONS_ONLY off, TOM Toolkit asks for a permission on each row as well, and so
    does this, or the plot would show what TOM's own Photometry tab hides.
    """
    rows = PhotometryReducedDatum.objects.filter(
        source_name="Fink",
        target=target,
        target__in=visible_targets(user).order_by().values("pk"),
    )
    if not settings.TARGET_PERMISSIONS_ONLY:
        rows = get_objects_for_user(user, "tom_dataproducts.view_photometryreduceddatum", klass=rows)
    return rows.order_by("timestamp")
