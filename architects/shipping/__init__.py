"""What a bundle holds and how a router in it is started: either router, Node itself, and its locked packages.

Where it is shipped to is each backend's own.
"""
