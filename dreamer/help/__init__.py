"""Help: what the program says about itself: its commands, their completion in shells, the man page, and the doctor."""
