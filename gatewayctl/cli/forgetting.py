"""``gatewayctl models forget``: what replies taught of a model is taken back.

What is kept and how is ``storage.knowledge``'s business.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayctl.storage.knowledge import Forgotten

_DAY = 10


def forget(
    model: Annotated[str, typer.Argument(metavar="ID", help="PROVIDER/MODEL")],
    as_json: JsonOption = False,
) -> None:
    """Forget what replies taught about a model.

    A window learned from a refusal or a cut prompt, the prompts that were cut, how its tokens were
    counted, and where its conversations stood. Running daemons notice within two seconds.

    Exit status: 0 forgotten, 1 nothing was known.
    """
    from gatewayctl.cli import render
    from gatewayctl.storage import files
    from gatewayctl.storage.knowledge import Forgotten, forget, read

    folder = files.usual_state_folder()
    learned = forget(folder, model)
    known = learned != Forgotten()
    if as_json:
        render.print_json({"model": model, "forgotten": known, **_json(learned)})
    elif known:
        typer.echo(f"{render.printable(model)}: forgotten: {', '.join(_said(learned))}")
    else:
        render.tell(f'nothing was learned of "{model}"{_hint(model, read(folder).models())}')
    if not known:
        raise typer.Exit(1)


def _hint(model: str, learned: "Sequence[str]") -> str:
    """Say of which models something was learned: those that may be meant, else how many."""
    import difflib

    within = [each for each in learned if model and model in each]
    near = dict.fromkeys((*within, *difflib.get_close_matches(model, learned)))
    if near:
        return f"; did you mean {' or '.join(list(near)[:3])}?"
    return "" if learned else ", nor of any other model"


def _said(learned: "Forgotten") -> "Iterator[str]":
    """Yield what was known, a part each."""
    if (cap := learned.cap) is not None:
        yield f"a learned window of {cap.window:,} ({cap.at[:_DAY]})"
    if (cut := learned.truncations) is not None:
        yield _count(cut.count, "cut prompt")
    if learned.samples:
        yield f"the counts of {_count(learned.samples, 'reply', 'replies')}"
    if learned.anchors:
        yield f"{_count(learned.anchors, 'place')} in conversations"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _json(learned: "Forgotten") -> dict[str, object]:
    return {
        "learned": learned.cap,
        "truncations": learned.truncations,
        "samples": learned.samples,
        "anchors": learned.anchors,
    }
