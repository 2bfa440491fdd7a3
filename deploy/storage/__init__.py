"""The model repository in a bucket (S3 or what speaks its protocol): `push` fills it, `fetch` keeps a copy.

`bucket` talks to the store, `contents` says what a listing holds, `policy` which versions a configuration names; `copy`
keeps the local directory and `push` the bucket. docs/running/storage.md says how they are used.

May import: obstore, tritonclient's messages, `contract`.
"""
