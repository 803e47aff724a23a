"""Everything except the algorithm, in eight wings whose imports only run down: machine; nets, pictures; films; options,
jobs; studio, help. perform.py ties the first six together for the command line and other user interfaces."""

__version__ = "0.1.0"
