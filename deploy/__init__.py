"""Ways to run the whole: the gateway's image, systemd units, and both parts on this machine.

`check_served` asks a running Triton whether it answers as its versions should. `monitoring` watches it all. `storage/`
brings the model repository into a bucket and out of it. `supply_chain` says and checks what is shipped.

May import: `server` and `gateway`, to start them; `contract`, to check what is served.
"""
