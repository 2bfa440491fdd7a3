"""`python -m clients.spark INPUT OUTPUT`: scores files with the tasks of a Spark cluster; `--help` says how.

spark-submit takes this file as well.
"""

import sys

try:
    from clients.spark.command import main
except ModuleNotFoundError as error:
    print(f"error: {error.name} is not installed here: pip install '.[spark]'", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
