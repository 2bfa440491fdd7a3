"""python ask.py HOST:PORT TEXT…; needs tritonclient[grpc]."""

import sys

import numpy as np
import tritonclient.grpc as triton

LABELS = ["no_emotion", "joy", "sadness", "surprise", "fear", "anger"]

url, *texts = sys.argv[1:]
rows = triton.InferInput("text", [len(texts), 1], "BYTES")
rows.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=np.object_))
client = triton.InferenceServerClient(url)
answer = client.infer("emotion_rubert_text", [rows], client_timeout=30)
for text, row in zip(texts, answer.as_numpy("probabilities"), strict=True):
    print(f"{LABELS[row.argmax()]} {row.max():.3f} {text}")
