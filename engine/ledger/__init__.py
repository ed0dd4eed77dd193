"""The durable record of runs, their transitions and their resources, and whose a run is.

What may be recorded when is decided in lifecycle/ and run/; nothing here acts.
"""
