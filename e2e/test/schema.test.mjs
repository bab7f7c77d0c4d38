// The schema as a tool sees it that asks a running server for it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  isScalarType,
  isSpecifiedDirective,
  lexicographicSortSchema,
  printSchema,
  validateSchema,
} from 'graphql';
import { setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const everything = {
  descriptions: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  oneOf: true,
};
const file = new URL('../../schema.graphqls', import.meta.url);

/** What of an introspection has no description, by path. */
function bare({ __schema: schema }) {
  const list = [];
  const look = (path, element) => {
    if (!element.description?.trim()) list.push(path);
  };
  look('schema', schema);
  for (const type of schema.types) {
    look(type.name, type);
    for (const field of [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])]) {
      look(`${type.name}.${field.name}`, field);
      for (const arg of field.args ?? []) look(`${type.name}.${field.name}(${arg.name}:)`, arg);
    }
  }
  for (const directive of schema.directives) {
    look(`@${directive.name}`, directive);
    for (const arg of directive.args) look(`@${directive.name}(${arg.name}:)`, arg);
  }
  return list.filter((path) => !path.startsWith('__'));
}

for (const setup of setups) {
  describe(`the schema of ${setup}`, () => {
    let w, introspection, schema, written;
    before(async () => {
      w = await world(setup);
      written = buildSchema(await readFile(file, 'utf8'));
      introspection = await w.query(w.app.secretKey, getIntrospectionQuery(everything));
      schema = buildClientSchema(introspection);
    });
    after(() => w?.end());

    test('is valid', () => assert.deepEqual(validateSchema(schema), []));

    test('describes every element', () => assert.deepEqual(bare(introspection), []));

    test('is schema.graphqls', () => {
      const lines = (s) => printSchema(lexicographicSortSchema(s)).split('\n');
      const served = lines(schema);
      const expected = lines(written);
      const differs = expected.findIndex((line, i) => line !== served[i]);
      assert.equal(served[differs], expected[differs], `line ${differs + 1}: schema.graphqls differs from what is served`);
      assert.equal(served.length, expected.length);
      assert.equal(schema.description, written.description);
    });

    test('has the directives of the specification and no others', () => {
      assert.deepEqual(schema.getDirectives().filter((d) => !isSpecifiedDirective(d)).map(String), []);
      const names = introspection.__schema.directives.map((d) => d.name);
      for (const name of ['skip', 'include', 'deprecated', 'specifiedBy']) assert.ok(names.includes(name), `there is no @${name}`);
    });

    test('says where its scalars are specified', () => {
      const url = (name) => schema.getType(name).specifiedByURL;
      assert.ok(isScalarType(schema.getType('DateTime')));
      assert.equal(url('DateTime'), written.getType('DateTime').specifiedByURL);
    });

    test('is shown to whoever asks, without a credential', async () => {
      const res = await fetch(w.server.graphql, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: getIntrospectionQuery(everything) }),
      });
      assert.equal(res.status, 200);
      assert.deepEqual((await res.json()).data, introspection);
    });
  });
}

describe('INTROSPECTION=false', () => {
  let w;
  before(async () => {
    w = await world('embedded', { env: { INTROSPECTION: 'false' } });
  });
  after(() => w?.end());

  test('hides the schema, also from error messages', async () => {
    const ask = async (query) => {
      const res = await fetch(w.server.graphql, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: w.secret },
        body: JSON.stringify({ query }),
      });
      return res.json();
    };
    for (const query of [getIntrospectionQuery(), '{ __type(name: "User") { name } }']) {
      const { data, errors } = await ask(query);
      assert.equal(data, undefined);
      assert.ok(errors.length > 0);
    }
    const { errors } = await ask('{ viewr { environment } }');
    assert.doesNotMatch(JSON.stringify(errors), /viewer/, 'the message suggests a field');
    assert.deepEqual((await ask('{ __typename }')).data, { __typename: 'Query' });
  });
});
