"""`python -m ladenbuch` is the command `ladenbuch`."""

from ladenbuch.cli import main

main()
