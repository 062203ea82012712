"""Stand-ins for the outside world: Shopify, sevdesk, VIES, a mail relay, the weather between us and them, the
auditor.

They are a product, not a test helper: `ladenbuch demo` and `ladenbuch simulate` run on them. They import
nothing of the rest of ladenbuch, because a double that shares code with the original shares its mistakes.
Each simulator is a synchronous core (`handle(SimRequest) -> SimResponse`) that can be driven in one thread
under virtual time, and a thin ASGI front (`http.asgi`) that makes it reachable for any client.
"""
