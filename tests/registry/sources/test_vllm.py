"""vLLM's listing: what it runs with is what fits, of adapters too."""

from support.listings import drive

from gatewayctl.registry.claims import Claims


def _both(size: int) -> Claims:
    return Claims(context_window=size, served=size)


def test_an_adapter_runs_in_its_parents_window() -> None:
    """``max_model_len`` is input and output together, null for a LoRA adapter."""
    data = [
        {"id": "base", "object": "model", "root": "/m", "parent": None, "max_model_len": 16384},
        {"id": "sql-lora", "root": "/lora", "parent": "base", "max_model_len": None},
        {"id": "own", "parent": "base", "max_model_len": 4096},
        {"id": "lost", "parent": "nobody", "max_model_len": None},
        {"id": "odd", "parent": ["base"], "max_model_len": 0},
    ]
    found = drive("vllm", {"/v1/models": {"object": "list", "data": data}})
    assert found.models == {
        "base": _both(16384),
        "sql-lora": _both(16384),
        "own": _both(4096),
        "lost": Claims(),
        "odd": Claims(),
    }


def test_adapters_of_each_other_have_no_window() -> None:
    """A circle of parents ends, and says nothing."""
    data = [{"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}, {"id": "c", "parent": "c"}]
    found = drive("vllm", {"/v1/models": {"data": data}})
    assert found.models == {"a": Claims(), "b": Claims(), "c": Claims()}
