/** Mail that the servers of a world have sent into their folder. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredMail } from '../../src/mail/file-mailbox.ts'
import type { World } from './world.ts'

const PATIENCE = 200

/** All mail to an address, newest first. */
export async function mailTo(world: Pick<World, 'core'>, address: string): Promise<StoredMail[]> {
  const mails = (await world.core.mailbox?.list(1_000)) ?? []
  return mails.filter(({ to }) => to.toLowerCase().includes(address.toLowerCase()))
}

/** The newest mail to an address, once there are at least `count` of them. */
export async function mailed(world: Pick<World, 'core'>, address: string, count = 1): Promise<StoredMail> {
  for (let look = 0; look < PATIENCE; look += 1) {
    const mails = await mailTo(world, address)
    const [newest] = mails
    if (newest && mails.length >= count) return newest
    await sleep(50)
  }
  throw new Error(`there are fewer than ${count} mails to ${address}`)
}

/** The code in the subject of a mail; six digits, or the long form. */
export function codeIn({ subject }: StoredMail): string {
  const [code] = /\b(?:\d{6}|[0-9a-f]{32})\b/.exec(subject) ?? []
  if (code === undefined) throw new Error(`no code in "${subject}"`)
  return code
}
