"""gatewayctl: one local endpoint for every LLM tool on a machine.

The command line (``gatewayctl.cli``) and the daemon (``gatewayctl.daemon``) share one pure core
(``gatewayctl.core``); ARCHITECTURE.md draws the layers. Nothing but the version lives here.
"""

__version__ = "0.1.0"
