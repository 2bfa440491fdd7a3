"""Ways to run the whole: the gateway's image, systemd units, and both parts on this machine.

`check_served` asks a running Triton whether it answers as its versions should. `storage/` brings the model repository
into a bucket and out of it. `monitoring` watches it all.

May import: `server` and `gateway`, to start them; `contract`, to check what is served.
"""
