// Starts headless Chromium.

import { chromium } from 'playwright-core'

const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // The browser has no business beyond this machine, and needs no name but that of its pages.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
]

export const launch = (executablePath, profile) =>
  chromium.launchPersistentContext(profile, { executablePath, args: flags, chromiumSandbox: false })
