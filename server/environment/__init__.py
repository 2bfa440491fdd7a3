"""What this machine and Triton's environment must have, and how that environment is made.

May import: errors and pythons of `server`, and the standard library.
"""
