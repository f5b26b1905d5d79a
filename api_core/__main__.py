"""`python -m api_core`: see `command_line`."""

from .command_line import run

if __name__ == "__main__":
    run()
