// GraphQL over HTTP as graphql-http's own audits read it, on both set-ups, with
// a credential and without one: the audits ask for nothing but __typename.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

for (const setup of setups) {
  for (const credential of ['a secret key', 'no credential']) {
    describe(`graphql-http audits on ${setup} with ${credential}`, () => {
      let w;
      before(async () => {
        w = await world(setup);
      });
      after(() => w?.end());

      const audits = serverAudits({
        url: () => w.server.graphql,
        fetchFn: (url, init) => {
          const headers = new Headers(init?.headers);
          if (credential === 'a secret key') headers.set('authorization', w.secret);
          return fetch(url, { ...init, headers });
        },
      });
      test('there are 61', () => assert.equal(audits.length, 61));
      for (const audit of audits) {
        test(`${audit.id} ${audit.name}`, async () => {
          const result = await audit.fn();
          assert.equal(result.status, 'ok', result.reason);
        });
      }
    });
  }
}
