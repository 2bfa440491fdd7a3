"""What teachers are and answer: soft targets for texts with and without labels.

Imports `scratch.fitting`, `scratch.pretraining`, `runs`, `measuring`, `data`, `encoder` and `common`.
"""
