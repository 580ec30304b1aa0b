from collections import defaultdict
from datetime import UTC, datetime, timedelta

import polars as pl
from django.db import migrations

from tom_fink.conf import cutout_file
from tom_fink.cutoutfile import KINDS, PLACE

AT_ONCE = 200  # alerts
ALWAYS = (-(2**63), 2**63)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = dict.fromkeys(PLACE, pl.String) | {'observed_us': pl.Int64} | dict.fromkeys(KINDS, pl.Binary)


def into_the_file(apps, schema_editor):
    """Copy the images into the file of cutouts. To be interrupted and begun again does no harm."""
    cutouts = apps.get_model('tom_fink', 'Cutout').objects.using(schema_editor.connection.alias)
    keys = sorted(set(cutouts.values_list('alert_id', flat=True)))
    for start in range(0, len(keys), AT_ONCE):
        images = defaultdict(dict)
        some = cutouts.filter(alert__in=keys[start : start + AT_ONCE])
        places = some.values_list(
            'alert__fink_object__survey', 'alert__fink_object__object_id', 'alert__observed_at', 'alert__survey',
            'alert__alert_id', 'kind', 'fits',
        )  # fmt: skip
        for survey, object_id, observed_at, *alert, kind, fits in places:
            observed_us = (observed_at - EPOCH) // timedelta(microseconds=1)
            images[survey, object_id, observed_us, *alert][kind] = bytes(fits)
        rows = [(*place, *map(found.get, KINDS)) for place, found in images.items()]
        seen = dict.fromkeys({place[:2] for place in images}, ALWAYS)
        cutout_file().keep(pl.DataFrame(rows, schema=SCHEMA, orient='row'), seen)


class Migration(migrations.Migration):

    dependencies = [
        ('tom_fink', '0007_less_upkeep'),
    ]

    operations = [
        # Backwards the table is made again, and stays empty until alerts come.
        migrations.RunPython(into_the_file, migrations.RunPython.noop),
        migrations.DeleteModel('Cutout'),
    ]
