"""Write ``config.toml.example``: every key that is supported, with defaults that are true.

The text stands here. The built-in providers are filled in from their data files, and nothing is
written unless it validates without a warning against the packaged table, shows every supported key
of the format, and calls a default only what is one. ``--check`` says whether the file is current.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import get_args

import msgspec

from gatewayctl.config.kinds import is_provider, kinds
from gatewayctl.config.load import load_text
from gatewayctl.config.positions import index
from gatewayctl.config.problems import Report
from gatewayctl.config.schema import Document
from gatewayctl.config.settings import TABLES
from gatewayctl.config.support import ANY, UNSUPPORTED
from gatewayctl.config.walk import bare, form_of, hints, options, read_struct
from gatewayctl.registry import snapshot
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.lookup import Registry

TARGET = Path(__file__).resolve().parent.parent / "config.toml.example"
WAITING = {tuple(part for part in entry.key if part != ANY) for entry in UNSUPPORTED}
_COMMENTED = re.compile(r"^# (?=\w+ = )", re.MULTILINE)
DEFAULTS = ("server", "routing", "registry", "tokenizer", "model_defaults")

TEXT = Template("""\
# gatewayctl: every key of the config file, with an explanation.
#
# Copy what you need to ~/.config/gatewayctl/config.toml (gatewayctl config path says where it is
# read from), and check it with: gatewayctl config validate
# What a tool needs to use the gateway then: gatewayctl env claude|codex|gemini|openai
#
# Sizes are integers, or strings with K (1024) or M (1024 * 1024): "256K" is 262144.
# Durations are strings: "500ms", "5s", "10m", "1h".
#
# In the first five sections every value is the default. In the others they are examples.

[server]
host = "127.0.0.1"             # loopback also listens on ::1; other addresses need client keys
port = 8790
keys = []                      # hashes of client keys ("sha256:…") besides those that
                               # gatewayctl keys create makes; see docs/keys.md
body_limit = "64M"             # bytes, after decompression
allowed_hosts = []             # Host values besides loopback names ("host.docker.internal")
overflow_status = "auto"       # of a refusal by size: auto (what each client reads) | 400 | 413
default_output_tokens = 4096   # the output budget of a request that names none
log_level = "info"             # debug | info | warning | error
log_format = "text"            # text | json

[routing]                      # routes may override fit, on_break, fallback_on and deadline
fit = "guard"                  # guard | strict | off
strict_unknown = false         # refuse models whose window nobody knows
min_output = 4096              # the least room for an answer that is worth sending for
on_break = "error"             # a stream that breaks after its first word ends in a typed error;
                               # "buffer" releases it only whole, and falls back until then
fallback_on = [
    "timeout", "network", "rate_limited", "quota_exhausted", "overloaded", "server_error",
    "bad_response", "model_not_found", "context_overflow",
]
deadline = "5m"                # to the first word of the answer, over all attempts
session_ttl = "1h"             # how long what a conversation was given is remembered

[registry]                     # see docs/registry.md
refresh = "background"         # background (the daemon, after it listens) | manual
ttl = "24h"                    # of each source; local servers: at most 10m
timeout = "30s"                # to a source's last byte; local servers: at most 10s

[registry.sources]             # "" turns a source off; { url, ttl, timeout } says more of one
litellm = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
models_dev = "https://models.dev/api.json"
# anthropic = ""               # a provider's own listing, by the provider's name
# local = { ttl = "1m" }       # an address of its own only where it is not base_url

[tokenizer]                    # see docs/estimates.md
kind = "auto"                  # auto (exact where it decides) | tiktoken (always) | char_ratio
                               # | huggingface (exact, with the model's own tokenizer_file)
# tokenizer_file = "tokenizer.json"  # needs: pip install 'gatewayctl[huggingface]'
chars_per_token = 3.5          # used by char_ratio
safety_margin = 1.10           # at least 1; covers the counting error, not the answer

