"""The commands: the only place that prints, exits and draws progress."""
