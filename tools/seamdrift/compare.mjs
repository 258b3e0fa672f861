// The comparison of two OpenAPI documents of the client sessions API: the contract's own and Seam's.

const routes = '/client_sessions/'

// describe says nothing of these, or says it in its own way. additionalProperties is left out because Seam's document
// is silent on unknown members: docs/differences.md says what the REST face does.
const notRules = ['description', 'title', 'example', 'examples', 'properties', 'items', 'required', 'nullable',
  'additionalProperties', '$ref', 'type']

// One name for ClientSession, as messages are named, and client_session, as Seam names its schemas.
const schemaName = (ref) => ref.split('/').pop().replace(/\B[A-Z]/g, '_$&').toLowerCase()

// Says what a schema demands of a value in the same words for OpenAPI 3.0 and 3.1, which spell null differently.
function describe(schema, extra) {
  const types = [schema.type ?? []].flat().concat(schema.nullable ? 'null' : [])
  const rules = Object.entries(schema)
    .filter(([keyword, rule]) => !notRules.includes(keyword) && !keyword.startsWith('x-') && rule !== false)
    .map(([keyword, rule]) => (rule === true && keyword !== 'const' ? keyword : `${keyword} ${JSON.stringify(rule)}`))
  const what = schema.$ref ? schemaName(schema.$ref) : types.join(' or ') || 'anything'
  return [what, ...rules.sort(), ...extra].join(', ')
}

// Lists every fact of a document as member -> operation -> what it is. An operation is a route with one of its methods.
// A schema that members refer to is listed once, under its own name, with the operation ''.
export function facts(document) {
  const members = new Map()
  const referred = new Map()
  const resolve = (item) => (item.$ref
    ? item.$ref.slice(2).split('/').reduce((node, key) => node[key], document)
    : item)

  const add = (member, operation, what) => {
    if (!members.has(member)) members.set(member, new Map())
    members.get(member).set(operation, what)
  }
  const walk = (schema, member, operation, extra = []) => {
    add(member, operation, describe(schema, extra))
    if (schema.$ref) return referred.set(schemaName(schema.$ref), schema)
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      walk(property, `${member}.${name}`, operation, schema.required?.includes(name) ? ['required'] : [])
    }
    if (schema.items) walk(schema.items, `${member}[]`, operation)
  }
  const walkContent = (content, member, operation) => {
    for (const [type, { schema }] of Object.entries(content ?? {})) {
      walk(resolve(schema), type === 'application/json' ? member : `${member} as ${type}`, operation)
    }
  }

  for (const [path, methods] of Object.entries(document.paths).filter(([path]) => path.startsWith(routes))) {
    for (const [method, { parameters, requestBody, responses }] of Object.entries(methods)) {
      const operation = `${method.toUpperCase()} ${path.slice(routes.length)}`
      add('operation', operation, 'an operation')
      for (const parameter of (parameters ?? []).map(resolve)) {
        const extra = parameter.required ? ['required'] : []
        // Null in a query is an empty value. The contract says so in OpenAPI's own way, and Seam's document either way.
        const schema = parameter.allowEmptyValue ? { ...parameter.schema, nullable: true } : parameter.schema
        walk(schema, `${parameter.in} ${parameter.name}`, operation, extra)
      }
      if (requestBody) walkContent(resolve(requestBody).content, 'request', operation)
      // Seam's document has no schemas of errors.
      for (const [status, response] of Object.entries(responses).filter(([status]) => status.startsWith('2'))) {
        add(`response ${status}`, operation, 'no content')
        walkContent(resolve(response).content, `response ${status}`, operation)
      }
    }
  }
  // A Map also visits what is added to it meanwhile: the schemas that these refer to.
  for (const [name, schema] of referred) walk(resolve(schema), name, '')
  return members
}

// Lists the differences of each operation as {difference, operation}, those of a schema with the operation ''. Added is
// what Seam has and the contract has not.
export function compare(contract, seam) {
  const [ours, theirs] = [facts(contract), facts(seam)]
  const hasBoth = (operation) => [ours, theirs].every((members) => members.get('operation')?.has(operation))
  const differences = []
  for (const member of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const operations = [ours, theirs].flatMap((members) => [...(members.get(member)?.keys() ?? [])])
    for (const operation of [...new Set(operations)].sort()) {
      const [we, they] = [ours, theirs].map((members) => members.get(member)?.get(operation))
      // Of an operation that one side has not, that is all there is to say.
      if (we === they || (operation && member !== 'operation' && !hasBoth(operation))) continue
      const difference = !we ? `added ${member}: ${they}`
        : !they ? `removed ${member}: ${we}`
          : `changed ${member}: ${we} -> ${they}`
      differences.push({ difference, operation })
    }
  }
  return differences
}

// Sorts the differences into new ones, those that are known with a reason, and known ones that are gone. What is known
// of one operation is new in another.
export function sort(differences, known) {
  const reasons = known.flatMap(({ difference, operations = [''], reason }) =>
    operations.map((operation) => ({ difference, operation, reason })))
  const match = (one, list) => list.find((other) =>
    other.difference === one.difference && other.operation === one.operation)
  return {
    fresh: differences.filter((one) => !match(one, reasons)),
    expected: reasons.filter((one) => match(one, differences)),
    gone: reasons.filter((one) => !match(one, differences)),
  }
}
