"""What every room uses: errors as sentences, the emotions' names, files written whole or not at all, pages, all cores.

Imports nothing else of `training`.
"""
