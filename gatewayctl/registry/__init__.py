"""What is known about models: sources, their merge by precedence, look-up, cache and refresh.

Which model a request goes to is ``gatewayctl.core.routing``'s business, not this package's.
"""
