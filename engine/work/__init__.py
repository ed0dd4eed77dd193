"""The work of people: who gets which unit, what they hand in, and how it is kept and exported.

How it travels is in channel/; when it begins and ends is in launch/.
"""
