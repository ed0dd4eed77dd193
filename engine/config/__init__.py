"""Reading task files: from YAML and overrides to checked values, with every problem named at once.

What may stand in a file is in settings/; only the launcher and the command line read one.
"""

from .task_file import TaskFile as TaskFile
from .task_file import load_task_file as load_task_file
