"""What a text is before it is tokenized: one normaliser, saved inside `tokenizer.json`.

`normalizer` puts the steps together. `characters` says what each character becomes,
`words` what only the word around it can tell, `character_map` compiles maps of characters,
`emoji.tsv` says how emoji are read. Imports nothing of the project.
"""
