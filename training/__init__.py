"""Training: data → fine-tune → evaluate → export → publish; and pre-training from scratch.

May import: torch, transformers, datasets, scikit-learn, onnx, onnxruntime, `contract`.
Never imports `gateway` or `server`. Rooms, each of which imports only those before it:
`common`, `encoder`, `data`, `measuring`, `runs`, then `fine_tuning`, `scratch` and `export`,
then `evaluate` and `publishing`, then `audit`, and last the commands beside this file.
"""
