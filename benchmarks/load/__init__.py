"""What puts load on a server and reads what came of it: wrk, perf_analyzer, processes' CPU time, Triton's counts.

May import: setup, and what it may import.
"""
