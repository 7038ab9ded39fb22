"""TomoPy as an engine, where it is installed."""
