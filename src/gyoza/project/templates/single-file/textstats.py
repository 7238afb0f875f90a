# /// script
# requires-python = ">=3.11"
# dependencies = ["markdown-it-py>=3,<5"]
#
# [tool.gyoza]
# id = "{{name}}"
# version = "0.1.0"
# description = "Headings, links and words of a Markdown text."
# ///
"""Headings, links and words of a Markdown text: an op in one file, its packages and all."""

from __future__ import annotations

from dataclasses import dataclass

from markdown_it import MarkdownIt

from gyoza.op import op


@dataclass
class Statistics:
    """What is in a text.

    Attributes:
        headings: The headings, in their order.
        links: Where the links lead.
        words: How many words it has, marks left out.
    """

    headings: list[str]
    links: list[str]
    words: int


@op
def textstats(text: str) -> Statistics:
    """Headings, links and words of a Markdown text.

    Args:
        text: Markdown, as CommonMark defines it.
    """
    found = Statistics([], [], 0)
    tokens = MarkdownIt("commonmark").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            found.headings.append(token.content)
        for child in token.children or []:
            if child.type == "link_open":
                found.links.append(str(child.attrGet("href")))
            elif child.type == "text":
                found.words += len(child.content.split())
    return found
