"""Labelled rows: the data sets, what they are read into, corrections of their labels, training sets by name.

Imports `written` and `common`.
"""
