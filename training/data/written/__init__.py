"""Training texts written for this project, against the faults that models have; under the project's licence.

`texts` has them all: those of `handwritten/`, those that `families` make from templates, and `unknown` ones, of which
nothing can be known. `spelling` and `surroundings` change any text of any data set without changing what it says,
`phrases` is what they add. None was made from the suite of `training.behaviour`, which measures the same faults: they
share no wording, and a test compares them. Imports nothing of the project.
"""
