"""Fine-tuning with the Trainer of transformers: settings, hardware, checkpoints, the training itself, progress, seeds.

`settings` and `__main__` load no PyTorch, so that a mistake in the flags is told at once. Imports `runs`, `measuring`,
`data`, `encoder` and `common`; `run`, what the command `python -m training.train` does, also `evaluate` and `export`.
"""
