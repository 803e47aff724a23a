"""Options: what was asked for and what it means; all of it is checked before any work is done."""
