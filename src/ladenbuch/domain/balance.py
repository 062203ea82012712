"""What a payment provider says of a merchant's balance: its movements, and what was paid out (facts 2.6).

All movements together are what the provider still owes, a payout being one movement out; a payout contains the
movements that were paid out with it. Amounts in minor units of the provider's currency, signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: Types that move money between the balance and the bank.
TRANSFERS = ("TRANSFER", "TRANSFER_FAILURE", "TRANSFER_CANCEL", "TRANSFER_REFUND")
#: Types of charges and refunds of orders, whose lines the orders themselves write.
OF_ORDERS = ("CHARGE", "REFUND")
#: What is kept back for a while and still belongs to the merchant.
RESERVES = ("RESERVED_FUNDS", "RESERVED_FUNDS_REVERSAL", "RESERVED_FUNDS_WITHDRAWAL")
#: Money of a disputed charge, taken and given back.
DISPUTES = ("DISPUTE_WITHDRAWAL", "DISPUTE_REVERSAL", "CHARGEBACK_HOLD", "CHARGEBACK_HOLD_RELEASE")
#: A fee that a report of another provider lists as a line of its own.
PROVIDER_FEE = "PROVIDER_FEE"
#: What the provider asks for its own service, as movements of their own; it stands on the fee voucher.
FEES = (
    PROVIDER_FEE,
    "CHARGEBACK_FEE",
    "CHARGEBACK_FEE_REFUND",
    "STRIPE_FEE",
    "APPLICATION_FEE_REFUND",
    "ACH_BANK_FAILURE_DEBIT_FEE",
    "ACH_BANK_FAILURE_DEBIT_REVERSAL_FEE",
)


@dataclass(frozen=True, slots=True)
class Movement:
    """A balance transaction: the balance moves by `net`, which is `amount` less `fee`.

    `order_transaction` is the gid of the order's transaction it comes from, `payout_id` None while it is not paid out,
    `source_id` the number of what it comes from (of a transfer: the payout).
    """

    id: str
    type: str
    at: datetime
    amount: int
    fee: int
    net: int
    currency: str
    order_transaction: str | None = None
    order_id: str | None = None
    order_name: str | None = None
    payout_id: str | None = None
    source_id: str | None = None
    reason: str = ""
    test: bool = False

    @property
    def number(self) -> str:
        """The number at the end of its id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def is_transfer(self) -> bool:
        """Whether it is a payout, or one that came back."""
        return self.type in TRANSFERS


@dataclass(frozen=True, slots=True)
class Payout:
    """Money on its way to the merchant's bank, or from it (`net` below zero). `trace` is what the bank was told."""

    id: str
    issued_at: datetime
    status: str
    net: int
    currency: str
    trace: str = ""

    @property
    def number(self) -> str:
        """The number at the end of its id."""
        return self.id.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Balance:
    """What the provider says it owes now, per currency; `activated` False while nothing can be paid with it."""

    owed: tuple[tuple[str, int], ...]
    activated: bool = True
