"""Alerts in files: containers of alerts, and the archive of raw messages."""
