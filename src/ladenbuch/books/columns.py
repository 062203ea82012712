"""Shapes of columns and parameters the books share."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

Seal = Callable[[bytes], tuple[str, bytes]]


Unseal = Callable[[str, bytes], bytes]

_KEY = sa.String(200)

_ORDER = sa.String(64)

_T, _O, _K = (sa.bindparam(name, type_=sa.Text) for name in "tok")
