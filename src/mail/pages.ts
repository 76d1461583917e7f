/** `/dev/mail`: what a development server without a mail server has "sent". Mounted nowhere else. */
import type Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import type { FileMailbox, StoredMail } from './file-mailbox.ts'

export interface MailPagesDeps {
  mailbox: Pick<FileMailbox, 'list' | 'read'>
  render: {
    (ctx: Context, page: 'dev-mail', data: { mails: readonly StoredMail[] }): void
    (ctx: Context, page: 'dev-message', data: { mail: StoredMail }): void
  }
}

export function mountDevMail(router: Router, { mailbox, render }: MailPagesDeps): void {
  router.get('/dev/mail', fromThisComputer, async function listMails(ctx) {
    render(ctx, 'dev-mail', { mails: await mailbox.list() })
  })

  router.get('/dev/mail/:id', fromThisComputer, async function showMail(ctx, next) {
    const mail = await mailbox.read(ctx.params.id ?? '')
    if (!mail) return next()
    render(ctx, 'dev-message', { mail })
  })

  router.get('/dev/mail/:id/html', fromThisComputer, async function showHtml(ctx, next) {
    const mail = await mailbox.read(ctx.params.id ?? '')
    if (!mail) return next()
    // As strict as a mail program: styles of its own, no script, no origin, nothing loaded.
    ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'")
    ctx.set('Cache-Control', 'no-store')
    ctx.type = 'text/html; charset=utf-8'
    ctx.body = mail.html
  })
}

/** To everybody else the page is not there. Forwarded requests come from this computer's proxy, not from a person at it. */
const fromThisComputer: Middleware = async function fromThisComputer(ctx, next) {
  const peer = ctx.req.socket.remoteAddress ?? ''
  const isLoopback = /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(peer)
  const isForwarded = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'].some((name) => ctx.get(name) !== '')
  if (isLoopback && !isForwarded) await next()
}
