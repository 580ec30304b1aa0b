"""Addresses of the pages, mounted at /custom/ by the app's configuration."""

from django.urls import path

from custom_code import views

app_name = "custom"

urlpatterns = [path("last-night/", views.LastNightView.as_view(), name="last-night")]
