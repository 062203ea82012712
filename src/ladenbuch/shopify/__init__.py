"""Everything that speaks Shopify; nothing that speaks sevdesk or SQL.

    webhooks   sans-I/O: is this delivery genuine, and which order is it about?
    oauth      sans-I/O: authorise URL, callback check, grants, session tokens
    answer     sans-I/O: what the Admin API answered; partial data is kept
    cost       what a query costs before it is sent, and how many points are left
    estimate   how `cost` reads a document
    admin      the Admin GraphQL client
    reading    one whole order, complete or with its gaps named
    shapes     lists and connections, ids, instants, rates
    orders     Admin JSON -> domain.Order; the only place that knows Shopify's field names
    queries/   one .graphql file per document, valid on the versions the contract tests name

These modules raise Retryable, Ambiguous and Rejected, nothing else on purpose.
"""
