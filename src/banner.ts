/** What a start says on a terminal: where the server is, what it stands on, and what to try. */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from './config.ts'
import { demoHome } from './demo/demo-client.ts'
import type { FirstStart } from './first-start.ts'

export interface BannerInput {
  config: Config
  stores: { database: string; ephemeral: string }
  firstStart: FirstStart | undefined
}

const VERIFY = fileURLToPath(new URL('../examples/verify-token.js', import.meta.url))

export function bannerOf({ config, stores, firstStart }: BannerInput): string {
  const { issuer, smtpUrl, dataDir } = config
  const folder = `files in ${dataDir}/outbox`
  const mailbox = config.production ? folder : `${folder}, shown at ${issuer}/dev/mail`
  const lines = [
    '',
    `  Usher is ready at ${issuer}`,
    ...(config.production ? [] : [`  Open ${demoHome(issuer)} to try a sign-in`]),
    '',
    `  listens    ${config.host}:${config.port}`,
    `  database   ${stores.database}`,
    `  ephemeral  ${stores.ephemeral}`,
    `  mail       ${smtpUrl ? 'SMTP' : mailbox}`,
    `  keys       ${config.keysDir}`,
    '',
    ...(firstStart ? sayOnce(issuer, firstStart) : []),
  ]
  return `${lines.join('\n')}\n`
}

/** Shown by the first start only: the password is stored nowhere in clear. */
const sayOnce = (issuer: string, { email, password, clientId }: FirstStart): string[] => [
  '  Created for you, and shown only this once:',
  `    superuser  ${email}`,
  `    password   ${password}`,
  `    client     ${clientId} (public: code with PKCE, password, refresh)`,
  '',
  '  Get a token:',
  `    TOKEN=$(curl -s ${issuer}/oauth2/token -d grant_type=password -d client_id=${clientId} \\`,
  `      -d username=${email} -d password=${password} -d scope=openid | node -pe 'JSON.parse(fs.readFileSync(0)).access_token')`,
  '  Verify it with the published keys:',
  `    node ${asTyped(VERIFY)} ${issuer} $TOKEN`,
  '',
]

/** The path as one would type it here, quoted where the shell needs it. */
function asTyped(path: string): string {
  const near = relative(process.cwd(), path)
  const short = near.startsWith('..') ? path : near
  return /^[\w./@+-]+$/.test(short) ? short : `'${short.replaceAll("'", `'\\''`)}'`
}
