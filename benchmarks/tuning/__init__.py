"""`make tune`: this machine's best settings of Triton for one's own texts, written as `configs/tuned.pbtxt`.

- `settings`: what is tuned, read from a configuration and written into one, and what to try beside it.
- `goals`: what is wished for, and how much of it a measurement gave.
- `servers`: Tritons with the settings that are compared, and their measurements.
- `search`: from the defaults to what does best, one thing at a time.
- `decision`: whether that is better than the defaults, from pairs of measurements.
- `pairs`: those pairs.
- `writing`: the file.

Each uses only those before it. May import: `load`, `setup`, `benchmarks.report.machine`, contract, server and
training.common.
"""
