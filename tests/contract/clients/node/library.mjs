// Shopify's own Node library, as it is installed in `folder`/node_modules, and what was asked on standard input:
// {folder, shop, client_id, client_secret, …}. Shops are reached through HTTPS_PROXY, whose authority is in
// NODE_EXTRA_CA_CERTS.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const given = JSON.parse(await new Response(process.stdin).text());
const require = createRequire(join(given.folder, 'package.json'));
require('@shopify/shopify-api/adapters/node');
export const library = require('@shopify/shopify-api');
export const signing = require('@shopify/shopify-api/test-helpers');
export const runtime = require('@shopify/shopify-api/runtime');
const manifest = join(given.folder, 'node_modules/@shopify/shopify-api/package.json');
export const installed = JSON.parse(readFileSync(manifest)).version;

export const SCOPES = 'read_orders,write_orders,read_customers';

export function app(more = {}) {
  return library.shopifyApi({
    apiKey: given.client_id,
    apiSecretKey: given.client_secret,
    scopes: SCOPES.split(','),
    hostName: given.hostName ?? 'app.example',
    hostScheme: 'http',
    apiVersion: '2026-10',
    isEmbeddedApp: false,
    logger: { log: () => {} },
    ...more,
  });
}

// What `act` gives, or the refusal: {threw: class, status?, body?, errors?, message?}.
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    const refusal = { threw: error.constructor.name };
    const response = error.response;
    if (response?.code) Object.assign(refusal, { status: response.code, body: response.body });
    if (error.body?.errors?.graphQLErrors) refusal.errors = error.body.errors.graphQLErrors;
    if (!response) refusal.message = error.message;
    return refusal;
  }
}
