"""What the ways onto a cluster share, and the one without an engine: `python -m clients.cluster`, a shard of a job.

`pinned` is the version that all workers ask for, `rows` scores rows and tables, `job` says what a job is, `pieces` cuts
its input, `parts` writes its output, `work` goes the whole way, `command` is what the command lines have in common.

May import: `contract`, `clients.scoring`, `clients.bulk`, pyarrow, pydantic.
"""
