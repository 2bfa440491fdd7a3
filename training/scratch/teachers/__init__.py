"""What teachers are and answer: soft targets for texts with and without labels.

Imports `scratch.pretraining`, `measuring`, `data`, `encoder` and `common`.
"""
