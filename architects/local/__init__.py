"""A server on this machine: a router, several of them, or a server of one's own.

Processes and addresses as such are in machine/.
"""
