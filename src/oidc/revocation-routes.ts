/** The stream of revocations for services that verify access tokens themselves. */
import type { Api } from '../http/api.ts'
import type { Route } from '../http/route.ts'
import type { RevocationStream } from './revocation-stream.ts'

const STREAM: Route = {
  id: 'streamRevocations',
  method: 'get',
  path: '/api/v1/events/revocations',
  tag: 'Decisions',
  summary: 'What has been revoked, as it happens',
  description: `Server-sent events for a service that verifies access tokens itself: everything in force, then every
change. A client asks with a token of its own (client credentials) that has the scope \`events:read\`.

Every message has an \`id\`, an \`event\` and \`data\`, one JSON object:

- \`snapshot_begin\` \`{"heartbeat_seconds":1}\`: what follows, up to \`snapshot_end\`, is everything in force.
- \`revoked\` \`{"kind","id","expires_at"}\`: a \`token\` (its \`jti\`), a \`grant\` (\`gid\`), a \`session\` (\`suid\`), or, with
  \`not_before_ms\`, an \`account\` (\`sub\`) or a \`client\` (\`client_id\`), of which every token with \`ims\` up to that instant
  is dead. \`except\` spares one session: \`g.<gid>\` or \`s.<suid>\`. After \`expires_at\` (seconds) no token is left that it
  kills.
- \`permissions\` \`{"account","version","at_ms"}\` or \`{"everyone":true,"version","at_ms"}\`: roles and permissions in
  tokens with a lower \`pv\` may be outdated.
- \`heartbeat\` \`{"at_ms"}\`, every second: everything that was revoked before has been sent.
- \`reset\` \`{}\`: the place to go on from is not known any more; a snapshot follows.

Whoever sends the last \`id\` as \`Last-Event-ID\` goes on from there, at any process; something may come twice. A listener
that does not keep up is cut off, and after an hour every stream ends: come back with a token that lives.`,
  who: { scopes: ['events:read'] },
  answers: {
    200: { description: 'The stream.', contentType: 'text/event-stream', schema: { type: 'string' } },
  },
  errors: { temporarily_unavailable: 'The stores do not answer, or too many are listening.' },
}

export function mountRevocations(api: Api, { revocationStream }: { revocationStream: RevocationStream }): void {
  api.add(STREAM, async function streamRevocations(ctx, { caller }) {
    const { clientId, tokenId } = caller.kind === 'client' ? caller : { clientId: '', tokenId: '' }
    const body = await revocationStream.open({ clientId, tokenId, lastEventId: ctx.get('Last-Event-ID') })
    ctx.set('Cache-Control', 'no-store')
    // Proxies that collect an answer before they pass it on would keep it for ever.
    ctx.set('X-Accel-Buffering', 'no')
    ctx.type = 'text/event-stream'
    ctx.body = body
  })
}
