"""Small encoders from scratch: `python -m training.scratch.pretrain`, then `multitask`, `teach` and `distill`.

`python -m training.scratch.trim` gives another start: a checkpoint from the hub with a smaller vocabulary.

`settings`, `state` → `pretraining` → `fast_training` → `teachers` → the student, each of which imports only those
before it; the commands beside this file parse flags and call them. Imports `runs`, `measuring`, `data`, `encoder` and
`common`.
"""
