"""Running containers: one narrow interface, the Docker Engine behind it, and a scripted fake.

Import from the modules: `interface` for values and faults, `docker` and `fake` for implementations.
Nothing here knows runs, attempts or the server.
"""
