import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compare, sort } from './compare.mjs'

// A document with one POST, whose request and response are the two given.
const document = (request, response, schemas = {}, more = {}) => ({
  paths: {
    '/client_sessions/get': {
      post: {
        requestBody: { content: { 'application/json': { schema: request } } },
        responses: { 200: { content: { 'application/json': { schema: response } } }, default: {} },
      },
    },
    ...more,
  },
  components: { schemas },
})
const object = (properties, required = []) => ({ type: 'object', properties, required })
const string = { type: 'string' }
const thing = (name) => object({ thing: { $ref: `#/components/schemas/${name}` } })
const method = { responses: { 200: {} } }

const cases = {
  'the same in OpenAPI 3.1 and 3.0, with other words, names and order': {
    contract: document({ $ref: '#/components/schemas/GetRequest' }, thing('SomeThing'), {
      GetRequest: {
        ...object({ a: { type: ['string', 'null'] }, b: string }, ['a', 'b']), additionalProperties: false,
      },
      SomeThing: object({ id: string }),
    }),
    seam: document(
      object({ b: { ...string, description: 'B.', 'x-b': 1 }, a: { ...string, nullable: true } }, ['b', 'a']),
      thing('some_thing'), { some_thing: object({ id: { ...string, deprecated: false } }) }),
    want: [],
  },
  'a member that Seam has added': {
    contract: document(object({}), object({})),
    seam: document(object({}), object({ ids: { type: 'array', items: { ...string, format: 'uuid' } } }, ['ids'])),
    want: ['POST get: added response 200.ids: array, required',
      'POST get: added response 200.ids[]: string, format "uuid"'],
  },
  'a member that Seam has removed': {
    contract: document(object({ key: string }), object({})),
    seam: document(object({}), object({})),
    want: ['POST get: removed request.key: string'],
  },
  'another type, format, rule, nullability, presence and deprecation': {
    contract: document(object({ a: string, b: string, c: string, d: string, e: string, f: string }), object({})),
    seam: document(object({
      a: { type: 'number' }, b: { ...string, format: 'uuid' }, c: { ...string, minLength: 1 },
      d: { ...string, nullable: true }, e: string, f: { ...string, deprecated: true },
    }, ['e']), object({})),
    want: ['a: string -> number', 'b: string -> string, format "uuid"', 'c: string -> string, minLength 1',
      'd: string -> string or null', 'e: string -> string, required', 'f: string -> string, deprecated',
    ].map((change) => `POST get: changed request.${change}`),
  },
  'a schema that members refer to': {
    contract: document(object({}), thing('Thing'), {
      Thing: object({ own: { $ref: '#/components/schemas/Own' } }), Own: object({ x: string }),
    }),
    seam: document(object({}), thing('thing'), {
      thing: object({ own: { $ref: '#/components/schemas/own' } }), own: object({ x: string, y: string }),
    }),
    want: [': added own.y: string'],
  },
  'a route, a method and a success that Seam has added, and a method that it has removed': {
    contract: document(object({}), object({}), {}, { '/client_sessions/list': { get: method, post: method } }),
    seam: document(object({}), object({}), {}, {
      '/client_sessions/list': { get: { responses: { 200: {}, 202: {} } }, put: method },
      '/client_sessions/new': { post: method },
      '/devices/list': { post: method },
    }),
    want: ['POST list: removed operation: an operation', 'POST new: added operation: an operation',
      'PUT list: added operation: an operation', 'GET list: added response 202: no content'],
  },
  'a parameter': {
    contract: document(object({}), object({}), {}, { '/client_sessions/list': { get: { ...method,
      parameters: [{ in: 'query', name: 'id', schema: string }] } } }),
    seam: document(object({}), object({}), {}, { '/client_sessions/list': { get: { ...method,
      parameters: [{ in: 'query', name: 'id', required: true, schema: string }] } } }),
    want: ['GET list: changed query id: string -> string, required'],
  },
  'a parameter that may be null, in two ways to say it': {
    contract: document(object({}), object({}), {}, { '/client_sessions/list': { get: { ...method,
      parameters: [{ in: 'query', name: 'id', allowEmptyValue: true, schema: string }] } } }),
    seam: document(object({}), object({}), {}, { '/client_sessions/list': { get: { ...method,
      parameters: [{ in: 'query', name: 'id', schema: { ...string, nullable: true } }] } } }),
    want: [],
  },
}
for (const [name, { contract, seam, want }] of Object.entries(cases)) {
  test(name, () => {
    const got = compare(contract, seam).map(({ difference, operation }) => `${operation}: ${difference}`)
    assert.deepEqual(got, want)
  })
}

test('new, known and gone', () => {
  const known = [
    { difference: 'added a', operations: ['GET get', 'POST get'], reason: 'of a' },
    { difference: 'changed thing.b', reason: 'of b' },
    { difference: 'removed c', operations: ['GET get'], reason: 'of c' },
  ]
  const differences = [
    { difference: 'added a', operation: 'GET get' },
    { difference: 'added a', operation: 'GET list' },
    { difference: 'changed thing.b', operation: '' },
    { difference: 'changed thing.b to something else', operation: '' },
  ]
  assert.deepEqual(sort(differences, known), {
    fresh: [differences[1], differences[3]],
    expected: [{ ...differences[0], reason: 'of a' }, { ...differences[2], reason: 'of b' }],
    gone: [{ difference: 'added a', operation: 'POST get', reason: 'of a' },
      { difference: 'removed c', operation: 'GET get', reason: 'of c' }],
  })
})
