"""Functions of the user's own, attached to the running pipeline."""
