"""The only code that talks to providers: connections, credentials, headers, what a failure means.

Nothing here chooses a candidate or retries one (``core.routing``, ``core.attempts``), and nothing
reads a body beyond its error.
"""
