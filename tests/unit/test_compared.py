"""S39, S96: what changed between two looks at a connection, whatever could not be seen in one of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ladenbuch.domain.compared import carried, changes
from ladenbuch.domain.connected import Finding

READ = (Finding("ok", "SHOPIFY", "shopify", "e", "d"), Finding("ok", "SEVDESK", "sevdesk", "e", "d"))
levels = st.sampled_from(["ok", "warn", "missing"])
hanging = st.builds(
    Finding, levels, st.sampled_from(["A", "B", "C"]), st.just("taxes"), st.just("e"), st.just("d"),
    about=st.sampled_from(["", "x"]),
)  # fmt: skip
looks = st.lists(hanging, max_size=6).map(lambda found: [*READ, *found])


def bad(found: list[Finding]) -> set[tuple[str, str, str]]:
    return {(item.code, item.about, item.level) for item in found if item.level != "ok"}


@settings(max_examples=50)
@given(looks, looks)
def test_what_came_and_what_went_leads_from_one_look_to_the_other(before: list[Finding], after: list[Finding]) -> None:
    found = changes(before, carried(before, after))
    came, went = (bad([item.finding for item in found if item.came is way]) for way in (True, False))
    assert (bad(before) - went) | came == bad(after)
    assert not came & bad(before) and not went & bad(after)
    assert changes(after, after) == []


@given(looks, st.integers(1, 4))
def test_nothing_that_could_not_be_seen_is_gone_however_long(before: list[Finding], days: int) -> None:
    """A side that refuses for days hides what hangs on it; when it answers as before, nothing has changed."""
    refused = Finding("missing", "SEVDESK-TOKEN-REVOKED", "sevdesk", "e", "d", "do", "tu")
    kept = before
    for day in range(days):
        after = carried(kept, [READ[0], refused])
        new = changes(kept, after)
        assert [item.finding.code for item in new] == (["SEVDESK-TOKEN-REVOKED"] if day == 0 else [])
        kept = after
    again = changes(kept, carried(kept, before))
    assert [(item.came, item.finding.code) for item in again] == [(False, "SEVDESK-TOKEN-REVOKED")]


@given(hanging)
def test_a_finding_is_kept_and_read_again(finding: Finding) -> None:
    assert Finding.from_json(finding.as_json()) == finding
