/**
 * What a browser that is not signed in keeps between the steps of a registration or a reset, in a cookie: its forms
 * belong to it alone, an address is typed once, and in the end it returns to the sign-in it came from.
 */
import type { Context } from 'koa'
import { isOpaqueId, opaqueId } from '../ids.ts'
import { readForm } from './body.ts'
import type { Cookies } from './cookies.ts'
import type { Csrf } from './csrf.ts'

export interface Steps {
  /** Of this browser; its forms are bound to it. */
  id: string
  /** The address typed last. */
  email?: string | undefined
  /** The sign-in that led here. */
  interaction?: string | undefined
}

const NAME = 'usher_steps'
/** As long as a registration waits for its code. */
const ONE_DAY_SECONDS = 24 * 3600
const MAX_EMAIL = 254

export type StepMemory = ReturnType<typeof createStepMemory>

export function createStepMemory({ cookies, csrf }: { cookies: Cookies; csrf: Csrf }) {
  const read = (ctx: Context): Steps | undefined => stepsOf(cookies.get(ctx, NAME))

  /** Keeps what is said, beside what was kept before. */
  function keep(ctx: Context, more: Omit<Steps, 'id'> = {}): Steps {
    const steps = { id: opaqueId(128), ...read(ctx), ...more }
    const value = Buffer.from(JSON.stringify(steps)).toString('base64url')
    cookies.set(ctx, NAME, value, { maxAgeSeconds: ONE_DAY_SECONDS })
    return steps
  }

  return {
    read,
    keep,

    /** The value for the hidden field of a form. */
    tokenOf: (steps: Steps): string => csrf.token(bindingOf(steps)),

    /** A posted form of this browser, and what was kept before. Throws forbidden (403), and whatever readForm throws. */
    async submitted(ctx: Context): Promise<{ form: Record<string, string>; before: Steps }> {
      const form = await readForm(ctx)
      csrf.check(ctx, bindingOf(read(ctx)), form.csrf)
      return { form, before: keep(ctx) }
    },

    /** The first page of a flow: `?interaction=` names the sign-in it belongs to; without it, it belongs to none. */
    begin: (ctx: Context): Steps =>
      keep(ctx, { interaction: isOpaqueId(ctx.query.interaction) ? ctx.query.interaction : undefined }),

    /** Once somebody has signed in, nothing of it is needed any more. */
    forget: (ctx: Context): void => cookies.clear(ctx, NAME),
  }
}

/** What the forms of a browser are bound to; without its cookie, to nothing that a token was ever made for. */
const bindingOf = (steps: Steps | undefined): string => `steps ${steps?.id ?? opaqueId()}`

/** Where a flow ends: at the sign-in that led to it, else at the account, which asks for one. */
export const signInHref = ({ interaction }: Pick<Steps, 'interaction'> = {}): string =>
  interaction === undefined ? '/account' : `/sign-in/${interaction}`

/** The cookie is the browser's own word: members of the wrong form are left out. */
function stepsOf(cookie: string | undefined): Steps | undefined {
  if (!cookie) return undefined
  try {
    const { id, email, interaction } = JSON.parse(Buffer.from(cookie, 'base64url').toString('utf8'))
    if (!isOpaqueId(id)) return undefined
    return {
      id,
      email: typeof email === 'string' && email.length <= MAX_EMAIL ? email : undefined,
      interaction: isOpaqueId(interaction) ? interaction : undefined,
    }
  } catch {
    return undefined
  }
}
