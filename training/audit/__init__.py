"""Audit of CEDR's labels: which are likely wrong, and what retraining with corrections changed.

May import all of `training`; nothing imports it.
"""
