"""A Shopify that fits into one process: Admin GraphQL over order snapshots, tokens, cost, throttling,
webhooks.

It imports nothing of the connector, so that the two cannot share a mistake. Its schema is a strict subset of
the published one; what it enforces is the vendor's, with the figures of the published pages or measurements.
"""

from ladenbuch.simulators.shopify.served import create_app, deliver_forever
from ladenbuch.simulators.shopify.simulator import ShopifySimulator
from ladenbuch.simulators.shopify.webhooks import DEFAULT_TOPICS, Delivery
from ladenbuch.simulators.shopify.world import DEFAULT_SCOPES, PAYMENT_SCOPES, Shop

__all__ = [
    "DEFAULT_SCOPES",
    "DEFAULT_TOPICS",
    "PAYMENT_SCOPES",
    "Delivery",
    "Shop",
    "ShopifySimulator",
    "create_app",
    "deliver_forever",
]
