"""The parts of a run: Triton alone, HTTP beside its peers, the ceilings without a server, the GPU;
and two parts that are commands of their own: `tokenizing`, `text_models`.

May import: load, setup, peers' settings, and what these may import. `in_process` runs in Triton's environment,
and imports numpy and `server.onnxruntime_backend` alone.
"""