[model_defaults]               # every key of [[models]] for all models that do not say it
capacity_fraction = 1.0        # how much of a window is used: above 0, at most 1
# context_window = 131072      # wins over the registry, as everything does that is said here
# max_input_tokens = 100000
# max_output_tokens = 8192
# chars_per_token = 3.5        # said here, on a model or at a place, it selects char_ratio
# safety_margin = 1.10
# tokenizer = "char_ratio"
# tokenizer_file = "tokenizer.json"
# prices = { input = 0.0, output = 0.0 }
# capabilities = { tools = true, images = false }
# set = { temperature = 0.2 }
# drop = ["logit_bias"]
# off_peak_hours = ["Mon-Fri 16:30-00:30", "Sat-Sun"]
# timeouts = { first_token = "2m" }

# --- providers ----------------------------------------------------------------------------------
#
# A model is asked for as PROVIDER/MODEL. These providers are built in; where the key is in the
# environment, nothing needs to be written here:
#
$builtin

[providers.anthropic]          # only what differs
auth = "forward"               # key | forward (the client's) | oauth | none; docs/credentials.md
clients = ["claude-cli/*"]     # user agents that may use it; empty: all

[providers.local]              # a server of your own: its models are local/MODEL
kind = "openai-compatible"     # or anthropic-compatible, or a built-in kind
base_url = "http://127.0.0.1:8001/v1"  # what stands before /chat/completions, /responses, /messages
                               # and /models (gemini; without a version it gets /v1beta there)
api_key = { env = "LOCAL_KEY" }        # or { file = "PATH" }, { command = ["PROGRAM", "ARGUMENT"] }
protocols = ["chat_completions"]       # chat_completions | responses | messages | gemini
overflow = "error"             # error | truncates (cuts what does not fit, and says nothing)
headers = { x-team = "a" }     # added to each request; "" removes one
proxy = ""                     # a URL; "" means HTTPS_PROXY and NO_PROXY
# ca_bundle = "/etc/ssl/private-ca.pem"

[providers.local.timeouts]
connect = "5s"
first_token = "120s"           # streams only
idle = "60s"                   # between two parts of a stream
total = "10m"
# headers = "30s"              # without streaming they come after the whole answer

[providers.local.flags]
strip_billing_attribution = true  # drop the line about billing that Claude Code adds
max_completion_tokens = false     # the name of the output budget in translated chat requests
reasoning_content = true          # the name of thoughts in them; false: reasoning
reasoning_required = false        # calls of tools are refused without the thought before them
mistral_rules = false             # fields that Mistral's API does not know are refused

[providers.team]               # one that people log in to: gatewayctl auth login team
kind = "openai-compatible"
base_url = "https://llm.example.com/v1"
auth = "oauth"                 # where the provider's terms allow it
# credential = { borrow = "FILE" }  # another program's login, never renewed: then no oauth

[providers.team.oauth]         # its documentation has these
authorize_url = "https://login.example.com/oauth/authorize"
token_url = "https://login.example.com/oauth/token"
client_id = "gatewayctl"
scopes = ["models"]
encoding = "json"              # of the token request: json | form
extra = { audience = "https://llm.example.com" }  # parameters that the login page needs besides

# --- models -------------------------------------------------------------------------------------
#
# The registry knows most models. What is said here wins over it.

[[models]]
id = "local/qwen3.5-35b"
context_window = "32K"         # input and output together, in tokens
max_input_tokens = 0           # 0 is unknown
max_output_tokens = 8192
capacity_fraction = 0.75
tokenizer = "char_ratio"       # char_ratio | auto | tiktoken:o200k_base | tiktoken:cl100k_base
                               # | huggingface, with tokenizer_file
# tokenizer_file = "tokenizer.json"  # relative to this file
chars_per_token = 3.0
safety_margin = 1.10
drop = ["logit_bias"]          # body fields that it does not take
off_peak_hours = ["Mon-Fri 16:30-00:30", "Sat-Sun"]  # UTC: when prices at off_peak hold

