"""A stand-in for sevdesk: holds a tenant's books in memory and refuses what the real service refuses.

Written from what was measured of the real service (ids, wrappers, odd spellings, error codes, arithmetic).
What nobody has measured is refused by default and can be allowed by a switch of `Switches`.

    wire.py          scalars, references, errors as the service writes them
    arithmetic.py    gross, net and tax of a position, in cents
    world.py         the state: documents, contacts, accounts, transactions, indexes, things due later
    listing.py       list endpoints: filters, paging, embed
    lookups.py       countries, units, users, tax rules, number sequences
    contacts.py      contacts, addresses, communication ways, parts, tags
    drafts.py        reading a document from the wire: header, positions, tax
    documents.py     what invoices and credit notes share: finalising, printing, deleting, writing out
    invoices.py      saveInvoice and the life of an invoice; credit_notes.py the same for corrections
    einvoice.py      what an e-invoice must have, and its XML
    accounts.py      payment accounts; banking.py their transactions and bookAmount
    vouchers.py      receipts, and the accounts they may name
    pdf.py           a real one-page (or longer) PDF
    control.py       the control API for tests and demos
    simulator.py     routing, authentication, counting
"""

from ladenbuch.simulators.sevdesk.simulator import SevdeskSimulator, create_app
from ladenbuch.simulators.sevdesk.world import DEFAULT_TOKEN, Switches

__all__ = ["DEFAULT_TOKEN", "SevdeskSimulator", "Switches", "create_app"]
