"""Fine-tuning with the Trainer of transformers: settings, hardware, checkpoints, the training itself, progress.

Imports `runs`, `measuring`, `data`, `encoder` and `common`. The command is `python -m training.train`.
"""
