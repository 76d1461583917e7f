/** /api/v1/password-reset: back in without the password. */
import type { Api } from '../http/api.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { PasswordReset } from './password-reset.ts'
import * as schemas from './schemas.ts'

const PATH = '/api/v1/password-reset'
const TAG = 'Password reset'

export function mountPasswordReset(api: Api, { passwordReset }: { passwordReset: PasswordReset }): void {
  api.add<schemas.ResetRequest>(
    {
      id: 'requestPasswordReset',
      method: 'post',
      path: PATH,
      tag: TAG,
      summary: 'Ask for a reset code by mail',
      description: 'The answer is the same whether or not the address has an account.',
      who: { anyone: true },
      body: schemas.resetRequest,
      answers: { 202: { description: 'If there is such an account, a code is mailed.', schema: schemas.accepted } },
    },
    async function requestReset(ctx, { body: { email } }) {
      await passwordReset.request({ email, from: remoteAddress(ctx) })
      ctx.status = 202
      ctx.body = { status: 'accepted' }
    },
  )

  api.add<schemas.ResetConfirmationRequest>(
    {
      id: 'confirmPasswordReset',
      method: 'post',
      path: `${PATH}/confirm`,
      tag: TAG,
      summary: 'Set a new password with the mailed code',
      description: 'Ends all sessions of the account. It does not sign in.',
      who: { anyone: true },
      body: schemas.resetConfirmationRequest,
      answers: { 204: { description: 'The new password is in force.' } },
      errors: {
        invalid_code: 'The code is wrong, used or expired.',
        invalid_password: 'The new password breaks the policy; the code can still be used.',
      },
    },
    async function confirmReset(ctx, { caller, body: { email, code, new_password: newPassword } }) {
      await passwordReset.confirm({ email, code, newPassword, from: remoteAddress(ctx), traces: caller.actor })
      ctx.status = 204
    },
  )
}
