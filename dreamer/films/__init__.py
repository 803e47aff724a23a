"""Films: moving pictures in and out, how one frame follows from another, and which names mean a film."""
