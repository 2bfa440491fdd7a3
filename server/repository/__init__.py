"""The model repository: whether there is a model in it, which configuration each has, and what Triton is shown of
it.

May import: errors and messages of `server`; tritonclient's generated messages once a configuration is named.
"""
