"""How TOM Toolkit finds this app's pages."""

from django.apps import AppConfig
from django.urls import include, path


class CustomCodeConfig(AppConfig):
    """Integration points of TOM Toolkit 3.1."""

    name = "custom_code"
    default_auto_field = "django.db.models.BigAutoField"

    def include_url_paths(self):
        """Mount the pages at /custom/."""
        return [path("custom/", include("custom_code.urls", namespace="custom"))]

    def nav_items(self):
        """The entry *Last night* of the navigation bar."""
        return [{"partial": "custom_code/navbar_link.html"}]
