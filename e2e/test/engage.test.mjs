// @engage_so/core, node and js 1.6.0, unmodified: every call that they export,
// with what the vendor's own tests expect of it, in their order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { engageCredential, engagePackages } from '../lib/engage.mjs';
import { setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const id = '1234';
const gid = 'abcd';

/** Whether everything in want is in got. */
function matches(got, want) {
  for (const [name, value] of Object.entries(want)) assert.deepEqual(got[name], value, `${name} of ${JSON.stringify(got)}`);
}

for (const setup of setups) {
  describe(`Engage's packages with ${setup} storage`, () => {
    let w, packages, Engage, credential;
    before(async () => {
      w = await world(setup);
      packages = engagePackages(w.server);
      credential = await engageCredential(w);
      Engage = packages.node;
    });
    after(() => w?.end());

    test('the packages are one, and export what is called here', () => {
      assert.equal(packages.js, packages.node);
      assert.equal(packages.core, packages.node);
      assert.deepEqual(Object.keys(Engage).sort(), [
        'addAttribute', 'addToAccount', 'changeAccountRole', 'convertToAccount', 'convertToCustomer', 'identify', 'init', 'removeFromAccount', 'request', 'track',
      ]);
    });

    test('init', async () => {
      assert.throws(() => Engage.init(), /API/);
      assert.throws(() => Engage.init({}), /key/);
      assert.throws(() => Engage.init(''));
      Engage.init({ key: credential.key, secret: 'x'.repeat(40) });
      assert.match((await Engage.identify({ id })).error, /credential is wrong/);
      Engage.init(credential);
    });

    test('identify', async () => {
      await assert.rejects(Engage.identify(), /object/);
      await assert.rejects(Engage.identify({}), /id/i);
      await assert.rejects(Engage.identify({ id, email: 'invalid' }), /email/i);
      matches(await Engage.identify({ id: gid }), { uid: gid, is_account: false });
      matches(await Engage.identify({ id, email: 'fickledreams@yahoo.com' }), { uid: id, email: 'fickledreams@yahoo.com' });
      matches(await Engage.identify({ id, is_account: true }), { is_account: true });
      matches(await Engage.identify({ id, is_account: false }), { is_account: false });
      matches(await Engage.identify({ id: 77, plan: 'pro', device_token: 'tok', device_platform: 'ios' }), { uid: '77', meta: { plan: 'pro' }, devices: [{ token: 'tok', platform: 'ios' }] });
      assert.match((await Engage.identify({ id, lists: ['x'] })).error, /meta\.lists must be text/);
    });

    test('addAttribute', async () => {
      await assert.rejects(Engage.addAttribute(), /id/);
      await assert.rejects(Engage.addAttribute(id), /attributes/i);
      await assert.rejects(Engage.addAttribute(id, {}), /attributes/i);
      matches(await Engage.addAttribute(id, { first_name: 'Opeyemi', active: true, created_at: '2020-08-11' }), {
        uid: id, email: 'fickledreams@yahoo.com', first_name: 'Opeyemi', meta: { active: true }, created_at: '2020-08-11T00:00:00.000+00:00',
      });
      matches(await Engage.addAttribute(id, { is_account: true }), { is_account: true, meta: { active: true } });
      matches(await Engage.addAttribute(id, { is_account: false }), { is_account: false });
    });

    test('track', async () => {
      await assert.rejects(Engage.track(), /id/);
      await assert.rejects(Engage.track(id), /attributes/i);
      await assert.rejects(Engage.track(id, {}), /attributes/i);
      matches(await Engage.track(id, 'loggedin'), { status: 'ok' });
      matches(await Engage.track(id, { event: 'played', value: 'vid_133', timestamp: '2020-05-30T09:30:10Z' }), { status: 'ok' });
      matches(await Engage.track(id, { event: 'loggedin', properties: { ip: '127.0.0.1', referral: 'localhost' } }), { status: 'ok' });
      assert.match((await Engage.track(id, { value: 1 })).error, /event is required/);
      const data = await w.query(w.app.secretKey, '{ user(identifier: "1234") { events(first: 5) { nodes { name value properties } } } }');
      assert.deepEqual(data.user.events.nodes.map((e) => e.name), ['loggedin', 'loggedin', 'played']);
      assert.equal(data.user.events.nodes[2].value, 'vid_133');
    });

    test('accounts', async () => {
      matches(await Engage.convertToAccount(gid), { is_account: true });
      matches(await Engage.convertToCustomer(gid), { is_account: false });
      await assert.rejects(Engage.addToAccount(id), /id/);
      await assert.rejects(Engage.addToAccount(id, gid, ['something']), /Role/);
      matches(await Engage.addToAccount(id, gid), { accounts: [{ id: gid, role: null }] });
      await assert.rejects(Engage.changeAccountRole(), /missing/);
      await assert.rejects(Engage.changeAccountRole(id), /missing/);
      matches(await Engage.changeAccountRole(id, gid, 'owner'), { accounts: [{ id: gid, role: 'owner' }] });
      await assert.rejects(Engage.removeFromAccount(), /missing/);
      await assert.rejects(Engage.removeFromAccount(id), /missing/);
      matches(await Engage.removeFromAccount(id, gid), { accounts: [] });
    });

    test('request reaches any path', async () => {
      matches(await Engage.request('/users/1234', null, 'GET'), { uid: id });
      matches(await Engage.request('/users/merge', { source: '77', destination: id }, 'POST'), { status: 'queued' });
      matches(await Engage.request('/users/77', null, 'GET'), { uid: id });
      matches(await Engage.request('/users/nobody', null, 'GET'), { error: 'user names no user' });
    });

    test('request sends messages, takes batches and manages lists', async () => {
      assert.match((await Engage.request('/send/email', { to: 'fickledreams@yahoo.com', subject: 'Hello', html: '<p>Hello</p>' }, 'POST')).id, /^[0-9a-f-]{36}$/);
      assert.match((await Engage.request('/send/sms', { from: 'Shop', to: '2348012345678', body: 'Hello', source: 'twilio' }, 'POST')).id, /^[0-9a-f-]{36}$/);
      assert.match((await Engage.request('/send/email', { subject: 'Hello' }, 'POST')).error, /to is required/);
      matches(await Engage.request('/batch', { data: [{ id: 'b1', first_name: 'B' }, { id: 'b1', event: 'seen' }] }, 'POST'), { status: 'queued', errors: undefined });
      const list = await Engage.request('/lists', { title: 'News' }, 'POST');
      matches(await Engage.request('/users/b1/lists', { lists: [list.id] }, 'POST'), { uid: 'b1', lists: [{ id: list.id, subscribed: true }] });
      matches(await Engage.request(`/lists/${list.id}`, null, 'DELETE'), { status: 'ok' });
      matches(await Engage.request('/lists', null, 'GET'), { data: [], has_more: false });
      const data = await w.query(w.app.secretKey, '{ user(identifier: "b1") { profile { firstName } events(first: 1) { nodes { name } } } }');
      assert.deepEqual([data.user.profile.firstName, data.user.events.nodes[0].name], ['B', 'seen']);
    });

    test('a key by itself leaves the secret that was given before', async () => {
      Engage.init(credential.key);
      matches(await Engage.request('/users/1234', null, 'GET'), { uid: id });
    });

    test('the key alone does what clients may', async () => {
      // Another process of the vendor's would have forgotten the secret; this one keeps it, so it is asked without.
      const alone = (method, path, body) =>
        fetch(`${w.server.http}/v1${path}`, {
          method, body: body && JSON.stringify(body),
          headers: { 'Content-Type': 'application/json', Authorization: `Basic ${Buffer.from(`${credential.key}:`).toString('base64')}` },
        });
      assert.equal((await alone('PUT', '/users/1234', { first_name: 'Ope' })).status, 200);
      assert.equal((await alone('POST', '/users/1234/events', { event: 'Seen' })).status, 200);
      assert.equal((await alone('PUT', '/users/1234', { email: 'other@example.com' })).status, 403);
      assert.equal((await alone('GET', '/users/1234')).status, 403);
    });

    test('what Engage created is seen by GraphQL, and the other way round', async () => {
      const data = await w.query(w.app.secretKey, '{ user(identifier: "1234") { identifier formerIdentifiers signedUpAt profile { firstName email attributes } } }');
      assert.deepEqual(data.user.formerIdentifiers, ['77']);
      assert.equal(data.user.signedUpAt, '2020-08-11T00:00:00Z');
      assert.equal(data.user.profile.attributes.active, true);
      await w.query(w.app.secretKey, 'mutation { patchProfile(input: {user: "1234", set: {plan: "gold"}}) { userErrors { message } } }');
      matches((await Engage.request('/users/1234', null, 'GET')).meta, { plan: 'gold', active: true });
    });
  });
}
