"""Processes and addresses of this machine, for every backend that starts something here, also those of others.

`child` starts a process that carries its run's id, and waits for its ready line. `process` finds those that run, and ends
them. `mark` reads the id that a process carries. `address` asks a server for its run's id. What is started, and from which
files, is the backend's and shipping/'s.
"""

__all__ = ("address", "child", "mark", "process")
