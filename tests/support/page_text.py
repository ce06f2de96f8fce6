"""What a reader sees of a page."""

from __future__ import annotations

import html
import re


def visible_text(answer) -> str:
    """The text of a page: tags and their attributes gone, spaces folded."""
    body = answer.content.decode().split('<main', 1)[1].replace('<wbr>', '')
    return ' '.join(html.unescape(re.sub(r'<[^>]*>', ' ', body)).split())
