/**
 * What the keys of `ssl` mean for each other, for the version and for the servers' own settings.
 */
import { isAbsolute } from 'node:path'
import type { ConfigFinding } from './problems.ts'
import type { ClusterSettings } from './settings.ts'

/** libpq's word for the certificate authorities of the system. */
const SYSTEM_ROOTS = 'system'
const SYSTEM_ROOTS_SINCE = 16
const NEEDS_TLS = new Set(['require', 'verify-ca', 'verify-full'])

/** What does not fit together in `ssl`. */
export function sslFindings(settings: ClusterSettings): ConfigFinding[] {
  const { ssl } = settings
  if (ssl === undefined) return []
  return [...modeFindings(settings, ssl), ...rootFindings(settings, ssl), ...fileFindings(ssl)].map(
    ([name, text]) => ({ path: ['ssl', name], text }),
  )
}

type Ssl = NonNullable<ClusterSettings['ssl']>
type SslFinding = readonly [name: string, text: string]

function modeFindings(
  { postgres, servers }: ClusterSettings,
  { mode, rootCert }: Ssl,
): SslFinding[] {
  const found: SslFinding[] = []
  if (mode.startsWith('verify-') && rootCert === undefined) {
    found.push(['mode', `says ${mode}: give rootCert, the file to check certificates with`])
  }
  const isAnyOff = Object.values(servers).some(({ parameters }) =>
    isOff({ ...postgres.parameters, ...parameters }),
  )
  if (NEEDS_TLS.has(mode) && isAnyOff) {
    found.push(['mode', `says ${mode}, and postgres.parameters turn ssl off: set ssl: on there`])
  }
  return found
}

function rootFindings({ postgres }: ClusterSettings, { mode, rootCert }: Ssl): SslFinding[] {
  if (rootCert !== SYSTEM_ROOTS) return []
  const since = `says system: standbys know that from PostgreSQL ${SYSTEM_ROOTS_SINCE} on; name a file`
  const needs = 'says system: that needs mode: verify-full'
  return [
    ...(postgres.version < SYSTEM_ROOTS_SINCE ? [['rootCert', since] as const] : []),
    ...(mode === 'verify-full' ? [] : [['rootCert', needs] as const]),
  ]
}

function fileFindings({ rootCert, cert, key }: Ssl): SslFinding[] {
  const paths = { rootCert: rootCert === SYSTEM_ROOTS ? undefined : rootCert, cert, key }
  const relative = Object.entries(paths).flatMap(([name, path]): SslFinding[] =>
    path === undefined || isAbsolute(path)
      ? []
      : [[name, `must start with "/", for it holds on every machine: found "${path}"`]],
  )
  if (cert !== undefined && key === undefined)
    relative.push(['cert', 'needs its key: give key too'])
  if (key !== undefined && cert === undefined) {
    relative.push(['key', 'is of no certificate: give cert too'])
  }
  return relative
}

function isOff(parameters: Readonly<Record<string, string>>): boolean {
  const value = Object.entries(parameters).find(([name]) => name.toLowerCase() === 'ssl')?.[1]
  return value !== undefined && /^(?:off?|false|fals?|no?|0)$/i.test(value.trim())
}
