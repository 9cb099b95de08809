/**
 * Where and as whom to connect: what libpq's conninfo says, as values.
 */

export const SSL_MODES = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const

/** libpq's sslmode words, with libpq's meaning. */
export type SslMode = (typeof SSL_MODES)[number]

/** A connection's address and identity. Defaults are libpq's. */
export interface ConnectionOptions {
  /** Name or address, or the directory of a Unix socket when it starts with `/`. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** Default: `postgres` for SQL; ignored for physical replication. */
  readonly database?: string
  /** Wins over `passfile`. */
  readonly password?: string
  /** A file in .pgpass format, read when the server asks for a password; refused when others may read it. */
  readonly passfile?: string
  readonly sslmode?: SslMode
  readonly sslrootcert?: string
  readonly sslcert?: string
  readonly sslkey?: string
  readonly applicationName?: string
  /** Bounds the whole start: TCP, TLS, login. Default 10 s. */
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal
}
