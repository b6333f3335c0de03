import tomllib

from gatewayctl.simulator import demo_config
from gatewayctl.simulator.catalogue import MODELS


def test_the_demo_config_tells_the_truth_about_the_models() -> None:
    """Each model's limits in ``demo.toml`` are those that the simulator enforces."""
    config = tomllib.loads(demo_config("http://127.0.0.1:4321"))
    told = {
        model["id"]: (model["context_window"], model["max_output_tokens"])
        for model in config["models"]
    }
    assert told == {
        f"demo/{model.id}": (model.window, model.max_output) for model in MODELS.values()
    }
    for constituent in config["alloys"][0]["constituents"]:
        assert constituent["context_window"] == told[constituent["model"]][0]


def test_the_demo_config_points_at_the_simulator() -> None:
    """The address is filled in, with or without ``/v1``, and the placeholder is gone."""
    for base_url in ("http://127.0.0.1:4321", "http://127.0.0.1:4321/v1"):
        config = tomllib.loads(demo_config(base_url))
        assert config["providers"]["demo"]["base_url"] == "http://127.0.0.1:4321/v1"
