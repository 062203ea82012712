"""Everything that speaks sevdesk: business verbs over its HTTP interface, and its documents in our words.

reading.py       one value from its many spellings
paper.py         a document's header in sevdesk's words; tax rules
positions.py     positions written, read, compared to the cent
documents.py     invoice drafts <-> sevdesk's JSON; comparison
calls.py         one HTTP call: sent once; what its failure means
finding.py       lists and filters that sevdesk may ignore
listing.py       all documents of an account, streamed
lookups.py       ids of countries, units, users: believed for a day
room.py          what the rooms below share
contacts.py      find and create contacts, addresses, mailboxes
invoices.py      find, save, finalise, cancel, book invoices
credit_notes.py  the same for corrections, values and verbs
accounts.py      payment accounts and the lines on them
client.py        `Sevdesk`: all rooms in one
"""
