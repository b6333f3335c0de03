"""The config file: what people write, where it is, what is wrong with it, and what it means.

``settings`` is the result that everything else uses. Nothing here routes, asks a provider or
knows what a registry holds: facts about models come in through ``names.Catalog``.
"""
