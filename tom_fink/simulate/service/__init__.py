"""A stand-in for Fink's two REST services that serves a simulated sky over HTTP on this machine."""

from .catalogue import Catalogue
from .feed import NIGHTS, Feed
from .server import SimulatedService, simulated_service

__all__ = ["NIGHTS", "Catalogue", "Feed", "SimulatedService", "simulated_service"]
