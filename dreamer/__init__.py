"""All that is not the algorithm, in six wings whose imports only run down: machine; nets, pictures; films; options,
jobs; and perform.py, which ties them together for whatever face asks."""

__version__ = "0.1.0"
