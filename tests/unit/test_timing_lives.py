"""Timings and graces over generated lives: whenever an order is looked at, the same comes of it (R2, R9, 3.1)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from ladenbuch.domain.books import Books
from ladenbuch.domain.facts import Facts
from ladenbuch.domain.plan import plan
from ladenbuch.domain.profile import Profile
from unit.test_plan_lives import DEMO, END, EVIDENCE, apply, facts_at, lives_of, posted

TIMINGS = {
    "fulfilment": replace(DEMO, timing="fulfilment"),
    "payment": replace(DEMO, timing="payment"),
    "grace": replace(DEMO, grace_seconds=3600),
    "fulfilment and grace": replace(DEMO, timing="fulfilment", grace_seconds=7200),
    "creation": replace(DEMO, timing="creation", taxation="ist"),
}


def settle(books: Books, facts: Facts, now: object, profile: Profile) -> Books:
    for action in plan(facts, books, [profile], now, EVIDENCE).due(now):  # type: ignore[arg-type]
        if set(action.after) <= books.applied:
            books = apply(books, action)
    return books


@pytest.mark.parametrize("name", TIMINGS)
def test_r2_every_timing_gives_one_result_seen_live_woken_late_or_after_an_outage(name: str) -> None:
    profile, rng = TIMINGS[name], random.Random(name)
    for life in lives_of("wide", 350, seed=21):
        if name == "creation" and life.label.outcome == "attention":
            continue  # what is asked about may only be known after the invoice: a parcel that leaves from abroad
        seen = [(event.at, facts_at(event.snapshot)) for event in life.events]
        at_once = settle(Books(), seen[-1][1], END, profile)
        live = Books()
        for index, (at, facts) in enumerate(seen):
            until = seen[index + 1][0] if index + 1 < len(seen) else END
            live = settle(live, facts, min(at + timedelta(seconds=90), until), profile)
            made = plan(facts, live, [profile], at + timedelta(seconds=90), EVIDENCE)
            if made.look_again is not None and made.look_again + timedelta(seconds=1) < until:
                live = settle(live, facts, made.look_again + timedelta(seconds=1), profile)
        live = settle(live, seen[-1][1], END, profile)
        assert posted(live) == posted(at_once), (name, life.label.situation)
        some = Books()
        for index in sorted(rng.sample(range(len(seen)), rng.randint(0, len(seen)))):
            some = settle(some, seen[index][1], seen[index][0] + timedelta(seconds=90), profile)
        some = settle(some, seen[-1][1], END, profile)
        assert posted(some) == posted(at_once), (name, life.label.situation)
        assert plan(seen[-1][1], at_once, [profile], END, EVIDENCE).due(END) == ()
