"""Fink for TOM Toolkit's older alert pages (`tom_alerts`), which has to be installed to import what is here."""
