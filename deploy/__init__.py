"""Ways to run the whole: the gateway's image, systemd units, and both parts on this machine.

`check_served` asks a running Triton whether it answers as its versions should. `supply_chain` says and checks what is
shipped.

May import: `server` and `gateway`, to start them; `contract`, to check what is served.
"""
