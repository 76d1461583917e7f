/** The declarative file of `usher apply`: read, checked against config/apply.schema.json, and put into the terms of the rooms. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { parse, YAMLParseError } from 'yaml'
import schema from '../../config/apply.schema.json' with { type: 'json' }
import type { PermissionInput } from '../access/permission.ts'
import type { ResourceInput } from '../access/resource.ts'
import type { RoleInput } from '../access/role.ts'
import type { NewAccount } from '../accounts/accounts.ts'
import type { ClientType } from '../clients/client.ts'
import type { ClientInput } from '../clients/client-registration.ts'
import type { Environment } from '../config.ts'
import type { NewTeam, TeamDescription } from '../teams/team.ts'
import type { NewGroup } from '../visibility/visibility-group.ts'
import { type Edges, inOrder } from './manifest-order.ts'

export interface Manifest {
  resources: ResourceInput[]
  permissions: PermissionInput[]
  roles: RoleInput[]
  clients: (ClientInput & { id: string })[]
  accounts: { account: NewAccount; roles: string[] | undefined; permissions: string[] | undefined }[]
  teams: { team: Omit<TeamDescription, 'members'>; members: TeamMember[] | undefined }[]
  visibilityGroups: { group: NewGroup; members: string[] | undefined }[]
}

export interface TeamMember {
  email: string
  isManager: boolean
}

/** One line per fault, each with its place in the file. */
export class ManifestError extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.name = 'ManifestError'
    this.faults = faults
  }
}

/** What the schema lets through. */
export interface ManifestFile {
  resources?: ({ key: string } & Record<string, unknown>)[]
  permissions?: PermissionInput[]
  roles?: RoleInput[]
  clients?: ({ id: string; type: ClientType; secret_env?: string; secret_file?: string } & Record<string, unknown>)[]
  accounts?: ({ email: string; roles?: string[]; permissions?: string[]; password_env?: string } & Record<
    string,
    unknown
  >)[]
  teams?: (NewTeam & { roles?: string[]; members?: (string | { email: string; manager?: boolean })[] })[]
  visibility_groups?: (NewGroup & { members?: string[] })[]
}

/**
 * Reads a YAML or JSON file. Secrets come from the environment or from files, never from the manifest itself.
 * @throws ManifestError with every fault and its place
 */
export function readManifest(path: string, env: Environment): Manifest {
  const file = checked(parsed(path))
  const faults = [...repeated(file), ...cyclic(file)]
  const look = {
    env: (place: string, name: string | undefined): string | undefined => {
      if (name !== undefined && !env[name]) faults.push(`${place}: the environment variable ${name} is not set`)
      return name === undefined ? undefined : env[name]
    },
    file: (place: string, name: string | undefined): string | undefined => {
      if (name === undefined) return undefined
      try {
        return readFileSync(resolve(dirname(path), name), 'utf8').trim()
      } catch {
        faults.push(`${place}: the file ${name} cannot be read`)
        return undefined
      }
    },
  }
  const manifest: Manifest = {
    resources: (file.resources ?? []).map(({ key, ...rest }) => ({ ...camelCased(rest), key })),
    permissions: file.permissions ?? [],
    roles: file.roles ?? [],
    clients: (file.clients ?? []).map(({ id, type, secret_env, secret_file, ...rest }, index) => {
      const place = `clients[${index}]`
      const secret = look.env(`${place}.secret_env`, secret_env) ?? look.file(`${place}.secret_file`, secret_file)
      return { ...camelCased(rest), id, type, ...(secret === undefined ? {} : { secret }) }
    }),
    accounts: (file.accounts ?? []).map(({ email, roles, permissions, password_env, ...rest }, index) => {
      const password = look.env(`accounts[${index}].password_env`, password_env)
      const account = { ...camelCased(rest), email, ...(password === undefined ? {} : { password }) }
      return { account, roles, permissions }
    }),
    teams: (file.teams ?? []).map(({ members, ...team }) => ({ team, members: members?.map(memberOf) })),
    visibilityGroups: (file.visibility_groups ?? []).map(({ members, ...group }) => ({ group, members })),
  }
  if (faults.length > 0) throw new ManifestError(faults)
  return manifest
}

