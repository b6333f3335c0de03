"""Edits to a request on its way to an upstream of the same protocol."""

import pytest
from support.golden import CASES, Case

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]
BILLING = "x-anthropic-billing-header: cc_version=1; cch=0a;"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protocol}-{case.name}")
def test_only_the_models_name_changes_when_nothing_else_is_asked(case: Case) -> None:
    """The bytes are the client's own, and the very same object when even the name agrees."""
    codec = CODECS[case.protocol]
    assert codec.patch(case.request, Changes(model="small-1")) is case.request
    renamed = codec.patch(case.request, Changes(model="other"))
    assert renamed == case.request.replace(b'"model": "small-1"', b'"model": "other"', 1)


@pytest.mark.parametrize(
    ("protocol", "body", "edited"),
    [
        ("chat_completions", b'{"model":"m","max_tokens" : 9}', b'{"model":"m","max_tokens" : 5}'),
        (
            "chat_completions",
            b'{"max_completion_tokens":9,"model":"m","max_tokens":null}',
            b'{"max_completion_tokens":5,"model":"m","max_tokens":null}',
        ),
        ("chat_completions", b'{"model":"m"}', b'{"model":"m","max_tokens":5}'),
        (
            "chat_completions",
            b'{"model":"m","max_tokens":9,"max_completion_tokens":8}',
            b'{"model":"m","max_tokens":5,"max_completion_tokens":5}',
        ),
        ("responses", b'{"model":"m"}', b'{"model":"m","max_output_tokens":5}'),
        (
            "responses",
            b'{"max_output_tokens":9,"model":"m"}',
            b'{"max_output_tokens":5,"model":"m"}',
        ),
        ("messages", b'{"model":"m","max_tokens":9}', b'{"model":"m","max_tokens":5}'),
    ],
)
def test_the_budget_goes_where_the_client_put_its_own(
    protocol: WireProtocol, body: bytes, edited: bytes
) -> None:
    """A body never ends up with two different budgets."""
    assert CODECS[protocol].patch(body, Changes(model="m", output_budget=5)) == edited


@pytest.mark.parametrize(
    ("options", "edited"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (
            b',"stream_options": { "x": 1.0 }',
            b',"stream_options": { "x": 1.0,"include_usage":true }',
        ),
        (
            b',"stream_options":{"include_usage":false,"x":1}',
            b',"stream_options":{"include_usage":true,"x":1}',
        ),
        (b',"stream_options":{"include_usage":true}', b',"stream_options":{"include_usage":true}'),
    ],
)
def test_a_chat_stream_is_asked_for_its_usage(options: bytes, edited: bytes) -> None:
    """Other stream options stay; a request that is no stream is left alone."""
    changes = Changes(model="m", include_usage=True)
    body = b'{"model":"m","stream":true%s}'
    assert CHAT.patch(body % options, changes) == body % edited
    whole = b'{"model":"m","stream":false%s}' % options
    assert CHAT.patch(whole, changes) is whole


def test_what_the_config_sets_and_drops_has_the_last_word() -> None:
    """Fields are set to JSON as it is written, added or replaced, and dropped."""
    body = b'{"model":"m","temperature":1,"logit_bias":{}}'
    changes = Changes(
        model="m", set={"temperature": b"0.20", "x": b"[1]"}, drop=("logit_bias", "y")
    )
    for codec in CODECS.values():
        assert codec.patch(body, changes) == b'{"model":"m","temperature":0.20,"x":[1]}'


def test_a_field_that_stands_twice_is_never_forwarded() -> None:
    """Two readers could read two models out of such a body."""
    for codec in CODECS.values():
        with pytest.raises(RequestInvalid, match=r"\$\.model: this field stands twice"):
            codec.patch(b'{"model":"m","model":"m"}', Changes(model="m"))


@pytest.mark.parametrize(
    ("system", "stripped"),
    [
        (f'"{BILLING}\\nYou are"', '"You are"'),
        (f'"You are\\n{BILLING}\\nkind"', '"You are\\nkind"'),
        (f'"You are\\n{BILLING}"', '"You are"'),
        (f'"{BILLING}"', '""'),
        (f'"say {BILLING}"', f'"say {BILLING}"'),
        (f'"C:\\\\n{BILLING}"', f'"C:\\\\n{BILLING}"'),
        (f'"{BILLING} \\"a\\\\\\\\\\nb\\u00e9\\"c"', '"b\\u00e9\\"c"'),
        ('"You are"', '"You are"'),
        (f'[{{"type":"text","text":"{BILLING}"}} , {{"type":"text","text":"a"}}]', None),
        (f'[{{"type":"text", "text" : "{BILLING}\\na"}}]', '[{"type":"text", "text" : "a"}]'),
        (
            f'[{{"type":"text","text":"say {BILLING}"}}]',
            f'[{{"type":"text","text":"say {BILLING}"}}]',
        ),
    ],
)
def test_only_the_billing_line_is_taken_out(system: str, stripped: str | None) -> None:
    """The line goes with its line feed, an empty block with its comma, and not one byte more."""
    if stripped is None:
        stripped = '[{"type":"text","text":"a"}]'
    body = f'{{"model":"m", "system": {system}, "max_tokens":1}}'.encode()
    expected = f'{{"model":"m", "system": {stripped}, "max_tokens":1}}'.encode()
    assert MESSAGES.patch(body, Changes(model="m", strip_billing=True)) == expected
    assert MESSAGES.patch(body, Changes(model="m")) is body


def test_a_billing_line_in_a_message_stays() -> None:
    """What the user or a tool wrote is never rewritten."""
    body = f'{{"model":"m","system":"a","messages":[{{"role":"user","content":"{BILLING}"}}]}}'
    changes = Changes(model="m", strip_billing=True)
    assert MESSAGES.patch(body.encode(), changes) == body.encode()
    assert RESPONSES.patch(body.encode(), changes) == body.encode()
