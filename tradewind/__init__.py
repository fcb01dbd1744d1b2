"""The command: one module a command or noun. What is heavy is imported in functions: help is quick."""
