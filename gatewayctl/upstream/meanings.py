"""What providers' codes, types, statuses and words mean: tables, and nothing but tables.

Where each was seen stands in ``tests/fixtures/failures``, one file for each built-in kind. How the
tables are used, and in which order, is ``failures``' business.
"""

import re
from collections.abc import Mapping

import msgspec

from gatewayctl.core.errors import FailureKind

_K = FailureKind

CODES: Mapping[str, FailureKind] = {
    # OpenAI, and whoever copies its codes
    "billing_hard_limit_reached": _K.QUOTA_EXHAUSTED,
    "billing_not_active": _K.QUOTA_EXHAUSTED,
    "bio_policy": _K.CONTENT_FILTER,
    "content_filter": _K.CONTENT_FILTER,
    "content_policy_violation": _K.CONTENT_FILTER,
    "context_length_exceeded": _K.CONTEXT_OVERFLOW,
    "credit_balance_exhausted": _K.QUOTA_EXHAUSTED,
    "cyber_policy": _K.CONTENT_FILTER,
    "image_content_policy_violation": _K.CONTENT_FILTER,
    "insufficient_quota": _K.QUOTA_EXHAUSTED,
    "invalid_api_key": _K.AUTH,
    "model_max_prompt_tokens_exceeded": _K.CONTEXT_OVERFLOW,  # GitHub Copilot
    "misalignment_policy_violation": _K.CONTENT_FILTER,
    "model_not_found": _K.MODEL_NOT_FOUND,
    "organization_spend_limit_exceeded": _K.QUOTA_EXHAUSTED,
    "organization_usage_limit_exceeded": _K.QUOTA_EXHAUSTED,
    "project_spend_limit_exceeded": _K.QUOTA_EXHAUSTED,
    "rate_limit_exceeded": _K.RATE_LIMITED,
    "server_is_overloaded": _K.OVERLOADED,
    "slow_down": _K.OVERLOADED,
    "unsupported_country_region_territory": _K.FORBIDDEN,
    "usage_limit_reached": _K.QUOTA_EXHAUSTED,
    "vector_store_timeout": _K.TIMEOUT,
    # Anthropic's error types, then the codes in their details
    "authentication_error": _K.AUTH,
    "billing_error": _K.QUOTA_EXHAUSTED,
    "overloaded_error": _K.OVERLOADED,
    "permission_error": _K.FORBIDDEN,
    "rate_limit_error": _K.RATE_LIMITED,
    "request_too_large": _K.CONTEXT_OVERFLOW,
    "timeout_error": _K.TIMEOUT,
    "contract_spend_limit_reached": _K.QUOTA_EXHAUSTED,
    "enforced_spend_limit_reached": _K.QUOTA_EXHAUSTED,
    "linked_organization_billing_unavailable": _K.QUOTA_EXHAUSTED,
    "linked_organization_spend_limit_reached": _K.QUOTA_EXHAUSTED,
    "organization_on_hold": _K.FORBIDDEN,
    # Google's statuses, through its compatible address, then the reasons in their details
    "DEADLINE_EXCEEDED": _K.TIMEOUT,
    "FAILED_PRECONDITION": _K.FORBIDDEN,
    "PERMISSION_DENIED": _K.FORBIDDEN,
    "RESOURCE_EXHAUSTED": _K.RATE_LIMITED,
    "UNAUTHENTICATED": _K.AUTH,
    "UNAVAILABLE": _K.OVERLOADED,
    "API_KEY_EXPIRED": _K.AUTH,
    "API_KEY_INVALID": _K.AUTH,
    "MODEL_CAPACITY_EXHAUSTED": _K.OVERLOADED,
    # OpenRouter: the codes that it gives to the errors of all providers
    "authentication": _K.AUTH,
    "flagged_input": _K.CONTENT_FILTER,
    "payload_too_large": _K.CONTEXT_OVERFLOW,
    "payment_required": _K.QUOTA_EXHAUSTED,
    "permission_denied": _K.FORBIDDEN,
    "provider_overloaded": _K.OVERLOADED,
    "provider_unavailable": _K.OVERLOADED,
    "refusal": _K.CONTENT_FILTER,
    "server": _K.SERVER_ERROR,
    "timeout": _K.TIMEOUT,
    "token_limit_exceeded": _K.QUOTA_EXHAUSTED,  # what the credit allows, not what fits
    # Groq
    "blocked_api_access": _K.QUOTA_EXHAUSTED,  # the organization's spend limit
    "capacity_exceeded": _K.OVERLOADED,
    "expired_api_key": _K.AUTH,
    "json_validate_failed": _K.BAD_RESPONSE,  # what the model wrote, not what was asked
    "model_decommissioned": _K.MODEL_NOT_FOUND,
    "model_terms_required": _K.FORBIDDEN,
    "organization_restricted": _K.FORBIDDEN,
    "tool_use_failed": _K.BAD_RESPONSE,
    # Mistral
    "invalid_model": _K.MODEL_NOT_FOUND,
    "rate_limited": _K.RATE_LIMITED,
    "service_tier_capacity_exceeded": _K.OVERLOADED,
    # Moonshot
    "access_terminated_error": _K.FORBIDDEN,
    "engine_overloaded_error": _K.OVERLOADED,
    "exceeded_current_quota_error": _K.QUOTA_EXHAUSTED,
    "incorrect_api_key_error": _K.AUTH,
    "invalid_authentication_error": _K.AUTH,
    "permission_denied_error": _K.FORBIDDEN,
    "rate_limit_reached_error": _K.RATE_LIMITED,
    "resource_not_found_error": _K.MODEL_NOT_FOUND,
    # xAI · Together · Cerebras
    "personal-team-blocked:spending-limit": _K.QUOTA_EXHAUSTED,
    "credit_limit": _K.QUOTA_EXHAUSTED,
    "model_not_available": _K.MODEL_NOT_FOUND,
    "queue_exceeded": _K.OVERLOADED,
    "request_quota_exceeded": _K.RATE_LIMITED,
    "token_quota_exceeded": _K.RATE_LIMITED,
    "wrong_api_key": _K.AUTH,
    # llama.cpp · vLLM
    "exceed_context_size_error": _K.CONTEXT_OVERFLOW,
    "unavailable_error": _K.OVERLOADED,
    "AuthenticationError": _K.AUTH,
}
"""Codes, types and reasons that mean one thing whatever the status is."""

