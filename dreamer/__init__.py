"""What the dream needs and is not the algorithm: models, nets, pictures. One concept a file."""
