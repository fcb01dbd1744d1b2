"""What every process needs at its edges: settings, logs, metrics. Read once, passed inwards."""
