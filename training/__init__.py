"""Training: data → fine-tune → evaluate → export → publish; and pre-training from scratch.

May import: torch, transformers, datasets, scikit-learn, onnx, onnxruntime, `contract`.
Never imports `gateway` or `server`.
"""
