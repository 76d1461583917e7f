import Bowser from 'bowser'
import { LRUCache } from 'lru-cache'

export interface Device {
  /** Such as "Firefox 140"; undefined when the user agent names no browser we know. */
  browser: string | undefined
  /** Such as "Windows 10" or "Android 16". */
  system: string | undefined
}

/** What programs that are no browser call themselves (RFC 9110 section 10.1.5: product = token ["/" product-version]). */
const PRODUCT = /^([\w-]{1,40})(?:\/(\d{1,6}))?/

/** Longer ones are cut before anything is looked for. */
const MAX_LENGTH = 300
/** Finding a name takes a tenth of a millisecond, and thousands of people use the same few browsers. */
const known = new LRUCache<string, Device>({ max: 500 })

/** What people call the device behind a User-Agent header. The text is the caller's own and proves nothing. */
export function deviceOf(header: string): Device {
  const userAgent = header.slice(0, MAX_LENGTH)
  const device = known.get(userAgent) ?? find(userAgent)
  known.set(userAgent, device)
  return device
}

function find(userAgent: string): Device {
  if (userAgent === '') return { browser: undefined, system: undefined }
  const { browser, os } = Bowser.parse(userAgent)
  const [, product, version] = PRODUCT.exec(userAgent) ?? []
  return {
    browser: nameOf(browser.name, browser.version?.split('.')[0]) ?? nameOf(product, version),
    system: nameOf(os.name, os.versionName ?? os.version),
  }
}

const nameOf = (name: string | undefined, version: string | undefined): string | undefined =>
  name ? [name, version].filter(Boolean).join(' ') : undefined
