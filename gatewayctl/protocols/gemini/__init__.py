"""Google's Gemini protocol: what its requests say. It is not yet spoken to clients or upstreams."""
