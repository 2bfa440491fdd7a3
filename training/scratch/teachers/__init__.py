"""Teachers: multi-task encoders and a linear model, and the soft targets that their ensemble leaves for a student.

Imports `scratch.fast_training`, `scratch.pretraining`, `runs`, `measuring`, `data`, `encoder` and `common`.
"""
