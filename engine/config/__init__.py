"""Task files: what may stand in one, and how it becomes values that the engine can trust."""

from .task_file import TASK_FILE as TASK_FILE
from .task_file import DeployArgs as DeployArgs
from .task_file import LifecycleArgs as LifecycleArgs
from .task_file import ProviderArgs as ProviderArgs
from .task_file import ShutdownArgs as ShutdownArgs
from .task_file import TaskArgs as TaskArgs
from .task_file import TaskFile as TaskFile
from .task_file import load_task_file as load_task_file
