"""`python -m clients.ray INPUT OUTPUT`: scores files with the actors of a Ray cluster; `--help` says how."""

import sys

try:
    from clients.ray.command import main
except ModuleNotFoundError as error:
    print(f"error: {error.name} is not installed here: pip install '.[ray]'", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
