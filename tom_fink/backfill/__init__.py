"""Filling gaps from Fink's databases, gently and in parts: what the commands `backfill` and `refresh_targets` do.

`topics` says what to ask for a topic, `windows` brings it in parts, `refresh` brings targets up to date. `client`
keeps a rate and waits for a service that is away; `state` is where a run stopped.
"""
