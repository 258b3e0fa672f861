// Makes calls with Seam's JavaScript SDK in pages of headless Chromium, one for each line of standard input, and tells on
// standard output what the page sees of each. It first tells the origins of the two pages that it serves: a call says
// which of them makes it. Its arguments are the program to run as Chromium and an empty directory for its profile.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild-wasm'

import { launch } from './chromium.mjs'

const bundle = async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('see.mjs', import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'sdk',
    keepNames: true, // The names of the classes of errors are compared.
    write: false,
  })
  return outputFiles[0].text
}

const servePage = async (script) => {
  const server = createServer(({ url }, response) => {
    const isScript = url === '/sdk.js'
    response.setHeader('content-type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8')
    response.end(isScript ? script : '<!doctype html><title>page</title><script src="/sdk.js"></script>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Under another name than the addresses of the service, so that its calls are cross-site, too.
  return { server, origin: `http://localhost:${server.address().port}` }
}

const [executablePath, profile] = process.argv.slice(2)
const script = await bundle()
const served = { listed: await servePage(script), unlisted: await servePage(script) }
const browser = await launch(executablePath, profile)
const pages = {}
const origins = {}
for (const [name, { origin }] of Object.entries(served)) {
  origins[name] = origin
  pages[name] = await browser.newPage()
  await pages[name].goto(origin)
}
process.stdout.write(JSON.stringify({ version: browser.browser().version(), origins }) + '\n')

for await (const line of createInterface({ input: process.stdin })) {
  const page = pages[JSON.parse(line).page ?? 'listed']
  process.stdout.write((await page.evaluate((call) => globalThis.sdk.respond(call), line)) + '\n')
}
await browser.close()
for (const { server } of Object.values(served)) server.close()
