"""The table of states and triggers, its guard, and the pictures drawn from it. Pure.

What a run does when the table allows it is in run/.
"""
