"""A simulated sky and the alerts that Fink would send of it, for demonstrations and tests."""

from .stream import SimulatedAlert, serialise, simulated_alerts

__all__ = ["SimulatedAlert", "serialise", "simulated_alerts"]
