"""The domain: trades, their summaries, and the port that stores implement. Pure: no I/O, no clock."""
