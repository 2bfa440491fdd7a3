"""From a fine-tuned checkpoint to the two ONNX graphs that Triton serves.

Both graphs are written node by node from the encoder's weights, so that what runs is what
was meant to run: fused operators are there because they were put there.
"""