[models.prices]                # USD per million tokens, up to 100000; unsaid: the registry's
input = 0.0
input_cache_read = 0.0
input_cache_write_5m = 0.0
input_cache_write_1h = 0.0
output = 0.0
reasoning_output = 0.0         # where it costs something else than the rest of the output
image = 0.0
audio = 0.0
# "input@flex" = 0.0           # at a tier, as replies name it: flex, priority, fast, batch, …
# "input@off_peak" = 0.0       # at off_peak_hours, else at those that the registry knows
# "input>272000" = 0.0         # of the whole request once its input is more than that many tokens
# "output@flex>272000" = 0.0   # both

[models.capabilities]          # what is not said is unknown, and never a reason to refuse
tools = true
parallel_tools = true
tool_choice = true
images = false
documents = false
audio = false
json_schema = true
reasoning = false
system_messages = true
prefill = true

[models.set]                   # body fields that it always gets
temperature = 0.2

[models.timeouts]
first_token = "5m"

# --- names --------------------------------------------------------------------------------------

[aliases]
"gpt-4o" = "coding"
"claude-*" = "coding"          # exact names first, then the longest pattern

# --- alloys: models that are interchangeable, blended -------------------------------------------

[[alloys]]
id = "fast-smart"
name = "Fast + Smart Blend"
strategy = "weighted"          # weighted | round_robin
scope = "turn"                 # turn (a model keeps its tool calls) | request | session
min_context_window = 200000    # without it: the smallest member's
partial_context = false        # true: leave out members that cannot hold a request
fit = "guard"
on_break = "error"
fallback_on = ["timeout", "network", "rate_limited", "overloaded", "server_error"]
deadline = "2m"

[[alloys.constituents]]
model = "gemini/gemini-2.5-flash"
context_window = 1048576       # must be said; "auto" is the registry's
weight = 80

[[alloys.constituents]]
model = "openai/gpt-5.4-mini"
context_window = "auto"
weight = 20
timeout = "90s"
tokenizer = { safety_margin = 1.05 }

# --- cascades: steps in order, for reliability --------------------------------------------------

[[cascades]]
id = "kimi-with-fallback"
name = "Kimi, then Claude"
fit = "strict"
on_break = "buffer"            # an answer arrives whole, by whichever step can finish it
fallback_on = ["timeout", "network", "overloaded", "server_error"]
deadline = "3m"

[[cascades.steps]]
model = "moonshot/kimi-k2.6"
context_window = "256K"        # without it: the registry's
timeout = "60s"                # from the attempt's start to the first word of its answer
[cascades.steps.tokenizer]     # at this place alone
kind = "char_ratio"
chars_per_token = 2.8
safety_margin = 1.2
# tokenizer_file = "tokenizer.json"  # of huggingface

[[cascades.steps]]
model = "anthropic/claude-haiku-4-5"

# --- dispatchers: the first target that a request fits ------------------------------------------

[[dispatchers]]
id = "coding"
name = "Local first"
targets = ["local/qwen3.5-35b", "kimi-with-fallback"]
order = "declared"             # declared | smallest | cheapest (for the request at hand)
reevaluate = "per_turn"        # per_turn | sticky | sticky_escalate | worst_case
fit = "guard"
on_break = "error"
fallback_on = ["timeout", "network", "overloaded", "server_error", "context_overflow"]
deadline = "5m"

[[dispatchers.rules]]          # before the targets: the first whose conditions all hold
when = { images = true }       # tools | images | documents | audio | reasoning | json_schema
target = "fast-smart"

[[dispatchers.rules]]
target = "gemini/gemini-2.5-flash"
[dispatchers.rules.when]
min_input_tokens = 100_000     # as estimated, on the safe side, for the target
max_input_tokens = 900_000
stream = true
protocol = "chat_completions"  # chat_completions | responses | messages | gemini
client = "research"            # the name of the client key that asks
header = { x-team = "research-*" }
tools = false
# images = true
# documents = true
# audio = true
# reasoning = true
# json_schema = true

