import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table clients (
      -- RFC 9700 section 4.15: a client must not be able to pass for an account, and account ids are UUIDs.
      id text primary key check (id !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
      name text not null,
      type text not null check (type in ('web', 'spa', 'native', 'machine')),
      secret_digest text,
      first_party boolean not null default false,
      require_pkce boolean not null default true,
      grant_types jsonb not null,
      redirect_uris jsonb not null,
      post_logout_redirect_uris jsonb not null,
      scopes jsonb not null,
      audience text,
      access_token_ttl_seconds integer check (access_token_ttl_seconds > 0),
      refresh_token_ttl_seconds integer check (refresh_token_ttl_seconds > 0),
      token_endpoint_auth_method text not null
        check (token_endpoint_auth_method in ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
      metadata jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table clients`.execute(db)
}
