"""One run: the order of its actions, their limits and retries, and the only calls of its architect.

Where a run comes from and what becomes of it later is in launch/.
"""
