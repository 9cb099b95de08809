/**
 * The systemd unit of one PostgreSQL server. Our own and not the distribution's: it is the same on
 * every distribution, runs a cluster that initdb made where the cluster file says, and asks the
 * guard first (boot-guard.ts, docs/adr/0040).
 */
import { posix } from 'node:path'
import { GUARD_PATH } from './boot-guard.ts'
import { shellCommand } from './shell-quote.ts'
import { UNIT_HARDENING } from './unit-hardening.ts'

/** A server as a service of systemd. */
export interface PostgresService {
  /** Name of the unit with `.service`. */
  readonly unit: string
  /** File that lets the guard pass while it is there; in /run, so that no boot finds one. */
  readonly permit: string
}

/** The unit of a server of a cluster. */
export function postgresServiceOf(cluster: string, server: string): PostgresService {
  const name = `backstay-postgres-${cluster}-${server}`
  return { unit: `${name}.service`, permit: `/run/backstay-permits/${name}` }
}

/** Where a unit's file lies. */
export function unitPathOf(unit: string): string {
  return posix.join('/etc/systemd/system', unit)
}

/** What the unit's text depends on. */
export interface PostgresUnitOptions {
  readonly cluster: string
  readonly server: string
  /** Holds pg_ctl, psql and pg_controldata. */
  readonly programs: string
  readonly directory: string
  /** postgresql.conf, where it does not lie in the directory. */
  readonly configFile?: string
  readonly logFile: string
  readonly osUser: string
  /** The role the guard asks the others as. */
  readonly role: string
  /**
   * Variables of libpq that protect the guard's connections, no secrets: its arguments, because
   * PostgreSQL itself must not inherit them.
   */
  readonly protection: Readonly<Record<string, string>>
  /** The other servers of the cluster. */
  readonly peers: readonly { readonly address: string; readonly port: number }[]
}

/**
 * The unit's text. pg_ctl starts it, so that it works whether or not PostgreSQL was built to notify
 * systemd; SIGINT is a fast shutdown. There is no PIDFile=: systemd removes that file when a start
 * fails, and would take postmaster.pid from a server that another unit or a person started. Source:
 * systemd.service(5), systemd.kill(5), PostgreSQL documentation "Starting the Database Server".
 */
export function postgresUnitText(options: PostgresUnitOptions): string {
  const { cluster, server, programs, directory, logFile, osUser, role, peers } = options
  const { permit } = postgresServiceOf(cluster, server)
  const own = writablePaths(options).map((path) => `-${systemdPath(path)}`)
  const others = peers.map(({ address, port }) => `${address} ${port}`)
  const protection = Object.entries(options.protection).map(([name, value]) => `${name}=${value}`)
  const guard = [GUARD_PATH, directory, permit, programs, role, ...protection, ...others]
  const waiting = ['-s', '-w', '-t', '604800', '-l', logFile]
  const start = [`${programs}/pg_ctl`, '-D', directory, ...waiting, ...configWords(options)]
  return `# Written by Backstay: the next \`backstay up\` writes it anew.
[Unit]
Description=PostgreSQL server ${server} of cluster ${cluster} (Backstay)
Documentation=man:postgres(1)
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=forking
User=${osUser}
ExecStartPre=${guard.map(systemdWord).join(' ')}
ExecStart=${[...start, 'start'].map(systemdWord).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
KillSignal=SIGINT
Restart=on-failure
RestartSec=10
TimeoutStartSec=infinity
TimeoutStopSec=1h
# Archives and tablespaces may lie anywhere but in the system's own directories, where only the data directory is written to.
${UNIT_HARDENING}
ProtectSystem=full
ReadWritePaths=${own.join(' ')}

[Install]
WantedBy=multi-user.target
`
}

/** What ProtectSystem protects: none of it becomes writable whole for one directory in it. */
const PROTECTED = ['/', '/boot', '/efi', '/etc', '/usr']

/** Beside the directory lie its log and its password file. */
function writablePaths({ directory, logFile }: PostgresUnitOptions): readonly string[] {
  const parent = posix.dirname(directory)
  return PROTECTED.includes(parent) ? [directory, logFile] : [parent]
}

/** pg_ctl's way to a configuration outside the data directory; it hands the words to a shell. */
export function configWords({
  configFile,
}: {
  readonly configFile?: string | undefined
}): readonly string[] {
  return configFile === undefined ? [] : ['-o', shellCommand(['-c', `config_file=${configFile}`])]
}

/**
 * A word of a command line as systemd reads it: quoted, specifiers and variables taken literally.
 */
export function systemdWord(word: string): string {
  return systemdPath(word.replaceAll('$', '$$$$'))
}

/**
 * A path in a list of paths, where no variables are expanded: quoted, specifiers taken literally.
 */
export function systemdPath(path: string): string {
  const literal = path.replaceAll('%', '%%')
  return /^[A-Za-z0-9_@%+=:,./$-]+$/.test(literal)
    ? literal
    : `"${literal.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll(CONTROL, escaped)}"`
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/g

/** A line end would begin a line of the unit. */
function escaped(character: string): string {
  return String.raw`\x` + character.charCodeAt(0).toString(16).padStart(2, '0')
}
