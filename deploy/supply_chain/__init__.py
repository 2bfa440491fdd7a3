"""What is shipped, and from what it is made: locks with hashes, images, SBOMs, licences, advisories, releases.

Commands, each a target of the Makefile; docs/running/supply-chain.md says what each is for. They run in `build/supply`,
an environment of their own; `install_torch` runs in the one that is being made.

May import: the standard library and what `locks/tools/supply.txt` installs; of the project nothing but each other.
"""