GENERAL: Mapping[str, FailureKind] = {
    "BadRequestError": _K.BAD_REQUEST,
    "INTERNAL": _K.SERVER_ERROR,
    "INVALID_ARGUMENT": _K.BAD_REQUEST,
    "InternalServerError": _K.SERVER_ERROR,
    "NOT_FOUND": _K.MODEL_NOT_FOUND,
    "NotFoundError": _K.MODEL_NOT_FOUND,
    "api_error": _K.SERVER_ERROR,
    "data_residency_mismatch": _K.BAD_REQUEST,
    "internal_error": _K.SERVER_ERROR,
    "internal_server_error": _K.SERVER_ERROR,
    "invalid_prompt": _K.BAD_REQUEST,
    "invalid_request": _K.BAD_REQUEST,
    "invalid_request_error": _K.BAD_REQUEST,
    "not_found": _K.MODEL_NOT_FOUND,
    "not_found_error": _K.MODEL_NOT_FOUND,
    "previous_response_not_found": _K.BAD_REQUEST,
    "server_error": _K.SERVER_ERROR,
    "too_many_requests_error": _K.RATE_LIMITED,
    "unprocessable": _K.BAD_REQUEST,
}
"""Types too general to overrule a status: they count where there is none, inside a 200."""

IMAGES = re.compile(r"(?:[a-z0-9]+_)*image(?:_[a-z0-9]+)*")
"""OpenAI's many codes for an image that cannot be used: each is the request's fault."""

MISSING = frozenset(
    {"NOT_FOUND", "NotFoundError", "not_found", "not_found_error", "resource_not_found_error"}
)
"""Types that make a 404 a statement about the model rather than about the address."""

VAGUE = frozenset(
    {"PRECONDITION_FAILED", "precondition_failed", "unknown_error", "unmapped"}
    | {"bad_request_error"}  # MiniMax's type of every 400
    | {"invalid_parameter_error"}  # DashScope's code of every 400
    | {"Client specified an invalid argument"}  # xAI's code of every 400 …
    | {"Some resource has been exhausted"}  # … of a 429 …
    | {"The caller does not have permission to execute the specified operation"}  # … of a 403 …
    | {"Some requested entity was not found"}  # … and of a 404
    | {"3051", "invalid_request_prompt"}  # Mistral's number and type for a bad prompt
)
"""More codes that say no more than the status does, so that only words can."""


class Words(msgspec.Struct, frozen=True):
    """What some words mean, where the status is one of these and no code says anything."""

    kind: FailureKind
    statuses: frozenset[int]
    pattern: re.Pattern[str]


_REFUSED = frozenset({400, 413, 422})


