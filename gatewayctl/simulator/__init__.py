"""The embedded upstream: models with real windows, four protocols, faults on demand.

``start`` runs it on a loopback port; ``demo_config`` is a gateway config in front of it. It can
play a provider whose tokenizer is hidden, and a local server (``Local``). It knows nothing of the
gateway: no config, no registry, no daemon.
"""

from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.demo import demo_config
from gatewayctl.simulator.server import Simulator, start
from gatewayctl.simulator.servers import Local

__all__ = ["Local", "SimModel", "Simulator", "demo_config", "start"]
