"""How updates reach the bot, and whose turn it is.

`intake` takes each update once and answers it in its turn; `polling` and `webhook` bring updates to it. May import the
modules beside this folder.
"""
