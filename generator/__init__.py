"""A market made again from its seed and sent as events at an asked rate; and the replay of a file."""
