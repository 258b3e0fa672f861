// Makes calls with Seam's JavaScript SDK, one for each line of standard input, and tells on standard output what a
// program sees of each.

import { createInterface } from 'node:readline'

import { respond } from './see.mjs'

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write((await respond(line)) + '\n')
}
