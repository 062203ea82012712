"""Letters to the buyer and the way they leave: what is written, and what became of it.

    letters.py     which words, to whom, with which attachment (pure)
    transport.py   SMTP relays in order of preference; every attempt ends in one of four values
    feedback/      what relays tell of letters they took: verified as each publishes it, then read

Nothing here knows an order, a shop or a table. That a letter is sent at most once is the outbox's
business; this package tells it truthfully what happened (see docs/explanation/exactly-once.md).
"""
