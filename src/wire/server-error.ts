/**
 * PostgreSQL's errors as ours: SQLSTATE → code of the catalogue. Used for both replication and SQL
 * connections. Texts may be translated by the server (lc_messages), so decisions rest on SQLSTATE
 * and on names inside the text. Source: PostgreSQL documentation, "PostgreSQL Error Codes".
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { oneLine } from '../util/one-line.ts'
import type { ServerMessage } from './backend-messages.ts'

const CODES: Readonly<Record<string, ErrorCode>> = {
  '28P01': 'POSTGRES_AUTH',
  '28000': 'POSTGRES_AUTH',
  '42501': 'POSTGRES_AUTH',
  '53300': 'POSTGRES_LIMIT',
  '53400': 'POSTGRES_LIMIT',
  '55006': 'SLOT_IN_USE',
  '57P01': 'POSTGRES_CONNECTION_LOST',
  '57P02': 'POSTGRES_CONNECTION_LOST',
  '57P03': 'POSTGRES_UNREACHABLE',
  '57P05': 'POSTGRES_CONNECTION_LOST',
  '08P01': 'POSTGRES_PROTOCOL',
}

const HINTS: Readonly<Record<string, string>> = {
  '28P01': 'Check the password of the role and the password file.',
  '3D000': 'Name a database that exists.',
  '42501': 'Give the role what the message names: REPLICATION to back up or stream.',
  '57P03': 'It starts, stops or recovers: wait, and see its log.',
}

/** Texts that name a kind more exactly than the SQLSTATE does. The first that matches wins. */
const TEXTS: readonly { sqlstate: RegExp; text: RegExp; code: ErrorCode }[] = [
  { sqlstate: /^28000$/, text: /pg_hba\.conf/, code: 'POSTGRES_HBA' },
  // Removed while the server was about to read it: the SQLSTATE comes from an errno that need not
  // be ENOENT then.
  { sqlstate: /^(?:58P01|XX000)$/, text: /\b[0-9A-F]{24}\b/, code: 'WAL_UNAVAILABLE' },
  { sqlstate: /^55000$/, text: /cannot read from|can no longer/, code: 'WAL_UNAVAILABLE' },
  { sqlstate: /^42704$/, text: /replication slot/, code: 'SLOT_MISSING' },
  { sqlstate: /^55006$/, text: /^(?!.*replication slot)/, code: 'POSTGRES_QUERY' },
  { sqlstate: /^57014$/, text: /timeout/, code: 'TIMEOUT' },
  { sqlstate: /^XX000$/, text: /not in this server's history/, code: 'POSTGRES_IDENTITY' },
]

/**
 * The error for what the server said. `action` is the start of the sentence: `Cannot log in to
 * db1:5432 as "repl"`. `details` hold sqlstate, severity and the server's detail; `cause` is kept
 * when given.
 */
export function serverError(action: string, server: ServerMessage, cause?: unknown): BackstayError {
  const { sqlstate, severity, message, detail } = server
  const exact = TEXTS.find((rule) => rule.sqlstate.test(sqlstate) && rule.text.test(message))
  const code = exact?.code ?? CODES[sqlstate] ?? 'POSTGRES_QUERY'
  const hint = server.hint ?? HINTS[sqlstate]
  return new BackstayError(code, `${action}: ${sentence(server)} (SQLSTATE ${sqlstate})`, {
    ...(hint === undefined ? {} : { hint }),
    details: { sqlstate, severity, message, ...(detail === undefined ? {} : { detail }) },
    cause,
  })
}

/** Message and detail in one, on one line. */
function sentence(server: ServerMessage): string {
  const text = server.detail === undefined ? server.message : `${server.message}: ${server.detail}`
  return oneLine(text).replace(/\.$/, '')
}
