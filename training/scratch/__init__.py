"""Small encoders from scratch: `python -m training.scratch.pretrain`, then `multitask`, `teach` and `distill`.

`pretraining` → `fast_training` → `teachers` → the student, each of which imports only those before it; the commands
beside this file parse flags and call them. Imports `runs`, `measuring`, `data`, `encoder` and `common`.
"""
