"""Everything that speaks sevdesk: business verbs over its HTTP interface, and its documents in our words.

reading.py     one value from its many spellings
documents.py   drafts <-> sevdesk's JSON; tax rules; comparison to the cent
calls.py       one HTTP call: sent once; what its failure means
client.py      `Sevdesk`: find, save, finalise, book, cancel
"""
