"""The hooks through which TOM Toolkit finds this app's pages."""

from django.apps import AppConfig
from django.urls import include, path


class TomFinkConfig(AppConfig):
    """Integration points of TOM Toolkit 3.1 (read by its templates and URL configuration)."""

    name = "tom_fink"
    label = "tom_fink"
    verbose_name = "Fink"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        """Connect the signal receivers."""
        import tom_fink.signals  # noqa: F401

    def include_url_paths(self):
        """Mount the Fink pages at /fink/."""
        return [path("fink/", include("tom_fink.urls", namespace="fink"))]

    def nav_items(self):
        """The *Fink* entry of the navigation bar."""
        return [{"partial": "tom_fink/partials/navbar_link.html"}]

    def data_services(self):
        """Fink's databases among the data services: both surveys as one, and each with all it can be asked for."""
        names = ("FinkDataService", "FinkZtfDataService", "FinkRubinDataService")
        return [{"class": f"tom_fink.dataservices.{name}"} for name in names]

    def target_detail_tabs(self):
        """The *Fink* tab of a target's page."""
        return [
            {
                "partial": "tom_fink/partials/target_tab.html",
                "context": "tom_fink.templatetags.tom_fink_extras.target_tab",
                "label": "Fink",
            }
        ]
