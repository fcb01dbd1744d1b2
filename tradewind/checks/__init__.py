"""Do the summaries say what the raw trades say? What `verify` and `repair` stand on."""
