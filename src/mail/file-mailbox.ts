import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { isUuid, uuidv7 } from '../ids.ts'
import type { Transport } from './message.ts'

/** A message read back, for people. */
export interface StoredMail {
  id: string
  to: string
  subject: string
  /** ISO 8601. */
  sentAt: string
  text: string
  html: string
}

export interface FileMailbox extends Transport {
  /** The newest messages, newest first. */
  list(limit?: number): Promise<StoredMail[]>
  read(id: string): Promise<StoredMail | undefined>
}

/**
 * Mail of an installation without a mail server: each message becomes a file `<id>.eml` that mail programs open. Only
 * the account that runs the server may read them, for they hold codes.
 */
export function createFileMailbox(dir: string): FileMailbox {
  const pathOf = (id: string) => join(dir, `${id}.eml`)

  async function read(id: string): Promise<StoredMail | undefined> {
    if (!isUuid(id)) return undefined
    const raw = await readFile(pathOf(id)).catch(nothingIfMissing)
    return raw && parse(id, raw)
  }

  return {
    read,

    async deliver({ raw }) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const path = pathOf(uuidv7())
      // Renamed when complete, so that no reader ever sees half a message.
      const file = await open(`${path}.part`, 'wx', 0o600)
      try {
        await file.writeFile(raw)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.part`, path)
    },

    async list(limit = 50) {
      const files = (await readdir(dir).catch(nothingIfMissing)) ?? []
      const ids = files.filter((file) => file.endsWith('.eml')).map((file) => file.slice(0, -'.eml'.length))
      // UUIDs of version 7 sort by time.
      const newest = ids.filter(isUuid).sort().reverse().slice(0, limit)
      const mails = await Promise.all(newest.map(read))
      return mails.filter((mail) => mail !== undefined)
    },

    async close() {},
  }
}

async function parse(id: string, raw: Buffer): Promise<StoredMail> {
  // Only this page of a development server reads mail.
  const { default: PostalMime } = await import('postal-mime')
  const { to = [], subject = '', date = '', text = '', html = '' } = await PostalMime.parse(raw)
  return { id, to: to.map(({ address }) => address).join(', '), subject, sentAt: date, text, html }
}

function nothingIfMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
