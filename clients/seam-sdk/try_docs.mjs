// Uses the API page as a person would, in headless Chromium: pastes a key and tries GrantAccess. Between them is a proxy
// that serves the service below a prefix. Tells on standard output the address of the service in the proxy, what the page
// showed, each request that it made, and all that went wrong. Its arguments are the program to run as Chromium, an empty
// directory for its profile, the address of the service, the key, and the id of a connected account.

import http from 'node:http'
import { launch } from './chromium.mjs'

const [executablePath, profile, service, key, account] = process.argv.slice(2)
const prefix = '/behind/a/prefix'
const proxy = http.createServer((request, response) => {
  if (!request.url.startsWith(prefix + '/')) return response.writeHead(404).end()
  const { method, url, headers } = request
  request.pipe(http.request(service + url.slice(prefix.length), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  }))
})
await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening))
const home = `http://127.0.0.1:${proxy.address().port}${prefix}`
const browser = await launch(executablePath, profile)
const page = await browser.newPage()
const requests = []
const problems = []
page.on('request', (request) => requests.push(request.url()))
page.on('requestfailed', (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`))
page.on('pageerror', (error) => problems.push(String(error)))
page.on('console', (message) => {
  if (['error', 'warning'].includes(message.type())) problems.push(message.text())
})

const tryGrant = async () => {
  await page.goto(home + '/docs/')
  if (page.url() !== home + '/docs') problems.push(`/docs/ leads to ${page.url()}`)
  await page.locator('.opblock').first().waitFor() // Else its requests would be canceled.
  // Older versions of Swagger UI let a link choose the document.
  await page.goto(home + '/docs?url=https://document.example/openapi.json')
  const operation = page.locator('.opblock', { hasText: 'Grant access' }).first()
  await operation.waitFor()
  const operations = await page.locator('.opblock').count()

  await page.locator('.auth-wrapper .authorize').first().click()
  const scheme = page.locator('.auth-container', { hasText: 'apiKey' }).first()
  await scheme.locator('input').fill(key)
  await scheme.locator('button', { hasText: 'Authorize' }).click()
  await page.locator('.btn-done').first().click()

  await operation.locator('.opblock-summary-control').click()
  const body = operation.locator('textarea')
  const example = await body.inputValue()
  await body.fill(JSON.stringify({ ...JSON.parse(example), connected_account_ids: [account] }))
  await operation.locator('.execute').click()
  const response = operation.locator('.live-responses-table .response').first()
  await response.waitFor()
  const status = (await response.locator('.response-col_status').innerText()).trim()
  const text = await response.locator('.highlight-code pre').first().innerText()
  const stored = await page.evaluate(() => localStorage.length + sessionStorage.length)
  return { operations, example, status, text, stored }
}

// What is missing on the page is waited for in vain; the console says why.
const shown = await tryGrant().catch((error) => problems.push(String(error)) && {})

process.stdout.write(JSON.stringify({ ...shown, home, requests, problems }) + '\n')
await browser.close()
proxy.close()
