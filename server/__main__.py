"""`python -m server`: refuses a wrong Python in words it can read, then hands over.

This file stays readable for every Python 3 (and 2.7), so that an old one gets a sentence
instead of a syntax error.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    message = (
        "error: this needs Python 3.11 or 3.12, and {0} is Python {1}.{2}. Install one of them "
        "(Debian/Ubuntu: apt install python3.11 python3.11-venv libpython3.11; or pyenv, uv) "
        "and run it as python3.11 -m server.\n"
    )
    sys.stderr.write(message.format(sys.executable, *sys.version_info[:2]))
    sys.exit(1)

if __name__ == "__main__":
    from server.arguments import main

    sys.exit(main())
