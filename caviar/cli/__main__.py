"""`python -m caviar.cli`, by which commands start other commands as processes of their own."""

from caviar.cli.app import main

main()
