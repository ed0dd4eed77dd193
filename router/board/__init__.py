"""Who gets which packet: agents, the launcher's link, the lease and other routers, as values. Pure.

Sockets and pages are in door/.
"""
