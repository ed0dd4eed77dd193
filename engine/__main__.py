"""`python -m falsework.engine`: the command line, where the console script is not on the path."""

from .cli import main

main()
