"""The launcher's connection to one router: packets, downloads, and what waits to be sent.

What the packets mean is the foreman's (work/); who opens and closes a channel is run/.
"""
