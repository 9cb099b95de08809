/**
 * What a check found, and how it is printed: lines, JSON, and as a Nagios plugin.
 */
import type { Json } from '../output/python-json.ts'

/** One line of a check. */
export interface CheckLine {
  readonly name: string
  readonly isOk: boolean
  readonly hint: string
  /** Printed below the line. */
  readonly more?: readonly string[]
}

/**
 * What was checked of a server: its lines as they are printed, and the sizes that Nagios is told.
 */
export interface CheckedServer {
  readonly name: string
  readonly active: boolean
  readonly disabled: boolean
  readonly lines: readonly CheckLine[]
  readonly backupBytes: number
  readonly walBytes: number
}

/** A line that is OK. */
export function ok(name: string, hint = ''): CheckLine {
  return { name, isOk: true, hint }
}

/** A line that is not. */
export function failed(name: string, hint = ''): CheckLine {
  return { name, isOk: false, hint }
}

/** OK or FAILED, the hint with FAILED only. */
export function judge(name: string, isOk: boolean, hint = ''): CheckLine {
  return { name, isOk, hint: isOk ? '' : hint }
}

/** The lines for people. */
export function checkText(server: CheckedServer): string[] {
  const state = server.disabled ? ' (WARNING: disabled)' : ''
  const suffix = server.active ? state : ' (inactive)'
  return [
    `Server ${server.name}${suffix}:`,
    ...server.lines.flatMap(({ name, isOk, hint, more }) => [
      `\t${name}: ${isOk ? 'OK' : 'FAILED'}${hint === '' ? '' : ` (${hint})`}`,
      ...(more ?? []).map((line) => `\t\t${line}`),
    ]),
  ]
}

/** The lines by key: `receive-wal running` is `receive_wal_running`. */
export function checkJson({ lines }: CheckedServer): Json {
  const keyOf = (name: string): string =>
    name.toLowerCase().replace(/[ -]/g, '_').replace(/[().]/g, '')
  return Object.fromEntries(
    lines.map(({ name, isOk, hint }) => [keyOf(name), { hint, status: isOk ? 'OK' : 'FAILED' }]),
  )
}

/** Whether something is wrong with a server that ought to work. */
export function isBad({ active, lines }: CheckedServer): boolean {
  return active && lines.some(({ isOk }) => !isOk)
}

/** Output and exit code as Nagios wants them. */
export function nagiosText(servers: readonly CheckedServer[]): {
  lines: string[]
  exitCode: number
} {
  if (servers.length === 0) return { lines: ['BARMAN OK - No server configured'], exitCode: 0 }
  const data = servers
    .map(({ name, backupBytes, walBytes }) => `${name}=${backupBytes}B ${name}_wals=${walBytes}B`)
    .join(' ')
  const bad = servers.filter((server) => isBad(server))
  const ignored = servers.filter((server) => !server.active).map(({ name }) => name)
  const ignoring = ignored.length === 0 ? '' : ` * IGNORING: ${ignored.join(' * IGNORING: ')}`
  if (bad.length === 0) return { lines: [`${goodLine(servers)}${ignoring}|${data}`], exitCode: 0 }
  const faults = bad.map(
    ({ name, lines }) =>
      `${name} FAILED: ${lines
        .filter(({ isOk }) => !isOk)
        .map((line) => line.name)
        .join(', ')}`,
  )
  const head =
    servers.length === 1
      ? `server ${servers[0]?.name} has issues`
      : `${bad.length} server out of ${servers.length} have issues`
  return {
    lines: [
      `BARMAN CRITICAL - ${head} * ${faults.join(' * ')}${ignoring}|${data}`,
      ...bad.flatMap(({ name, lines }) =>
        lines
          .filter(({ isOk }) => !isOk)
          .map(
            (line) => `${name}.${line.name}: FAILED${line.hint === '' ? '' : ` (${line.hint})`}`,
          ),
      ),
    ],
    exitCode: 2,
  }
}

function goodLine(servers: readonly CheckedServer[]): string {
  const ready = 'BARMAN OK - Ready to serve the Espresso backup for'
  const [only, ...others] = servers
  if (others.length === 0) return `${ready} ${only?.name}`
  return `${ready} ${servers.length} servers * ${servers.map(({ name }) => name).join(' * ')}`
}
