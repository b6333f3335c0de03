"""The daemon: one aiohttp server in front of the core.

``composition`` wires the parts, ``lifecycle`` runs them, ``app`` finds the surface, ``pipeline``
lives a request's life, ``relay`` brings the reply to the client.
"""
