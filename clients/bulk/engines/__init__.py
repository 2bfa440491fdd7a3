"""What scores the rows: straight at Triton (`clients.scoring.Scorer`), through a gateway (`gateway`), or a Triton that
is started for the job (`own_triton`). `opening` chooses.

May import: `clients.bulk.errors`, `clients.scoring`, `contract`, httpx.
"""
