"""The endpoints, the JSON they take and answer, and the OpenAPI document.

May import: every other room but `pages`.
"""
