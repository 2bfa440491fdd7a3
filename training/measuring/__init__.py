"""Figures of predictions: metrics, their intervals, thresholds, and the baseline to compare with.

Imports `data` and `common`.
"""
