"""Two models on the same rows and texts: is the second better than the first? `python -m training.compare`.

Imports `evaluate`, `behaviour`, `runs`, `measuring`, `data` and `common`.
"""
