"""The HTTP side of the server: routes that parse, call one use case in one transaction and render.

What is decided here is HTTP and nothing else: who may come in (`access`), what a body may look like
(`bodies`), which status a refusal has (`problems`), when a stream ends (`lifelines`). What the
server does about a request is decided in `gyoza.server.use_cases`.
"""

from __future__ import annotations
