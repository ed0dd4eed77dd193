"""Whole lives of runs: launching, serving, resuming, collecting, sweeping, and the workplace that they share.

One run's order of actions is in run/; what people see of it is in cli/.
"""
