"""Endpoints of OpenAI's API that are passed through and never translated; one file each."""
