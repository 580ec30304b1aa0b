"""Settings of your own. They win over those of settings.py, and an update leaves this file alone."""

from typing import Any


def change(settings: dict[str, Any]) -> None:
    """Change the site's settings, which `settings` has by name. The last that settings.py does."""
    settings["INSTALLED_APPS"] += ["custom_code"]
    # Give the alerts of a topic to the example in custom_code/handlers.py:
    # for stream in settings["ALERT_STREAMS"]:
    #     stream["OPTIONS"]["TOPIC_HANDLERS"]["fink_sn_candidates_ztf"] = "custom_code.handlers.list_bright"
