"""The encoder: its tokenizer, its checkpoint with a head for the six emotions, its predictions.

Imports `common`.
"""
