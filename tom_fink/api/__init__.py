"""Fink's REST APIs of ZTF and of Rubin: questions (`ztf`, `lsst`), the client that asks, what it is told."""
