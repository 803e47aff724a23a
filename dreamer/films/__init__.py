"""Films: moving pictures in and out, how each frame follows from the one before, and which names mean a film."""
