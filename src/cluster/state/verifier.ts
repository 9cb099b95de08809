/**
 * Password verifiers as PostgreSQL stores them, computed here so that a password never travels in
 * SQL or reaches a log. Source: PostgreSQL src/common/scram-common.c (scram_build_secret),
 * src/common/md5_common.c; RFC 5802.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { saslprep } from '../../wire/saslprep.ts'
import type { PasswordFound } from '../found-sql.ts'

/** How a password is stored in pg_authid. */
export type PasswordMethod = 'scram-sha-256' | 'md5'

/** A role and its password. */
export interface Credential {
  readonly role: string
  readonly password: string
}

const SCRAM_ITERATIONS = 4096
const SCRAM_SALT_BYTES = 16
/** Who made a verifier chose how long we compute: beyond this it is not ours. */
const SCRAM_ITERATIONS_MAX = 1_000_000
const SCRAM = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/

/** What goes after `ALTER ROLE … PASSWORD`. A new salt each time. */
export function makeVerifier(credential: Credential, method: PasswordMethod): string {
  return method === 'md5'
    ? md5Verifier(credential)
    : scramVerifier(credential.password, {
        salt: randomBytes(SCRAM_SALT_BYTES),
        iterations: SCRAM_ITERATIONS,
      })
}

/** Whether what pg_authid stores was made from this password, and how it is stored. */
export function judgeVerifier(
  stored: string | null,
  credential: Credential | undefined,
): { readonly password: PasswordFound; readonly method: PasswordMethod | 'none' } {
  if (stored === null || stored === '') return { password: 'none', method: 'none' }
  const scram = SCRAM.exec(stored)
  const method = scram === null ? 'md5' : 'scram-sha-256'
  const iterations = Number(scram?.[1] ?? 0)
  if (credential === undefined || iterations > SCRAM_ITERATIONS_MAX)
    return { password: 'other', method }
  const expected =
    scram === null
      ? md5Verifier(credential)
      : scramVerifier(credential.password, {
          salt: Buffer.from(scram[2] ?? '', 'base64'),
          iterations,
        })
  return { password: expected === stored ? 'ours' : 'other', method }
}

function scramVerifier(password: string, by: { salt: Buffer; iterations: number }): string {
  const salted = pbkdf2Sync(saslprep(password), by.salt, by.iterations, 32, 'sha256')
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64')
  const serverKey = hmac(salted, 'Server Key').toString('base64')
  return `SCRAM-SHA-256$${by.iterations}:${by.salt.toString('base64')}$${storedKey}:${serverKey}`
}

function md5Verifier({ role, password }: Credential): string {
  return `md5${createHash('md5').update(`${password}${role}`).digest('hex')}`
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
