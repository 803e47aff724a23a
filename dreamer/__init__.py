"""Everything except the algorithm, in six wings whose imports only run down: machine; nets, pictures; films; options,
jobs. perform.py ties them together for the command line and other user interfaces."""

__version__ = "0.1.0"
