"""Letters to the buyer and the way they leave: what is written, and what became of it.

    letters.py     what letters say, as values; wording.py makes words of them, writing.py messages, previews.py samples
    transport.py   relays in order of preference: which one a letter is given to
    health.py      which of them is left alone for a while
    sending.py     what a letter is to a relay; every attempt ends in one of four values
    smtp.py        one conversation with an SMTP server
    providers/     SendGrid, Mailgun, Amazon SES and Postmark over HTTP
    feedback/      what relays tell of letters they took: verified as each publishes it, then read

Nothing here knows an order, a shop or a table. That a letter is sent at most once is the outbox's
business; this package tells it truthfully what happened (see docs/explanation/exactly-once.md).
"""
