"""The values of a task file: which there are, what each may be, and the schema that follows from a dataclass.

How a file is found, read and told what is wrong with it is in config/; backends use this for settings of their own.
"""
