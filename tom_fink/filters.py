"""The search above a topic's table."""

from django.db.models import Exists, OuterRef, Q
from tom_common.htmx_table import HTMXTableFilterSet
from tom_targets.models import TargetName

from tom_fink.models import FinkObject


class FinkObjectFilterSet(HTMXTableFilterSet):
    """Keeps objects whose id, class, target name or one of the target's aliases contains the text."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        field = self.form.fields["query"]
        field.label = "Search"
        field.widget.attrs["placeholder"] = "Name, alias, object id or class"

    def general_search(self, queryset, name, value):
        # EXISTS, because a join with the aliases would repeat an object that has several.
        alias = TargetName.objects.filter(target=OuterRef("target"), name__icontains=value)
        return queryset.filter(
            Q(object_id__icontains=value)
            | Q(fink_class__icontains=value)
            | Q(target__name__icontains=value)
            | Exists(alias)
        )

    class Meta:
        model = FinkObject
        fields = []
