"""What both ends must agree on: packets, and the journal's format. The only part of the router that others import.

What a router does with them is in board/ and door/.
"""
