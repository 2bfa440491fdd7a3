"""Writes Grafana's dashboards: `board` and what a panel is, a module for each dashboard, `__main__` to write them.

Runs in an environment of its own, build/deploy, that has grafana-foundation-sdk: `make dashboards`.

May import: grafana_foundation_sdk, and nothing of the project.
"""
