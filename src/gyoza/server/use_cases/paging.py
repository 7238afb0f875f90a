"""Opaque page tokens, and how many items a page has.

A token names the last item of the page before; what is inside is nobody's business but ours, so
that it can change.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gyoza.server.errors import InvalidRequest
from gyoza.wire.messages import Fault

T = TypeVar("T")
_FORM = "1:"


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page of a list.

    Attributes:
        limit: Most items wanted, 1 or more; the API caps it at `Settings.max_page_size`.
        token: The `next_page_token` of the page before; "" is the first page.
        place: Where the token stood, as a fault names it: a parameter, or a pointer into a body.
    """

    limit: int = 50
    token: str = ""
    place: str = "page_token"


def token_after(key: str) -> str:
    """Return the token of the page that follows the item with this key."""
    return base64.urlsafe_b64encode(f"{_FORM}{key}".encode()).decode().rstrip("=")


def key_in(query: PageQuery) -> str | None:
    """Return the key that a page's token names; None for the first page.

    Raises:
        InvalidRequest: The token is not one that `token_after` made.
    """
    token = query.token
    if not token:
        return None
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode()
    except ValueError:
        text = ""
    if not text.startswith(_FORM):
        fault = "is not a token of ours; pass next_page_token of the page before unchanged"
        raise InvalidRequest([Fault(pointer=query.place, message=fault)])
    return text.removeprefix(_FORM)


def cut_page(items: Sequence[T], limit: int, key: Callable[[T], str]) -> tuple[list[T], str]:
    """Cut a page out of one item more than it holds, and return it with the next page's token.

    Args:
        items: Up to `limit` + 1 items in order.
        limit: Most items of the page.
        key: Gives an item's place in the order.
    """
    page = list(items[:limit])
    return page, token_after(key(page[-1])) if len(items) > limit else ""
