"""The program `python -m slipway`."""

from slipway.command_line import main

main()
