"""Data sets by name, mapped into the six labels, split into folds, cleaned, and enlarged by paraphrases.

`rows` → `cleaning` → `splits` → `augmentation` and `report`, each of which imports only those before it; `written`
makes texts by templates, and imports `rows`.
`python -m training.data` has the commands. Imports `common`, and `encoder` to make paraphrases.
"""