/** Whoever is not said to manage a team does not. */
const memberOf = (member: string | { email: string; manager?: boolean }): TeamMember =>
  typeof member === 'string'
    ? { email: member, isManager: false }
    : { email: member.email, isManager: member.manager === true }

function parsed(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8')) ?? {} // YAML 1.2 includes JSON
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw new ManifestError([`${path} cannot be read`])
    const line = error.linePos?.[0].line
    throw new ManifestError([`${path}${line === undefined ? '' : `, line ${line}`}: not valid YAML (${error.code})`])
  }
}

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, validateSchema: false })
const obeysSchema = ajv.compile<ManifestFile>(schema)

function checked(content: unknown): ManifestFile {
  if (obeysSchema(content)) return content
  throw new ManifestError((obeysSchema.errors ?? []).map(faultOf))
}

function faultOf({ instancePath, keyword, params, message = 'is wrong' }: ErrorObject): string {
  const place = placeOf(instancePath)
  const below = (name: unknown): string => (place === '' ? String(name) : `${place}.${name}`)
  if (keyword === 'additionalProperties') return `${below(params.additionalProperty)}: unknown key`
  if (keyword === 'required') return `${below(params.missingProperty)}: is missing`
  if (keyword === 'enum') return `${place}: must be one of ${params.allowedValues.join(', ')}`
  if (keyword === 'not') return `${place}: holds two forms of the same secret`
  return `${place || 'the file'}: ${message}`
}

/** A JSON pointer as people write it: /clients/0/redirect_uris → clients[0].redirect_uris. */
export const placeOf = (pointer: string): string =>
  pointer
    .replaceAll(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
    .replace(/^\./, '')

/** The same object twice would be two truths about it. */
function repeated(file: ManifestFile): string[] {
  const lists: Record<string, string[] | undefined> = {
    resources: file.resources?.map(({ key }) => key),
    permissions: file.permissions?.map(({ key }) => key),
    roles: file.roles?.map(({ key }) => key),
    clients: file.clients?.map(({ id }) => id),
    accounts: file.accounts?.map(({ email }) => email.toLowerCase()),
    teams: file.teams?.map(({ key }) => key),
    visibility_groups: file.visibility_groups?.map(({ key }) => key),
  }
  const members = [
    ...(file.teams ?? []).map(({ members = [] }, index) => ({
      list: `teams[${index}].members`,
      names: members.map((member) => memberOf(member).email.toLowerCase()),
    })),
    ...(file.visibility_groups ?? []).map(({ members = [] }, index) => ({
      list: `visibility_groups[${index}].members`,
      names: members.map((email) => email.toLowerCase()),
    })),
  ]
  for (const { list, names } of members) lists[list] = names
  return Object.entries(lists).flatMap(([list, names = []]) => {
    const seen = new Set<string>()
    return names.flatMap((name, index) => {
      if (seen.has(name)) return [`${list}[${index}]: ${name} is described twice`]
      seen.add(name)
      return []
    })
  })
}

/** A cycle within the file; one that what is stored takes part in is found when it is written. */
function cyclic(file: ManifestFile): string[] {
  const parentOf = ({ key, parent }: { key: string; parent?: string | null | undefined }): Edges => ({
    key,
    names: parent ? [parent] : [],
  })
  const lists = {
    roles: { verb: 'includes', edges: (file.roles ?? []).map(({ key, includes = [] }) => ({ key, names: includes })) },
    teams: { verb: 'lies below', edges: (file.teams ?? []).map(parentOf) },
    visibility_groups: { verb: 'lies below', edges: (file.visibility_groups ?? []).map(parentOf) },
  }
  return Object.entries(lists).flatMap(([list, { verb, edges }]) => {
    const { cycle } = inOrder(edges)
    if (!cycle) return []
    const place = list === 'roles' ? `includes[${cycle.edge}]` : 'parent'
    return [`${list}[${cycle.index}].${place}: closes a cycle: ${cycle.path.join(` ${verb} `)}`]
  })
}

/** Only the names of the members: below metadata, profile and attributes the names are the operator's. */
const camelCased = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase()),
      value,
    ]),
  )
