"""`python -m server`: refuses a wrong Python in words it can read, then hands over.

This file stays readable for every Python 3 (and 2.7), so that an old one gets a sentence
instead of a syntax error.
"""

import sys

from server.pythons import refusal, serves

if not serves(sys.version_info[:2]):
    sys.stderr.write("error: " + refusal(sys.executable, sys.version_info[:2]) + "\n")
    sys.exit(1)

if __name__ == "__main__":
    from server.arguments import main

    sys.exit(main())
