"""Families of texts: templates whose slots are filled in at random, deterministic, labelled as a whole.

`family` says how; each other module holds families of one subject. Imports nothing.
"""
