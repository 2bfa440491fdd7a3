"""From raw figures to a report: results, goals, tables, plots.

`python -m benchmarks.report results.json` writes a report again. May import: parts, and what these may import.
"""
