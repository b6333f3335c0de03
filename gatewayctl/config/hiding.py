"""Lines of a config file as they may be shown beside a problem: with stars for what may be secret.

A file with an error may hold a secret anywhere: quotes and names may be missing, and comments tell
of older ones. So more is hidden of a line than ``config.secrecy`` hides of a value.
"""

import re

from gatewayctl.config.secrecy import covered

_SAYS_SECRET = re.compile(
    r"(?i)(?:keys?(?![a-z])|(?<!first[-_])(?<!per[-_])token(?!s|i[sz]e)|secret|passw(?:or)?d"
    r"|authori[sz]ation|bearer|cookie|credential|command|argv|headers|extra)"
    r"[\w.-]*[\"']?\s*[=:]?(?=\s*[\"'\[{])"
)
"""What says in a line that a secret follows, also where that is not TOML."""
_REFERS = re.compile(
    r"(?i)(?:\b(?:env|file|name|path|type|borrow)|(?:command|argv)\s*=\s*\[)\s*=?\s*$"
)
"""What stands before a string that says where a secret is: a name, a path, a program."""
_WORD = re.compile(r"[^\s\"'\[\]{},=]+")
_BLACK = re.compile(r"\S")
_TABLE = re.compile(r"\s*\[\[?[\w.\- ]*\]?\]?\s*")
"""The header of a table, closed or not."""
_KEY = re.compile(r"\s*(?:[\w-]+|\"[^\"]*\")(?:\.(?:[\w-]+|\"[^\"]*\"))*\s*=")
"""What begins the line of a key, up to its sign."""
_COMMENT = re.compile(r"""("(?:\\.|[^"])*"|'[^']*'|[^#"'])|#.*""")
"""A string or any other character, as the only group; else a comment."""
_STRING = re.compile(r"""(["'])((?:\\.|(?!\1).)*)(\1|$)""")
"""A string, closed or not: its quotes, and what is between them."""


def hidden(line: str, *, every: bool = False, inside: bool = False) -> str:
    """Return a line of a file with what may be a secret in it starred out, as long as before.

    ``every``: nobody knows what its value is, so all of its strings are. ``inside``: it lies in the
    value of a key that holds a secret, whose name may stand in an earlier line.
    """
    line = _COMMENT.sub(lambda it: it[1] or f"#{_BLACK.sub('*', it[0][1:])}", line)
    line = covered(line, _stars)
    said = _SAYS_SECRET.search(line)
    start = len(line) if said is None else said.end()
    if every or inside:
        start = min(start, line.find("=") + 1)

    refers = not every and (said is None or not said[0].lower().startswith(("extra", "headers")))

    def starred(it: re.Match[str]) -> str:
        if refers and _REFERS.search(line[: start + it.start()]):
            return it[0]
        return f"{it[1]}{'*' * len(it[2])}{it[3]}"

    return line[:start] + _STRING.sub(starred, line[start:])


def hidden_unread(line: str) -> str:
    """Return a line that is not TOML, as long as before: its key, and stars for all other words.

    Where no key begins it, it may belong to the value of one in an earlier line.
    """
    if _TABLE.fullmatch(line):
        return line
    key = _KEY.match(line)
    start = 0 if key is None else key.end()
    return line[:start] + _WORD.sub(_stars, line[start:])


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])
