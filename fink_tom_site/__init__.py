"""The site: settings, addresses and the demo. Everything about Fink is in `tom_fink`."""
