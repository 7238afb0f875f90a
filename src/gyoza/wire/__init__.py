"""What travels between server, client and worker: typed messages and the one strict JSON parser.

This package knows shapes and bytes. It must not know HTTP, storage or what a message leads to.
"""
