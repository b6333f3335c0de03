"""Exact token counts: vocabularies, the rules that OpenAI publishes, and the counting process.

``count.count`` counts in the process that calls it (the command line); ``counter.Counter`` owns a
process that counts and reads for the daemon. What an estimate makes of a count is
``core.estimate``'s business.
"""
