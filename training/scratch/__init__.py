"""Small encoders from scratch: `pretrain`, `multitask`, `teach` and `distill` are commands.

`python -m training.scratch.pretrain`, and so on. Imports `runs`, `measuring`, `data`, `encoder` and `common`.
"""
