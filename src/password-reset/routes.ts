/** /api/v1/password-reset: back in without the password. */
import type Router from '@koa/router'
import { remoteAddress } from '../http/remote-address.ts'
import { bodyOf } from '../http/validate.ts'
import type { PasswordReset } from './password-reset.ts'
import * as schemas from './schemas.ts'

export function mountPasswordReset(router: Router, { passwordReset }: { passwordReset: PasswordReset }): void {
  const readRequest = bodyOf<schemas.ResetRequest>(schemas.resetRequest)
  const readConfirmation = bodyOf<schemas.ResetConfirmationRequest>(schemas.resetConfirmationRequest)

  router.post('/api/v1/password-reset', async function requestReset(ctx) {
    const { email } = await readRequest(ctx)
    await passwordReset.request({ email, from: remoteAddress(ctx) })
    ctx.status = 202
    ctx.body = { status: 'accepted' }
  })

  router.post('/api/v1/password-reset/confirm', async function confirmReset(ctx) {
    const { email, code, new_password: newPassword } = await readConfirmation(ctx)
    await passwordReset.confirm({ email, code, newPassword, from: remoteAddress(ctx) })
    ctx.status = 204
  })
}
