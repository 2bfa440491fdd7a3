"""Ways to run the whole: images for containers, and both parts on this machine.

May import: `server` and `gateway`, to start them; `contract`, to check what is served.
"""
