"""What every room uses: errors as sentences, names of the emotions, files written whole or not at all, pages, all cores.

Imports nothing else of `training`.
"""
