"""Small encoders from scratch: `pretrain`, `multitask`, `teach` and `distill` are commands.

`python -m training.scratch.pretrain`, and so on. Each imports only those before it: `settings`, `pretraining`,
`fitting`, `teachers`, `student`. Imports `runs`, `measuring`, `data`, `encoder` and `common`.
"""
