"""The app's own Django settings, read when they are needed so that a test can override them."""

from django.conf import settings
from tom_targets.base_models import BaseTarget

from tom_fink.errors import ConfigurationError


def target_permission() -> str:
    """FINK_TARGET_PERMISSION: who may see the targets that the stream makes. Default PUBLIC.

    Raises `ConfigurationError` for anything but OPEN, PUBLIC and PRIVATE.
    """
    permission = getattr(settings, "FINK_TARGET_PERMISSION", BaseTarget.Permissions.PUBLIC)
    if permission not in BaseTarget.Permissions.values:
        raise ConfigurationError(
            f"FINK_TARGET_PERMISSION={permission!r} cannot be used: "
            f"it takes {', '.join(BaseTarget.Permissions.values)}."
        )
    return permission
