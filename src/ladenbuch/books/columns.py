"""Shapes of columns and parameters the books share."""

from __future__ import annotations

import sqlalchemy as sa

from ladenbuch.sealed import Seal as Seal
from ladenbuch.sealed import Unseal as Unseal

_KEY = sa.String(200)

_ORDER = sa.String(64)

_T, _O, _K = (sa.bindparam(name, type_=sa.Text) for name in "tok")
