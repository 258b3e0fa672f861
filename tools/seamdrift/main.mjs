// Compares the contract with the OpenAPI document in the newest package of Seam's types, and exits with 1 if there is a
// difference that known.json gives no reason for.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { compare, sort } from './compare.mjs'

const spec = '@seamapi/types@latest'
// The document is a module, so it is run. It imports nothing, and nothing else of the package is run.
const module = 'package/lib/seam/connect/openapi.js'

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url)))

async function newest() {
  const directory = mkdtempSync(join(tmpdir(), 'seamdrift-'))
  try {
    const run = (command, ...args) => execFileSync(command, args, { cwd: directory, encoding: 'utf8' })
    const [{ version, filename }] = JSON.parse(run('npm', 'pack', spec, '--json', '--loglevel=error'))
    run('tar', '-xzf', filename, 'package/package.json', module)
    return { version, document: (await import(pathToFileURL(join(directory, module)))).default }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

// Prints each difference once, with the operations that have it.
function print(title, differences) {
  const seen = new Map()
  for (const { difference, operation, reason } of differences) {
    if (!seen.has(difference)) seen.set(difference, { operations: [], reason })
    if (operation) seen.get(difference).operations.push(operation)
  }
  console.log(`${title}: ${seen.size || 'none'}`)
  for (const [difference, { operations, reason }] of seen) {
    console.log(`  ${difference}`)
    if (operations.length > 0) console.log(`      in ${operations.join(', ')}`)
    if (reason) console.log(`      ${reason}`)
  }
}

const { version, document } = await newest()
const { fresh, expected, gone } = sort(compare(read('../../gen/openapi/openapi.json'), document), read('known.json'))
console.log(`From the contract to @seamapi/types ${version}:`)
print('known differences', expected)
print('known differences that are gone, to remove from tools/seamdrift/known.json', gone)
print('new differences, to follow or to add to tools/seamdrift/known.json with a reason', fresh)
process.exitCode = fresh.length > 0 ? 1 : 0
