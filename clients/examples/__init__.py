"""Clients of a text model in four languages: text in, probabilities out, straight from Triton over gRPC.

`inference.proto` is what they all speak; each folder has one small program. docs/clients/triton-text.md explains them.
May import: nothing of the project. Each is to be copied, and needs nothing but its own library.
"""
