"""The two ONNX graphs: written node by node from weights, read back, and run.

Imports `common`.
"""
