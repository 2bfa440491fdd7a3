"""Scores a file of any size: `python -m clients.bulk INPUT OUTPUT`.

`arguments` is the command line, `command` what becomes of errors and signals, `job` the way from rows to rows, with
`progress`. `reading` gives rows of any kind of file, `engines` score them, through a gateway or straight at Triton,
`writing` keeps what is done so that a killed job goes on.

May import: `contract`, `clients.scoring`, pyarrow, tqdm, httpx, numpy. The rooms know nothing of each other, but that
all know `errors` and `writing` the rows of `reading`.
"""
