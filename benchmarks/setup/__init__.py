"""What must be there before anything is measured: texts, model repositories, graphs, environments, servers.

May import: `benchmarks.command`, contract, server, and training.export for graphs.
"""
