"""An architect for tests: it records what is done, plays the server, and fails where told to."""
