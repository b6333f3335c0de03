"""What a config may cost to load: absurd figures, long chains, thousands of entries."""

from support.catalog import SmallCatalog

from gatewayctl.config.load import load_text


def codes(text: str) -> list[str]:
    """Return the codes of a text's problems."""
    loaded = load_text(text, name="x.toml", environ={}, catalog=SmallCatalog())
    return [problem.code for problem in loaded.problems]


def test_absurd_numbers_cost_nothing() -> None:
    """Digits and exponents beyond reason are problems, not minutes of computing."""
    assert codes(f"[server]\nport = {'9' * 5000}\n") == ["syntax"]
    assert codes("[tokenizer]\nsafety_margin = 1e999999999\n") == ["out-of-range"]
    assert codes("[tokenizer]\nsafety_margin = 1e99999999999999999999\n") == ["not-finite"]
    assert codes(f'[server]\nbody_limit = "{"9" * 4000}M"\n') == ["size-out-of-form"]
    assert codes("a = " + "[" * 5000) == ["syntax"]


def test_long_chains_and_shared_places_cost_nothing() -> None:
    """Thousands of aliases in a row, and places that double at each level, are refused at once."""
    chain = "".join(f'a{n} = "a{n + 1}"\n' for n in range(3000))
    assert codes(f'[aliases]\n{chain}a3000 = "openai/gpt-4o"\n') == ["nested-too-deeply"]
    step = '[[cascades.steps]]\nmodel = "r{0}"\ncontext_window = 100000\n'
    routes = "".join(f'[[cascades]]\nid = "r{n}"\n{step.format(n + 1) * 2}' for n in range(25))
    last = '[aliases]\nr25 = "openai/gpt-4o"\n'
    assert codes(routes + last) == ["too-many-places"]
    assert codes(routes.replace("r15", "r25", 1) + last) == ["too-many-places"]


def test_many_routes_load_at_once_and_many_patterns_match_at_once() -> None:
    """What is looked up again and again is looked up once; no pattern is a regular expression."""
    step = '[[cascades.steps]]\nmodel = "{}"\n'
    steps = step.format("openai/gpt-4o") + step.format("anthropic/claude-sonnet-4-5")
    assert codes("".join(f'[[cascades]]\nid = "r{n}"\n{steps}' for n in range(10_000))) == []
    stars = "*a" * 40
    aliases = "".join(f'"{n}{stars}" = "openai/gpt-4o"\n' for n in range(500))
    text = f'[aliases]\n{aliases}x = "0{"a" * 300}b"\n'
    assert codes(text) == ["unknown-name"]
