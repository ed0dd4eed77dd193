"""What both ends must agree on: packets, the journal's format, and all that a router can be told.

The only part of the router that others import. What a router does with them is in board/ and door/.
"""
