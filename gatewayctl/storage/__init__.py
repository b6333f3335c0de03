"""State on disk: files written whole and locked, behind plain functions.

What a file means (a table, a ledger, a credential) is its owner's business, not this package's.
"""
