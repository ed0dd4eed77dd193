"""The router as a program: its command line, listening sockets, supervisor and data directory.

What it serves is in door/.
"""
