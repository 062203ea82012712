"""Ladenbuch keeps a shop's books: each paid Shopify order becomes the right sevdesk invoice, once, with its reason.

The layers, imports going down only:

    cli            commands
    bootstrap      puts everything together
    web            webhooks in, dashboard out
    workflows      the business: settle, dispatch, deliver, poll, tokens
    engine         runs things now, here or elsewhere
    alarms         what a person should hear of at once
    inbox books outbox deadletters tenants vault audit evidence   each table has one of these as its only writer
    shopify sevdesk mail receivers vies vat_rates                 the outside world
    db telemetry
    domain         pure: facts, tax, documents, plan, certificate
    errors settings

One webhook: `web.ingest` verifies its bytes and reads nothing but the order's id; `inbox` keeps it with a mark "order
wanted" and only then answers 200; `workflows.dispatch` claims the due mark; `workflows.settle` fetches the order as
it is now, breaks it into dated facts, plans what is not covered yet, and has `workflows.posting` do it: intent, find,
call, record. `workflows.deliver` sends the letter; the certificate proves the order; the mark says "settled".
"""

__version__ = "0.1.0"
