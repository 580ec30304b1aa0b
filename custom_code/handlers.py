"""An example of an alert handler; local_settings.py says how to give it the alerts of a topic."""

from tom_targets.models import TargetList

from tom_fink.alertstream import alert_saver
from tom_fink.models import FinkObject

LIST_NAME = "Bright"
BRIGHT_MAG = 18.0  # ZTF's PSF magnitude of the difference


def list_bright(alert, topic):
    """Store the alert as usual; put the target of a ZTF alert brighter than `BRIGHT_MAG` on the list *Bright*.

    `alert` has Fink's fields as they came; an alert may come more than once.
    """
    alert_saver(alert, topic)
    if alert["candidate"]["magpsf"] >= BRIGHT_MAG:
        return
    found = FinkObject.objects.filter(survey="ztf", object_id=alert["objectId"]).first()
    if found is not None and found.target is not None:  # a known Solar System body goes by its own name
        bright, _ = TargetList.objects.get_or_create(name=LIST_NAME)
        bright.targets.add(found.target)
