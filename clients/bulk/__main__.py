"""`python -m clients.bulk INPUT OUTPUT`: scores a file; `--help` says how, and what the exit statuses mean."""

import sys

try:
    from clients.bulk.command import main
except ModuleNotFoundError as error:
    print(f"error: {error.name} is not installed here: pip install '.[bulk]', or use make classify", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
