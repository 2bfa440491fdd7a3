"""`python -m server`: refuses a wrong Python in words it can read, then hands over.

This file stays readable for every Python 3 (and 2.7), so that an old one gets a sentence
instead of a syntax error.
"""

import sys

from server.pythons import incomplete, libpython_package, refusal, serves, venv_package

if not serves(sys.version_info[:2]):
    sys.stderr.write("error: " + refusal(sys.executable, sys.version_info[:2]) + "\n")
    sys.exit(1)

if __name__ == "__main__":
    try:
        from server.arguments import main
    except ImportError as error:
        if (error.name or "server").startswith("server"):
            raise
        # Debian's python3-minimal is a Python without most of its standard library.
        packages = [venv_package(), libpython_package()]
        sys.stderr.write("error: " + incomplete("has no module " + str(error.name), packages) + "\n")
        sys.exit(1)

    sys.exit(main())
