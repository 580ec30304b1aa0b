"""Addresses of the Fink pages, mounted at /fink/ by the app's configuration."""

from django.urls import path

from tom_fink import views

app_name = "fink"

urlpatterns = [
    path("", views.TopicListView.as_view(), name="topics"),
    path("status/", views.StatusView.as_view(), name="status"),
    # Kafka allows no slash in a topic's name; `path` takes one all the same, so that a row with a strange
    # name cannot break the page that lists it.
    path("topics/<path:topic>/", views.TopicView.as_view(), name="topic"),
    path("targets/<int:pk>/", views.TargetView.as_view(), name="target"),
    path("targets/<int:pk>/lightcurve.json", views.LightCurveView.as_view(), name="lightcurve"),
    path("alerts/<int:pk>/<slug:kind>.png", views.CutoutPngView.as_view(), name="cutout"),
    path("alerts/<int:pk>/<slug:kind>.fits", views.CutoutFitsView.as_view(), name="cutout-fits"),
    path("searches/targets/", views.MakeTargetsView.as_view(), name="make-targets"),
    path("assets/plotly-<str:version>.min.js", views.plotly_js, name="plotly"),
]
