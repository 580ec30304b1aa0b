"""TOM Toolkit's addresses; installed apps add theirs through `include_url_paths`."""

from django.urls import include, path

urlpatterns = [path("", include("tom_common.urls"))]
