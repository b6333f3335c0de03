"""Routing: from a name and a request's shape to a decision that can say why.

``graph`` is what may be asked for, ``decision`` what comes out, ``plan`` how; one strategy a file.
"""
