"""How a model behaves on texts that people send: a suite of labelled texts, and changes that mean nothing.

`suite` reads the texts of suite.jsonl, `changes` makes the changes, `measure` asks a model and gives the figures,
`gate` compares two versions. May import `contract`, and of `training` only what a model answers with, the data
and the commands' errors; nothing here trains anything.
"""
