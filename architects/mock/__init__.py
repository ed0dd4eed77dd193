"""An architect for tests: it records what is done, plays the server, and fails where told to.

Doubles that need no server are in falsework.engine.testing.
"""
