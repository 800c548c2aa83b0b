"""Which encoding the text of a response has: one that encodes text, whatever the server asks for.

Python has codecs that compress, that rotate letters, or that always fail; ``charset=bz2`` must not
select one.
"""

import re
from typing import Final

__all__ = ["charset_of"]

_CHARSET: Final = re.compile(
    r"""charset=["']?((?:utf-?8|utf-?16(?:-?[lb]e)?|utf-?32(?:-?[lb]e)?|us-ascii|latin-?1|"""
    r"""iso-8859-(?:[1-9]|1[013-6])|windows-(?:125[0-8]|874)|koi8-[ru]|macintosh|"""
    r"""gbk|gb2312|gb18030|big5|euc-jp|euc-kr|iso-2022-jp|shift_jis))(?=["'\s;]|$)""",
    re.IGNORECASE,
)
"""The encodings that browsers know (https://encoding.spec.whatwg.org/#names-and-labels)."""


def charset_of(content_type: str) -> str | None:
    """Return the encoding that a ``Content-Type`` names; None if it names none that is safe.

    Example:
        >>> charset_of("text/plain; charset=latin-1"), charset_of("text/plain; charset=bz2")
        ('latin-1', None)
    """
    found = _CHARSET.search(content_type)
    return None if found is None else found[1]
