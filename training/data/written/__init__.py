"""Training texts written for the faults that models have: by templates, deterministic, under the project's licence.

`examples` has them all. Each module holds families of texts of one subject, `family` says how they are filled in,
`spelling` how they are also written; `surroundings` is what may stand around any text of any data set. None was
made from the suite of `training.behaviour`, which measures the same faults: the two share no wording, and a test
compares them. Imports `data.rows`.
"""
