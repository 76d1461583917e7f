/** Whether a token is good, and whether an account may: the routes that other services live on. */
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import { bearerTokenOf } from '../http/authenticate.ts'
import type { Need } from '../http/gatekeeper.ts'
import type { Parameter } from '../http/route.ts'
import * as schemas from './decision-schemas.ts'
import { ACCOUNTS_ADMIN, ALL_ALL, PERMISSIONS_ADMIN } from './permission.ts'
import type { PolicyDecision } from './policy-decision.ts'
import { type ParsedExpression, type PolicyExpression, parseExpression, parseQuery } from './policy-expression.ts'
import { NON_REGISTERED } from './role.ts'
import { DEAD_TOKEN_CHALLENGE, type JudgeToken, VERDICTS } from './token-verdict.ts'

export interface DecisionRoutesDeps {
  decisions: PolicyDecision
  verdictOn: JudgeToken
}

const TAG = 'Decisions'
const SERVICES: Need = {
  self: 'id',
  scopes: ['access:read'],
  permissions: [PERMISSIONS_ADMIN, ACCOUNTS_ADMIN, ALL_ALL],
}
/** The second name of accounts is for services that know these routes by it. */
const OWNERS = [
  { path: '/api/v1/accounts/{id}', suffix: '' },
  { path: '/api/v1/users/{id}', suffix: 'OfUser' },
]
const PARAMS: Record<string, Parameter> = {
  id: {
    description: `The id of an account, or \`${NON_REGISTERED}\` for those who have not signed in.`,
    schema: { type: 'string', anyOf: [{ format: 'uuid' }, { const: NON_REGISTERED }] },
  },
}
const NO_ACCOUNT = { not_found: 'There is no such account.' }
const ABOUT_AGE =
  'It rests on memory that was confirmed against the database less than 800 ms ago, so that a right taken away is gone ' +
  'within a second.'

export function mountDecisions(api: Api, deps: DecisionRoutesDeps): void {
  mountTokenValidation(api, deps)
  for (const owner of OWNERS) mountOwned(api, deps.decisions, owner)
}

function mountTokenValidation(api: Api, { verdictOn }: DecisionRoutesDeps): void {
  api.add(
    {
      id: 'validateToken',
      method: 'get',
      path: '/api/v1/auth_token/validation',
      tag: TAG,
      summary: 'Ask whether an access token is good',
      description:
        'The token is the one in the Authorization header, of an account or a client, for whatever audience. A token ' +
        'that is bound to a key (DPoP, RFC 9449) is not good as a bearer token: 401, as without any.',
      who: { anyone: true },
      answers: {
        200: { description: '`Token is valid`.', schema: schemas.tokenVerdict },
        401: {
          description: '`Token has expired` or `Token has been revoked`; a problem document when there is no token.',
          schema: schemas.tokenVerdict,
        },
        422: { description: '`Signature verification failed`: no token of ours.', schema: schemas.tokenVerdict },
      },
    },
    async function validateToken(ctx) {
      ctx.set('Cache-Control', 'no-store')
      const token = bearerTokenOf(ctx)
      if (token === undefined) throw challenge(ctx, 'Bearer realm="usher"', 'There is no bearer token in this request.')
      const verdict = await verdictOn(token)
      if (verdict === 'bound') {
        // RFC 9449 section 7.2: "MUST reject a DPoP-bound access token received as a bearer token".
        const needed = 'DPoP realm="usher", error="invalid_token", algs="ES256 RS256 PS256 EdDSA"'
        throw challenge(ctx, needed, 'This access token is bound to a key and is no bearer token.')
      }
      const { status, msg } = VERDICTS[verdict]
      if (status === 401) ctx.set('WWW-Authenticate', DEAD_TOKEN_CHALLENGE)
      ctx.status = status
      ctx.body = { msg }
    },
  )
}

/** RFC 9110 section 15.5.2: a 401 MUST come with a challenge. */
function challenge(ctx: Context, value: string, message: string): AppError {
  ctx.set('WWW-Authenticate', value)
  return new AppError('unauthenticated', 401, message)
}

function mountOwned(api: Api, decisions: PolicyDecision, { path, suffix }: (typeof OWNERS)[number]): void {
  const shared = { tag: TAG, who: SERVICES, params: PARAMS, errors: NO_ACCOUNT }
  const answers = { 200: { description: 'The decision.', schema: schemas.decision } }

  api.add(
    {
      ...shared,
      id: `readCombinedPermissions${suffix}`,
      method: 'get',
      path: `${path}/combined_permissions`,
      summary: 'Read everything an account holds',
      description: `Its own permissions and those of every role that reaches it. ${ABOUT_AGE}`,
      query: { roles: { description: 'Also the roles that reach it.', schema: { enum: ['true', 'false'] } } },
      answers: { 200: { description: 'The keys.', schema: schemas.combinedPermissions } },
    },
    async function readCombinedPermissions(ctx, { params: { id = '' }, query }) {
      ctx.set('Cache-Control', 'no-store')
      const permissions = await decisions.combinedPermissions(id)
      ctx.body = query.roles === 'true' ? { permissions, roles: await decisions.authorizedRoles(id) } : { permissions }
    },
  )

  async function decide(ctx: Context, id: string, expression: PolicyExpression, isExplained: boolean): Promise<void> {
    ctx.set('Cache-Control', 'no-store')
    ctx.body = await decisions.answer(id, expression, { isExplained })
  }

  api.add(
    {
      ...shared,
      id: `validatePermissions${suffix}`,
      method: 'get',
      path: `${path}/combined_permissions/validation`,
      summary: 'Ask whether an account holds permissions',
      description: `\`all_all\` meets every question, and a disabled account none. ${ABOUT_AGE}`,
      query: {
        permissions: {
          description:
            'The key of a permission, or as JSON `{"any": […]}` or `{"all": […]}`, nested at most 16 deep and 1,000 parts in all.',
          schema: { type: 'string', examples: ['movies:edit', '{"any":["movies:edit","movies:admin"]}'] },
          required: true,
        },
        explain: { description: 'Also say why.', schema: { enum: ['true', 'false'] } },
      },
      answers,
    },
    async function validatePermissions(ctx, { params: { id = '' }, query: { permissions = '', explain } }) {
      await decide(ctx, id, wellFormed(parseQuery(permissions)), explain === 'true')
    },
  )

  api.add<schemas.QuestionBody>(
    {
      ...shared,
      id: `validatePermissionsByBody${suffix}`,
      method: 'post',
      path: `${path}/combined_permissions/validation`,
      summary: 'Ask whether an account holds permissions, with a long question',
      description: `As with GET, which has no room for long questions. ${ABOUT_AGE}`,
      body: schemas.questionBody,
      answers,
    },
    async function validatePermissionsByBody(ctx, { params: { id = '' }, body: { permissions, explain } }) {
      await decide(ctx, id, wellFormed(parseExpression(permissions), '/permissions'), explain === true)
    },
  )
}

function wellFormed(parsed: ParsedExpression, prefix = ''): PolicyExpression {
  if (parsed.ok) return parsed.expression
  const faults = parsed.faults.map(({ pointer, message }) => ({ pointer: `${prefix}${pointer}`, message }))
  throw new AppError('bad_request', 400, 'The question does not have the expected form.', { faults })
}