def _words(kind: FailureKind, statuses: frozenset[int], *patterns: str) -> Words:
    return Words(kind, statuses, re.compile("|".join(patterns), re.IGNORECASE))


WORDS: tuple[Words, ...] = (
    _words(
        _K.CONTEXT_OVERFLOW,
        _REFUSED,
        r"prompt is too long",  # Anthropic, Fireworks
        r"exceed context limit",  # Anthropic: the prompt and the budget together
        r"maximum context length",  # OpenAI's old words, vLLM, DeepSeek, Mistral, OpenRouter
        r"model's context length is only",  # vLLM
        r"longer than the (?:maximum model|model's context) length",  # vLLM, SGLang
        r"exceeds the context window",  # OpenAI's Responses
        r"maximum prompt length",  # xAI
        r"exceeded model token limit",  # Moonshot
        r"input token length too long",  # Moonshot
        r"exceeds the maximum number of tokens",  # Google
        r"reduce the length of the messages or completion",  # Groq, Cerebras
        r"exceeded max context length",  # Ollama
        r"greater than the context length",  # LM Studio
        r"context length of only [0-9]",  # LM Studio
        r"token count of [0-9]+ exceeds the limit",  # GitHub Copilot
        r"context window exceeds limit",  # MiniMax
        r"range of input length should be",  # DashScope
        r"input is too long for requested model",  # Bedrock
        r"tokens in the prompt cannot exceed",  # Cohere
    ),
    _words(
        _K.CONTEXT_OVERFLOW,
        frozenset({400, 403, 422}),
        r"inputs` tokens \+ `max_new_tokens` must be",  # Together, which documents 403 for it
        r"input token count \+ max_tokens",  # Together
    ),
    _words(
        _K.CONTEXT_OVERFLOW,
        frozenset({400, 500}),
        r"exceeds the available context size",  # llama.cpp, and Ollama on top of it
        r"context size has been exceeded",  # llama.cpp in the middle of a reply, and LM Studio
        r"exceed context window of [0-9]",  # llama-cpp-python
    ),
    _words(
        _K.QUOTA_EXHAUSTED,
        frozenset({400, 403, 412, 429}),
        r"credit balance is too low",  # Anthropic
        r"reached your specified API usage limits",  # Anthropic
        r"reached your usage limit",  # Moonshot
        r"used all available credits or reached its monthly spending limit",  # xAI
        r"insufficient balance",  # Moonshot
        r"account \S+ is suspended, possibly due to reaching the monthly spending",  # Fireworks
    ),
    _words(
        _K.AUTH,
        _REFUSED,
        r"incorrect API key provided",  # xAI
        r"organization has been disabled",  # Anthropic
    ),
    _words(
        _K.CONTENT_FILTER,
        frozenset({400, 403}),
        r"content exists risk",  # DeepSeek
        r"blocked by content filtering policy",  # Anthropic
        r"flagged as potentially violating",  # OpenAI
        r"violates usage guidelines",  # xAI
    ),
    _words(
        _K.MODEL_NOT_FOUND,
        frozenset({400, 404}),
        r"model not exist",  # DeepSeek
        r"is not a valid model ID",  # OpenRouter
        r"no endpoints found",  # OpenRouter
        r"\bmodel\b.{0,160}?\b(?:does not exist|not found)",  # Ollama, vLLM, Fireworks, xAI …
    ),
)
"""The fall-back: what an error of a general type says in words, for providers without a code.

Nothing may depend on it: a phrase that is missing here makes a failure what its status says. An
overflow is prevented by counting, and not waited for.
"""

STATUSES: Mapping[int, FailureKind] = {
    401: _K.AUTH,
    402: _K.QUOTA_EXHAUSTED,
    403: _K.FORBIDDEN,
    407: _K.NETWORK,  # the egress proxy's word, not the provider's
    408: _K.TIMEOUT,
    410: _K.MODEL_NOT_FOUND,
    413: _K.CONTEXT_OVERFLOW,
    429: _K.RATE_LIMITED,
    451: _K.FORBIDDEN,
    498: _K.OVERLOADED,  # Groq: no capacity for flex processing
    503: _K.OVERLOADED,
    504: _K.TIMEOUT,
    524: _K.TIMEOUT,  # Cloudflare: its origin did not answer
    529: _K.OVERLOADED,
}
"""What a status alone means."""

CLASSES: Mapping[int, FailureKind] = {4: _K.BAD_REQUEST, 5: _K.SERVER_ERROR}
"""What a class of statuses means."""
