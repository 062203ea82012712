// Shopify's own Node library as a merchant's app: installation, the other grants, GraphQL and webhooks at the simulated
// shop, as one JSON on standard output. Every step is a member of it, a refusal is {threw: class, …}.
//
//   node work.mjs < {folder, shop, client_id, client_secret, control, topics, privacy, until}

import { createServer } from 'node:http';
import { once } from 'node:events';
import { SCOPES, app, attempt, given, installed, library, signing } from './library.mjs';

const BROWSER = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };

function told(session) {
  return {
    id: session.id,
    shop: session.shop,
    scope: session.scope,
    online: session.isOnline,
    token: session.accessToken,
    seconds: session.expires ? Math.round((session.expires - Date.now()) / 1000) : null,
    refresh: session.refreshToken ?? null,
    refresh_seconds: session.refreshTokenExpires
      ? Math.round((session.refreshTokenExpires - Date.now()) / 1000)
      : null,
    user: session.onlineAccessInfo?.associated_user ?? null,
    active: session.isActive(SCOPES),
  };
}

async function control(verb, body) {
  const answer = await fetch(`${given.control}/${verb}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`control ${verb}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// -- the merchant's browser: follows nothing on its own, keeps the app's cookies, says yes on the consent page

async function consent(address) {
  let pressed = 0;
  let answer = await fetch(address, { redirect: 'manual', headers: BROWSER });
  if (answer.status === 200) {
    const page = await answer.text();
    const attribute = (tag, name) => tag.match(new RegExp(`${name}="([^"]*)"`))?.[1]?.replaceAll('&amp;', '&');
    const filled = new URL(attribute(page.match(/<form[^>]*>/)[0], 'action') ?? address, address);
    filled.search = '';
    for (const [field] of page.matchAll(/<(?:input|button)[^>]*>/g)) {
      if (attribute(field, 'name')) filled.searchParams.append(attribute(field, 'name'), attribute(field, 'value'));
    }
    pressed = 1;
    answer = await fetch(filled, { redirect: 'manual', headers: BROWSER });
  }
  if (answer.status < 300 || answer.status > 399) throw new Error(`consent: ${answer.status} ${await answer.text()}`);
  return [new URL(answer.headers.get('location')), pressed];
}

class Merchant {
  cookies = {};

  async open(address, headers = BROWSER) {
    const cookie = Object.entries(this.cookies).map((pair) => pair.join('=')).join('; ');
    const answer = await fetch(address, { redirect: 'manual', headers: { ...headers, ...(cookie && { cookie }) } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.split(';')[0].match(/^([^=]*)=(.*)$/);
      if (value) this.cookies[name] = value;
      else delete this.cookies[name];
    }
    return answer;
  }

  async install(own, kind, change = (url) => url) {
    const begun = await this.open(`${own}/auth?kind=${kind}`);
    if (begun.status !== 302) return { status: begun.status };
    const [back, pressed] = await consent(begun.headers.get('location'));
    this.pressed = pressed;
    const done = await this.open(change(back));
    return done.json();
  }
}

// -- the app: begin, callback and the receiver of webhooks, as the library's documentation shows them

async function serveApp(received) {
  const server = createServer();
  server.listen(given.listen ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const own = `http://127.0.0.1:${server.address().port}`;
  given.hostName = own.slice('http://'.length);
  const shopify = app();
  const kinds = {};
  const routes = {
    '/auth': async (request, response, query) => {
      const kind = query.get('kind');
      const callbackPath = `/auth/callback/${kind}`;
      await shopify.auth.begin({
        shop: given.shop,
        callbackPath,
        isOnline: kind === 'online',
        rawRequest: request,
        rawResponse: response,
      });
      kinds[callbackPath] = kind;
    },
    '/webhooks': async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const rawBody = Buffer.concat(chunks).toString('utf8');
      const seen = { kind: request.headers['content-type'] };
      received.push(seen);
      const valid = await shopify.webhooks.validate({ rawBody, rawRequest: request, rawResponse: response });
      Object.assign(seen, valid, { hmac: undefined });
      await attempt(() => shopify.webhooks.process({ rawBody, rawRequest: request, rawResponse: response }));
      seen.status = response.statusCode;
    },
  };
  const callback = async (request, response, query, path) => {
    const outcome = await attempt(async () => {
      const done = await shopify.auth.callback({
        rawRequest: request,
        rawResponse: response,
        expiring: kinds[path] === 'expiring',
      });
      Object.entries(done.headers ?? {}).forEach(([name, value]) => response.setHeader(name, value));
      return told(done.session);
    });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(outcome));
  };
  server.on('request', async (request, response) => {
    const url = new URL(request.url, own);
    const act = routes[url.pathname] ?? callback;
    try {
      await act(request, response, url.searchParams, url.pathname);
    } catch (error) {
      if (!response.headersSent) response.statusCode = 500;
      response.end(String(error));
    }
  });
  return { server, own, shopify };
}

async function installation(own, shopify, answer) {
  for (const kind of ['expiring', 'permanent', 'online']) {
    answer[`install_${kind}`] = await attempt(() => new Merchant().install(own, kind));
  }
  await control('consent', { shop: given.shop, asks: true });
  const asked = new Merchant();
  answer.install_consented = await attempt(() => asked.install(own, 'expiring'));
  answer.install_consented.pressed = asked.pressed;
  await control('consent', { shop: given.shop, asks: false });
  answer.install_without_cookie = await attempt(() => {
    const forgetful = new Merchant();
    return forgetful.install(own, 'expiring', (url) => ((forgetful.cookies = {}), url));
  });
  answer.install_with_foreign_state = await attempt(() =>
    new Merchant().install(own, 'expiring', (url) => (url.searchParams.set('state', 'x'.repeat(64)), url)),
  );
  answer.install_with_foreign_shop = await attempt(() =>
    new Merchant().install(own, 'expiring', (url) => (url.searchParams.set('shop', 'other.myshopify.com'), url)),
  );
  answer.install_with_used_code = await attempt(async () => {
    const merchant = new Merchant();
    let kept;
    let cookies;
    await merchant.install(own, 'expiring', (url) => ((kept = url), (cookies = { ...merchant.cookies }), url));
    merchant.cookies = cookies;
    return (await merchant.open(kept)).json();
  });
  const bot = await new Merchant().open(`${own}/auth?kind=expiring`, { 'User-Agent': 'Googlebot/2.1' });
  answer.begin_by_a_bot = bot.status;
  const { url: link } = await control('link', { shop: given.shop, app_url: `${own}/auth` });
  answer.link = await attempt(() => shopify.utils.validateHmac(Object.fromEntries(new URL(link).searchParams)));
  answer.host = await attempt(async () => {
    let seen;
    await new Merchant().install(own, 'expiring', (url) => ((seen = url.searchParams.get('host')), url));
    return shopify.utils.sanitizeHost(seen) === seen && seen;
  });
}

async function grants(shopify, answer) {
  const { shop } = given;
  const credentials = await attempt(() => shopify.auth.clientCredentials({ shop }));
  answer.client_credentials = credentials.session ? told(credentials.session) : credentials;
  answer.client_credentials_wrong_secret = await attempt(() =>
    app({ apiSecretKey: 'wrong' }).auth.clientCredentials({ shop }),
  );
  answer.client_credentials_unknown_shop = await attempt(() =>
    shopify.auth.clientCredentials({ shop: 'nobody.myshopify.com' }),
  );
  answer.client_credentials_not_a_shop = await attempt(() => shopify.auth.clientCredentials({ shop: 'example.com' }));
  const offline = library.RequestedTokenType.OfflineAccessToken;
  const online = library.RequestedTokenType.OnlineAccessToken;
  const session = async () => (await control('session', { shop })).session_token;
  const exchange = async (requestedTokenType, expiring, sessionToken) => {
    const token = sessionToken ?? (await session());
    const done = await shopify.auth.tokenExchange({ shop, sessionToken: token, requestedTokenType, expiring });
    return told(done.session);
  };
  answer.exchange_expiring = await attempt(() => exchange(offline, true));
  answer.exchange_permanent = await attempt(() => exchange(offline, false));
  answer.exchange_online = await attempt(() => exchange(online, false));
  answer.exchange_own_token = await attempt(async () =>
    exchange(offline, true, (await signing.getJwt(shop.split('.')[0], given.client_id, given.client_secret)).token),
  );
  answer.session_token = await attempt(async () => shopify.session.decodeSessionToken(await session()));
  const refresh = (refreshToken) =>
    attempt(async () => told((await shopify.auth.refreshToken({ shop, refreshToken })).session));
  const first = answer.exchange_expiring.refresh;
  answer.refreshed = await refresh(first);
  await control('lose', { count: 1 });
  answer.refreshed_in_vain = await refresh(first); // it happened, but the answer was lost
  answer.refreshed_again = await refresh(first);
  answer.refreshed_by_successor = await refresh(answer.refreshed_again.refresh);
  answer.refreshed_by_predecessor = await refresh(first);
  answer.refreshed_by_nonsense = await refresh('shprt_nonsense');
  const old = answer.exchange_permanent.token;
  const migrate = () =>
    attempt(async () =>
      told((await shopify.auth.migrateToExpiringToken({ shop, nonExpiringOfflineAccessToken: old })).session),
    );
  answer.migrated = await migrate();
  answer.migrated_again = await migrate();
}

async function graphql(shopify, answer) {
  const { shop } = given;
  const client = (accessToken) => {
    const session = shopify.session.customAppSession(shop);
    return new shopify.clients.Graphql({ session: Object.assign(session, { accessToken }) });
  };
  const name = '{ shop { myshopifyDomain currencyCode } }';
  const ask = (token, text = name, options = {}) =>
    attempt(async () => {
      const { data, extensions, headers } = await client(token).request(text, options);
      return { data, cost: extensions.cost, version: headers['X-Shopify-Api-Version'] };
    });
  const asked = {};
  for (const [step, done] of Object.entries(answer)) if (done?.token) asked[step] = await ask(done.token);
  answer.asked = asked;
  const { token } = answer.refreshed_by_successor;
  const page = (lines) =>
    `query Page($n: Int!) { orders(first: $n, sortKey: UPDATED_AT) { nodes { id name
       totalPriceSet { shopMoney { amount currencyCode } }
       lineItems(first: ${lines}) { nodes { id quantity } } } pageInfo { hasNextPage endCursor } } }`;
  answer.orders = await ask(token, page(5), { variables: { n: 3 } });
  answer.unknown_field = await ask(token, '{ shop { favouriteColour } }');
  const many = 'abcdefgh'.split('').map((alias) => `${alias}: orders(first: 250) { nodes { lineItems(first: 250) { nodes { id } } } }`);
  answer.dear = await ask(token, `{ ${many.join(' ')} }`);
  answer.nonsense_token = await ask('shpat_nonsense');
  await control('drain', { shop });
  answer.throttled = await ask(token, page(100), { variables: { n: 50 } });
  await control('refuse', { shop, count: 1, retry_after: 1 });
  answer.refused = await ask(token);
  await control('refuse', { shop, count: 1, retry_after: 1 });
  const began = Date.now();
  answer.refused_and_tried_again = await ask(token, name, { retries: 1 });
  answer.refused_waited_ms = Date.now() - began;
  await control('status', { shop, status: 402 });
  answer.unavailable = await ask(token);
  await control('status', { shop, status: null });
}

async function webhooks(own, shopify, received, answer) {
  const { shop } = given;
  const { token } = answer.refreshed_by_successor;
  const session = Object.assign(shopify.session.customAppSession(shop), { accessToken: token });
  const handler = { deliveryMethod: library.DeliveryMethod.Http, callbackUrl: '/webhooks', callback: async () => {} };
  const summary = (registered) =>
    Object.fromEntries(
      Object.entries(registered).map(([topic, done]) => [topic, done.map((d) => `${d.operation} ${d.success}`)]),
    );
  const register = () => attempt(async () => summary(await shopify.webhooks.register({ session })));
  shopify.webhooks.addHandlers({ ORDERS_UPDATED: [{ ...handler }], REFUNDS_CREATE: [{ ...handler }] });
  answer.registered = await register();
  answer.registered_again = await register();
  shopify.webhooks.addHandlers({ CUSTOMERS_REDACT: [{ ...handler }] });
  answer.registered_privacy = await register();
  shopify.webhooks.getHandlers('ORDERS_UPDATED')[0].includeFields = ['id', 'updated_at'];
  answer.registered_fields = await register();
  const moved = app();
  moved.webhooks.addHandlers({ ORDERS_UPDATED: [{ ...handler, callbackUrl: '/webhooks?moved' }] });
  answer.registered_address = await attempt(async () => summary(await moved.webhooks.register({ session })));
  const named = new shopify.clients.Graphql({ session });
  const create = `mutation Named($uri: String!) {
    webhookSubscriptionCreate(
      topic: ORDERS_CREATE
      webhookSubscription: { uri: $uri, format: XML, name: "as-xml", includeFields: ["id", "note", "updated_at"] }
    ) { webhookSubscription { name format } userErrors { field message } }
  }`;
  answer.named = await attempt(async () => {
    const { data } = await named.request(create, { variables: { uri: `${own}/webhooks?xml` } });
    return data.webhookSubscriptionCreate;
  });
  // whatever the shop sends from now on, as app-specific subscriptions to the same receiver
  for (const topic of [...given.topics, ...given.privacy]) shopify.webhooks.addHandlers({ [topic]: [{ ...handler }] });
  await control('webhooks', { uri: `${own}/webhooks`, topics: [...given.topics, ...given.privacy] });
  await control('advance', { until: given.until, stamp: true });
  for (const topic of given.privacy) await control('send', { shop, topic, payload: { shop_domain: shop, note: 'Größe €' } });
  const stats = async () => (await (await fetch(`${given.control}/stats`)).json()).deliveries;
  for (let waited = 0; waited < 200; waited += 1) {
    const { waiting = 0, in_flight = 0 } = await stats();
    if (!waiting && !in_flight) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  answer.deliveries = await stats();
  answer.received = received;
}

async function work() {
  const answer = { library: installed, node: process.version };
  const received = [];
  const { server, own, shopify } = await serveApp(received);
  await installation(own, shopify, answer);
  await grants(shopify, answer);
  await webhooks(own, shopify, received, answer);
  await graphql(shopify, answer);
  server.close();
  server.closeAllConnections();
  return answer;
}

process.stdout.write(`${JSON.stringify(await work())}\n`);
