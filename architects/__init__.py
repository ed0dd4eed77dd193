"""The backends. Each supplies only actions; order, retries, time-outs, journal and signals belong to the engine."""
