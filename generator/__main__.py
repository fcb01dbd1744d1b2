"""`python -m generator`: see `generator.command`."""

from generator.command import main

if __name__ == "__main__":
    main()
