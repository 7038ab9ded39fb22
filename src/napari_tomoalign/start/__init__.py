"""From what the caller gave to a run that can start, and to the place where it starts."""
