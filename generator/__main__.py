"""`python -m generator`: see `generator.command`."""

import typer

from generator.command import generate

if __name__ == "__main__":
    typer.run(generate)
