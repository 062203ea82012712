"""Property tests know no deadline: how long an example takes says something about the machine alone."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ladenbuch", deadline=None)
settings.load_profile("ladenbuch")
