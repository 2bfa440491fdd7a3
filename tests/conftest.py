"""For every test's process, and all that it starts."""

import os

# Several tests run at once, on models so small that more threads only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