[[dispatchers]]                # one target for a whole conversation
id = "steady"
targets = ["anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
order = "cheapest"
reevaluate = "sticky_escalate" # keeps its target, and moves on to a larger one when it must
max_escalations = 2            # so often at most

[[dispatchers]]                # one target, large enough for what the conversation may become
id = "planned"
targets = ["anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
order = "smallest"
reevaluate = "worst_case"
assume_session_max_tokens = 500_000
""")


def builtin() -> str:
    """Return the built-in providers as comments: name, key variable, where it is."""
    rows = [
        (name, " or ".join(kind.key_env) or "no key; needs a table", kind.base_url)
        for name, kind in sorted(kinds().items(), key=lambda item: item[1].local)
        if is_provider(kind)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"#   {name:{widths[0]}}  {key:{widths[1]}}  {url}" for name, key, url in rows)


def faults(text: str) -> Iterator[str]:
    """Yield whatever is not true of the text."""
    catalog = CheckedAgainst(Registry(snapshot.load()))
    loaded = load_text(text, name=TARGET.name, environ={}, catalog=catalog)
    for problem in loaded.problems:
        yield f"line {problem.line}: {problem.message} [{problem.code}]"
    raw = tomllib.loads(text, parse_float=Decimal)
    document = read_struct(Document, raw, (), Report("", text, index(text)))
    shown, default = msgspec.structs.asdict(document), msgspec.structs.asdict(Document())
    for section in DEFAULTS:
        for key in raw[section]:
            said, usual = (getattr(side[section], key) for side in (shown, default))
            if (section, key) == ("registry", "sources"):
                usual = dict(TABLES)  # the file may name any provider's, so the format has none
            # None is "not said": what that means stands beside it in the settings
            if usual is not None and said != usual:
                yield f"{section}.{key} is shown as a default and is not one"
    whole = tomllib.loads(_COMMENTED.sub("", text), parse_float=Decimal)
    shown_keys = set(_shown(Document, whole))
    for struct, path in _supported(Document, ()):
        if (struct, path[-1]) not in shown_keys:
            yield f"{'.'.join(path)} is supported and not shown"


def _supported(
    struct: type[msgspec.Struct], path: tuple[str, ...]
) -> Iterator[tuple[type[msgspec.Struct], tuple[str, ...]]]:
    """Yield every key that can be set to something, with the table that it is in."""
    for name, annotation in hints(struct).items():
        here = (*path, name)
        if here in WAITING:
            continue
        yield struct, here
        if (inner := _table(annotation)) is not None:
            yield from _supported(inner, here)


def _shown(
    struct: type[msgspec.Struct], values: object
) -> Iterator[tuple[type[msgspec.Struct], str]]:
    """Yield every key that a text holds, with the table that it is in."""
    tables = values if isinstance(values, list) else [values]
    for table in tables:
        for name, annotation in hints(struct).items():
            if isinstance(table, Mapping) and name in table:
                yield struct, name
                inner = _table(annotation)
                named = bare(options(annotation)[0]) is dict
                if inner is not None:
                    yield from _shown(inner, [*table[name].values()] if named else table[name])


def _table(annotation: object) -> type[msgspec.Struct] | None:
    """Return the struct of a key that holds a table, or several; None where it may hold a value."""
    arms = options(annotation)
    if len(arms) > 1 or form_of(arms[0]) is not None:
        return None
    plain = bare(arms[0])
    if plain in {tuple, dict}:
        return _table(get_args(arms[0])[0 if plain is tuple else 1])
    return plain if issubclass(plain, msgspec.Struct) else None


def main() -> None:
    """Write the file, or with ``--check`` say whether it is current."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    text = TEXT.substitute(builtin=builtin())
    if found := list(faults(text)):
        sys.exit("\n".join([f"{TARGET.name} would be wrong:", *found]))
    current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
    if check and not current:
        sys.exit(f"out of date: {TARGET.name}; run: make generate")
    if not current:
        TARGET.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
