"""Watching the service: Prometheus rules and their tests, Alertmanager's and Prometheus' settings, dashboards.

`rules/`, `tests/`, `dashboards/`, `examples/` and `compose/` are data for other programs; `generate/` writes the
dashboards, and `check` asks those programs whether they take the data.

May import: nothing of the project.
"""
