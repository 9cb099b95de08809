/**
 * Switchovers by us and by repmgr (postgresql-15-repmgr), in turns: each has a primary and a standby of Debian's PostgreSQL 15
 * that it reaches over ssh on this machine, and a client that writes a row every 10 ms to whichever server is the primary. The
 * longest time between two acknowledged rows counts. Run as root: node bench/switchover-repmgr.ts [rounds]
 */
import { execFile, execFileSync } from 'node:child_process'
import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { switchOver } from '../src/failover/switchover.ts'
import { bringUp } from '../src/build/up.ts'
import { withSql } from '../src/wire/sql-client.ts'
import { debianBinaries } from '../test/harness/binaries.ts'
import { claimPorts } from '../test/harness/ports.ts'
import { startSshd } from '../test/harness/sshd.ts'
import { temporaryDirectory } from '../test/harness/temporary-directory.ts'
import { unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { makeHouse, openHouse } from '../test/integration/cluster/house.ts'
import { overSsh, withAddress } from '../test/integration/roles/over-ssh.ts'
import { makeTable, Writer, type WriterPlace } from '../test/integration/roles/writer.ts'
import { reportSpread } from './figures.ts'

const WRITE_EVERY_MS = 10
const USER = 'postgres'
const RUNUSER = '/usr/sbin/runuser'
const SETTINGS = `
shared_buffers = 16MB
max_connections = 30
wal_log_hints = on
max_wal_senders = 10
max_replication_slots = 10
shared_preload_libraries = 'repmgr'
`

/** Somebody who changes roles. */
interface Contender extends AsyncDisposable {
  readonly name: string
  readonly place: WriterPlace
  /** Hands the role to the server with this number, 0 or 1. */
  switchTo(index: number): Promise<void>
}

const rounds = Number(process.argv[2] ?? 10)
const binaries = debianBinaries(15) ?? ''
await using sshd = await startSshd()
await using ours = await makeOurs()
await using theirs = await makeTheirs()
for (const contender of [ours, theirs]) await measure(contender, 0)

const figures = new Map<string, { readonly silences: number[]; readonly totals: number[] }>(
  [ours, theirs].map(({ name }) => [name, { silences: [], totals: [] }]),
)
for (let round = 1; round <= rounds; round += 1) {
  for (const contender of [ours, theirs]) {
    const { silenceMs, totalMs } = await measure(contender, round)
    figures.get(contender.name)?.silences.push(silenceMs)
    figures.get(contender.name)?.totals.push(totalMs)
  }
}
console.log(
  `PostgreSQL 15, primary and standby over ssh on one machine, ${rounds} switchovers each`,
)
for (const [name, { silences, totals }] of figures) {
  reportSpread(`${name}: nobody could write, as the client saw it`, silences)
  reportSpread(`${name}: the whole command`, totals)
}

/** One switchover under a writer of its own. */
async function measure(
  contender: Contender,
  round: number,
): Promise<{ readonly silenceMs: number; readonly totalMs: number }> {
  const writer = new Writer(contender.place, round + 1, WRITE_EVERY_MS)
  const startedAtMs = performance.now()
  await contender.switchTo((round + 1) % 2)
  const totalMs = performance.now() - startedAtMs
  await writer.stop()
  return { silenceMs: writer.longestSilenceMs, totalMs }
}

async function makeOurs(): Promise<Contender> {
  const base = await makeHouse({ major: 15, backup: false })
  const { postgres } = base.wanted
  const wanted = { ...base.wanted, postgres: { ...postgres, binaries } }
  const house = withAddress(openHouse(base.path, wanted, async () => undefined))
  await bringUp(house.context())
  await makeTable(house)
  const ssh = await overSsh(house, sshd)
  return {
    name: 'backstay',
    place: house,
    switchTo: async (index) => {
      await switchOver(ssh.context(), { to: `db${index + 1}` })
    },
    [Symbol.asyncDispose]: async () => {
      await ssh[Symbol.asyncDispose]()
      await base[Symbol.asyncDispose]()
    },
  }
}

async function makeTheirs(): Promise<Contender> {
  const base = temporaryDirectory()
  const { path } = base
  const ports = await claimPorts(2)
  const [first = 0, second = 0] = ports
  const nodes = ports.map((port, index) => writeNode(path, port, index))
  const [one = '', two = ''] = nodes
  const data = (index: number): string => join(path, `node${index + 1}`)
  asUser([`${binaries}/initdb`, '-A', 'trust', '-k', '-D', data(0)])
  asUser(['sh', '-c', `printf '%s' "$1" >>"$2"`, 'sh', SETTINGS, `${data(0)}/postgresql.conf`])
  setPort(data(0), first)
  startServer(data(0))
  const login = { host: '127.0.0.1', port: first, user: USER, database: 'postgres' }
  await withSql(login, async (sql) => {
    await sql.query('CREATE ROLE repmgr SUPERUSER LOGIN')
    await sql.query('CREATE DATABASE repmgr OWNER repmgr')
    await sql.query('CREATE TABLE acknowledged (id bigint PRIMARY KEY, writer int)')
  })
  repmgr(one, 'primary', 'register')
  repmgr(
    two,
    '-h',
    '127.0.0.1',
    '-p',
    `${first}`,
    '-U',
    'repmgr',
    '-d',
    'repmgr',
    'standby',
    'clone',
    '--fast-checkpoint',
  )
  setPort(data(1), second)
  startServer(data(1))
  repmgr(two, 'standby', 'register', '--wait-sync=10')
  const servers = ports.map((port) => ({ address: '127.0.0.1', port }))
  const place = { wanted: { servers, postgres: { superuser: USER }, stateDirectory: path } }
  return {
    name: 'repmgr',
    place,
    switchTo: async (index) => {
      await runRepmgr(nodes[index] ?? '', 'standby', 'switchover')
    },
    [Symbol.asyncDispose]: async () => base[Symbol.asyncDispose](),
  }
}

/** Its configuration file; ssh as the test's sshd wants it, with a key that the OS user may read. */
function writeNode(path: string, port: number, index: number): string {
  const key = join(path, 'id')
  const config = join(path, 'ssh_config')
  if (index === 0) {
    writeOwned(key, readFileSync(join(sshd.directory, 'user_key'), 'utf8'))
    writeOwned(join(path, 'passwords'), '')
    const known = readFileSync(sshd.knownHosts, 'utf8')
    writeOwned(join(path, 'known_hosts'), known)
    const text = readFileSync(sshd.configFile, 'utf8')
    writeOwned(
      config,
      text
        .replace(/IdentityFile .*/, `IdentityFile ${key}`)
        .replace(/UserKnownHostsFile .*/, `UserKnownHostsFile ${join(path, 'known_hosts')}`),
    )
  }
  const name = `node${index + 1}`
  const file = join(path, `${name}.conf`)
  writeOwned(
    file,
    `node_id=${index + 1}
node_name='${name}'
conninfo='host=127.0.0.1 port=${port} user=repmgr dbname=repmgr connect_timeout=2'
data_directory='${join(path, name)}'
pg_bindir='${binaries}'
use_replication_slots=yes
ssh_options='-q -F ${config}'
`,
  )
  return file
}

function writeOwned(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 })
  chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
}

function setPort(directory: string, port: number): void {
  asUser([
    'sh',
    '-c',
    'printf "port = %s\\n" "$1" >>"$2"',
    'sh',
    `${port}`,
    `${directory}/postgresql.conf`,
  ])
}

function startServer(directory: string): void {
  asUser([`${binaries}/pg_ctl`, '-w', '-D', directory, '-l', `${directory}.log`, 'start'])
}

function repmgr(config: string, ...words: readonly string[]): void {
  asUser(['repmgr', '-f', config, ...words])
}

/** The command under measurement must not hold up the writer of this process. */
async function runRepmgr(config: string, ...words: readonly string[]): Promise<void> {
  const command = ['-u', USER, '--', 'repmgr', '-f', config, ...words]
  await promisify(execFile)(RUNUSER, command, { cwd: '/' })
}

function asUser(command: readonly string[]): void {
  execFileSync(RUNUSER, ['-u', USER, '--', ...command], { cwd: '/', stdio: 'pipe' })
}
