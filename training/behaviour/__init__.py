"""How a model behaves on texts that people send: a suite of labelled texts, and changes that mean nothing.

`suite` reads the texts of suite.jsonl, `changes` makes the changes, `measure` asks a model, `figures` counts, and
`gate` compares two versions. Imports `common`: nothing here trains or loads a model.
"""
