// Shopify's own Node library as a judge: its verdict on each of the cases, and things it signed itself, as one JSON on
// standard output.
//
//   node judge.mjs < {folder, shop, client_id, client_secret, now, webhooks, queries, sessions, shops, scopes}

import { app, given, installed, library, runtime, signing } from './library.mjs';

// A clock that stands still, so that edges of seconds can be judged.
const Moving = Date;
globalThis.Date = class extends Moving {
  constructor(...parts) {
    super(...(parts.length ? parts : [given.now * 1000]));
  }
  static now() {
    return given.now * 1000;
  }
};

const shopify = app();
const embedded = app({ isEmbeddedApp: true });
const KNOWN = ['orders/create', 'customers/redact', 'shop/redact'];
const handler = { deliveryMethod: library.DeliveryMethod.Http, callbackUrl: '/', callback: async () => {} };
for (const topic of KNOWN) shopify.webhooks.addHandlers({ [topic]: [{ ...handler }] });

// The status the library answers a delivery with.
async function webhook({ method, headers, body }) {
  const response = { statusCode: 0, setHeader() {}, getHeaders: () => ({}), write() {}, end() {} };
  const request = { method, url: '/webhooks', headers: Object.fromEntries(headers.map(([k, v]) => [k.toLowerCase(), v])) };
  const rawBody = Buffer.from(body, 'base64').toString('utf8');
  const valid = await shopify.webhooks.validate({ rawBody, rawRequest: request, rawResponse: response });
  if (valid.valid && valid.webhookType === 'events') return 200; // left to the app: `process` knows the other family only
  try {
    await shopify.webhooks.process({ rawBody, rawRequest: request, rawResponse: response });
  } catch (error) {
    if (!response.statusCode) return error.constructor.name;
  }
  return response.statusCode;
}

async function said(act) {
  try {
    return await act();
  } catch {
    return false;
  }
}

const each = async (cases, act) =>
  Object.fromEntries(await Promise.all(Object.entries(cases).map(async ([name, one]) => [name, await act(one)])));

// As auth.callback reads it: the last of two values is the one seen, and the shop has the last word.
const query = (text) =>
  said(async () => {
    const given = Object.fromEntries(new URLSearchParams(text).entries());
    return (await shopify.utils.validateHmac(given)) && shopify.utils.sanitizeShop(given.shop, true);
  });

const session = (token) =>
  said(async () => {
    const rawRequest = { method: 'GET', url: '/', headers: { authorization: `Bearer ${token}` } };
    const id = await embedded.session.getCurrentId({ isOnline: false, rawRequest, rawResponse: {} });
    return id.replace(/^offline_/, '').replace(/\.myshopify\.com$/, '');
  });

const scopes = ([granted, wanted]) =>
  new library.Session({ id: 'x', shop: given.shop, state: '', isOnline: false, scope: granted }).isScopeIncluded(wanted);

async function signed() {
  const body = JSON.stringify({ id: 820982911946154508n.toString(), note: 'Größe ß € 😀\u2028' });
  const pairs = new URLSearchParams({
    code: 'a b+c&d=e',
    host: 'YWRtaW4',
    shop: given.shop,
    state: '~*-._',
    timestamp: `${Math.trunc(Date.now() / 1000)}`,
  });
  const message = pairs.toString().replace(/\+/g, '%20');
  pairs.set('hmac', await runtime.createSHA256HMAC(given.client_secret, message, runtime.HashFormat.Hex));
  const now = Math.trunc(Date.now() / 1000);
  const store = given.shop.split('.')[0];
  const whole = { iss: `https://${given.shop}/admin`, exp: now + 60, nbf: now, iat: now };
  const token = async (overrides) =>
    (await signing.getJwt(store, given.client_id, given.client_secret, overrides)).token;
  return {
    body,
    webhook: signing.getHmac(body, given.client_secret),
    query: pairs.toString(),
    session: await token(whole),
    helper_session: await token({}),
  };
}

const answer = {
  library: installed,
  webhooks: await each(given.webhooks, webhook),
  queries: await each(given.queries, query),
  sessions: await each(given.sessions, session),
  shops: await each(given.shops, (text) => shopify.utils.sanitizeShop(text) ?? false),
  scopes: await each(given.scopes, scopes),
  signed: await signed(),
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
