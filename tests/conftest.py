"""For every test's process, and all that it starts."""

import os

# Several tests run at once, on models so small that more threads only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# A proxy set for the way out must not get in between: what tests ask is on this machine.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,127.0.0.2,localhost")))
# What commands print is as wide as anywhere else.
os.environ.pop("COLUMNS", None)
