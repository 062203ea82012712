"""Behaviours the official libraries' suites assert, each with the test of ours that shows it (facts 7.3).

Webhooks, OAuth, tokens, grants, sessions, shops and the host parameter. A name that is not a test fails here.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
OAUTH, HOOKS = "unit/test_oauth_vectors.py", "unit/test_shopify_webhooks.py"
INSTALL, TOKENS = "integration/test_install.py", "integration/test_tokens.py"
SUBSCRIPTIONS, INGEST = "unit/test_subscriptions.py", "integration/test_ingest.py"

BEHAVIOURS: dict[str, tuple[str, str]] = {
    # vectors of 7.2
    "vector: OAuth hex": (OAUTH, "test_vector_oauth_hex"),
    "vector: OAuth list": (OAUTH, "test_vector_oauth_list"),
    "vector: %20 rule": (OAUTH, "test_vector_space_is_percent_20"),
    "vector: delimiter injection": (OAUTH, "test_vector_delimiter_injection"),
    "vector: webhook base64, UTF-8": (HOOKS, "test_hmac_vector_with_utf8_body"),
    "vector: JWT": (OAUTH, "test_vector_session_token"),
    # webhooks
    "webhook: lower-case and mixed headers": (HOOKS, "test_header_names_are_case_insensitive"),
    "webhook: each missing required header named": (HOOKS, "test_each_missing_required_header_is_400_and_named"),
    "webhook: empty body": (HOOKS, "test_empty_body_is_400_even_when_signed"),
    "webhook: missing HMAC": (HOOKS, "test_missing_hmac_is_400_and_named"),
    "webhook: wrong HMAC 401": (HOOKS, "test_a_wrong_hmac_is_401"),
    "webhook: cookie signature replay rejected": (HOOKS, "test_a_cookie_signature_is_not_a_webhook_signature"),
    "webhook: our own cookie replayed": (INSTALL, "test_a_signed_cookie_is_no_webhook_signature"),
    "webhook: both header families, new family wins": (
        HOOKS,
        "test_both_header_families_are_understood_and_the_new_one_wins",
    ),
    "webhook: name extracted": (HOOKS, "test_headers_become_the_event"),
    "webhook: topic normalised": (HOOKS, "test_alias_e10_transactions_create"),
    "webhook: unknown topic": (HOOKS, "test_an_unknown_topic_is_flagged_and_accepted"),
    "webhook: handler exception": ("integration/test_scopes_webhook.py", "test_a_handler_that_raises_is_tried_again"),
    "webhook: cannot be written": (INGEST, "test_what_cannot_be_written_is_503_and_comes_again"),
    "webhook: old secret accepted": (HOOKS, "test_the_previous_secret_is_accepted_during_a_rotation"),
    "webhook: compliance topics never registered by API": (
        SUBSCRIPTIONS,
        "test_compliance_topics_are_never_registered_by_the_api",
    ),
    "webhook: re-registration updates": (SUBSCRIPTIONS, "test_re_registration_updates_what_changed"),
    "webhook: re-registration replaces on a changed address": (
        SUBSCRIPTIONS,
        "test_re_registration_replaces_on_a_changed_address",
    ),
    "webhook: stale handlers deleted": (SUBSCRIPTIONS, "test_stale_subscriptions_are_deleted_and_doubles_named"),
    # OAuth
    "oauth: state cookie set with expiry": (
        INSTALL,
        "test_the_state_cookie_is_set_with_everything_that_guards_it",
    ),
    "oauth: authorize URL offline and online": (OAUTH, "test_authorise_url_offline_and_online"),
    "oauth: authorize URL as served": (INSTALL, "test_the_authorize_url_is_exactly_this"),
    "oauth: missing state cookie, bad state, bad hmac, no hmac key": (
        INSTALL,
        "test_s10_a_callback_that_must_not_work_is_a_4xx_and_stores_nothing",
    ),
    "oauth: cookie missing": (OAUTH, "test_callback_without_its_own_fresh_cookie_is_refused"),
    "oauth: bad hmac": (OAUTH, "test_bad_hmac_is_refused"),
    "oauth: no hmac key": (OAUTH, "test_a_missing_hmac_is_refused"),
    "oauth: extra query keys are part of the hmac": (OAUTH, "test_extra_query_keys_are_part_of_the_hmac"),
    "oauth: timestamp -91 s and +91 s": (OAUTH, "test_timestamp_window_is_90_seconds_both_ways"),
    "oauth: timestamp missing, NaN, Infinity, decimal, empty": (
        OAUTH,
        "test_timestamps_that_are_not_integers_are_refused",
    ),
    "oauth: timestamp as array": (OAUTH, "test_security_parameters_as_a_list_are_refused"),
    "oauth: repeated security parameters": (OAUTH, "test_repeated_security_parameters_are_refused"),
    "oauth: token exchange body": (OAUTH, "test_bodies_of_the_grants"),
    "oauth: HTTP error surfaced": (OAUTH, "test_token_endpoint_failures"),
    "oauth: bot 410": (INSTALL, "test_bots_are_answered_410_and_previews_with_head_do_nothing"),
    "oauth: expiring fields stored": (
        TOKENS,
        "test_s133_a_granted_pair_is_stored_with_its_grant_and_one_audit_row",
    ),
    # session tokens
    "token: expired, not yet valid, wrong key, alg, aud, iss, dest": (
        INSTALL,
        "test_s127_a_bad_session_token_is_401_and_says_to_try_with_a_fresh_one",
    ),
    "token: 10 s leeway both sides": (OAUTH, "test_session_token_leeway_is_ten_seconds_both_sides"),
    "token: iss not a shop, iss/dest mismatch, missing claims": (
        OAUTH,
        "test_session_tokens_that_must_not_pass",
    ),
    "token: wrong alg": (OAUTH, "test_another_algorithm_with_the_right_secret_is_refused"),
    "token: non-Bearer header": (OAUTH, "test_bearer_header"),
    "token: non-Bearer header is 401": (INSTALL, "test_a_header_that_carries_no_bearer_token_is_401"),
    "token: checkout token without sub": (OAUTH, "test_checkout_tokens_have_no_user"),
    # exchange, refresh, client credentials, migrate
    "grants: invalid shop raises before any HTTP": (TOKENS, "test_an_invalid_shop_raises_before_any_http"),
    "grants: invalid session token raises before any HTTP": (
        OAUTH,
        "test_an_empty_session_or_refresh_token_is_refused_before_any_call",
    ),
    "grants: expiring 0/1 sent as string": (OAUTH, "test_bodies_of_the_grants"),
    "grants: offline response": (OAUTH, "test_an_expiring_token_response"),
    "grants: online response": (OAUTH, "test_an_online_token_names_its_person_and_nothing_else_of_them"),
    "grants: 4xx raised": (OAUTH, "test_token_endpoint_failures"),
    "grants: admin URL form sanitised": (OAUTH, "test_shops_are_sanitised"),
    "grants: missing expires_in": (OAUTH, "test_a_missing_expiry_is_an_error_never_for_ever"),
    "grants: migrate": (TOKENS, "test_an_old_token_is_migrated_once_and_lives_on_as_a_pair"),
    # session
    "session: isExpired with margin": (OAUTH, "test_is_expired_has_a_margin_of_five_minutes"),
    "session: scope subset and implied scopes": (OAUTH, "test_scopes_and_their_implications"),
    "session: round trip": (TOKENS, "test_a_grant_comes_back_as_it_was_stored"),
    # shop and host
    "shop: valid hosts, scheme, case, whitespace": (OAUTH, "test_shops_are_sanitised"),
    "shop: attacker suffix, prefix, userinfo, path, hyphen, empty": (OAUTH, "test_traps_are_not_shops"),
    "host: base64 and trusted suffix": (OAUTH, "test_a_host_parameter_with_another_suffix_is_refused"),
    "host: no base64": (OAUTH, "test_a_host_parameter_that_is_no_base64_is_refused"),
}


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_behaviour_has_its_test(behaviour: str) -> None:
    path, name = BEHAVIOURS[behaviour]
    assert name in names_in(path), f"{path} has no {name}"
