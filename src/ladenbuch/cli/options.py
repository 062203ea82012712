"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Faults = Annotated[Literal["calm", "rain", "storm"], typer.Option(help="Weather: how unreliable everything is.")]
Mix = Annotated[Literal["domestic", "wide"], typer.Option(help="domestic: every order can be decided.")]
LanguageOption = Annotated[Literal["de", "en"], typer.Option("--language", help="The language of the sentences.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Tenant id; needed when there are several.")]
Since = Annotated[str | None, typer.Option(help="First day of the period (YYYY-MM-DD).")]
Until = Annotated[str | None, typer.Option(help="First day after the period (YYYY-MM-DD).")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
