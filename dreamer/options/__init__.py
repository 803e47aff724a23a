"""Options: what was asked for, what it means, and whether it can be done; all before any work."""
