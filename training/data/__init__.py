"""Data sets by name, mapped into the six labels, split into folds, cleaned, and enlarged by paraphrases.

`written` → `rows` → `cleaning` → `splits` → `augmentation` and `report`, each of which imports only those before it.
`python -m training.data` has the commands. Imports `behaviour`, `encoder` and `common`.
"""
