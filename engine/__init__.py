"""The engine: the lifecycle of a run, its guarantee, and the launcher that drives it."""
