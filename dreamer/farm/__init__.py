"""The farm: many machines that dream together: its keys, the scheduler, the workers, and who hands dreams to them."""
