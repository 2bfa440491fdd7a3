"""What the bot says, in Russian and in English.

`languages` holds the sentences, `answers` makes the answer to a text out of them. May import `contract`, the gateway's
schemas and pydantic.
"""
