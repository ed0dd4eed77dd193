"""The work of people: who gets which unit, what they hand in, and how it is kept."""
