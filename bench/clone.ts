/**
 * Cloning a primary of about 3 GB into a directory: ours against `pg_basebackup -Fp`, alternately, each as a process of its
 * own, both from the same server, without page verification by the server, and both synced to disk before they say done.
 * Run: node bench/clone.ts [rounds]
 */
import { spawn } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cloneStandby } from '../src/build/clone/clone.ts'
import { clusterContext } from '../src/cluster/context.ts'
import type { ClusterWanted, ServerWanted } from '../src/cluster/wanted.ts'
import { LocalHost } from '../src/host/local-host.ts'
import { systemClock } from '../src/util/clock.ts'
import { temporaryDirectory } from '../test/harness/temporary-directory.ts'
import { unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { ensureDataset } from './dataset.ts'
import { median, reportSpeed } from './figures.ts'

const SIZE_GB = 3
/** Where the child finds what to do, and where it says how much memory it took. */
const ORDER = 'order.json'
const MEMORY = 'memory'

interface Order {
  readonly wanted: ClusterWanted
}

if (process.argv[2] === 'ours') await clone(process.argv[3] ?? '')
else await compare(Number(process.argv[2] ?? 5))

async function compare(rounds: number): Promise<void> {
  const dataset = await ensureDataset({ sizeGb: SIZE_GB })
  await using server = await dataset.start()
  await using base = temporaryDirectory()
  const { host, port, user, password = '' } = server.connection
  const ours = join(base.path, 'ours')
  const theirs = join(base.path, 'theirs')
  await giveOrder(base.path, { password, port, directory: ours })
  const flags = `-h ${host} -p ${port} -U ${user} -Fp -X none -c fast --no-verify-checksums -D ${theirs}`
  const peer = [join(dataset.binaries, 'pg_basebackup'), ...flags.split(' ')]
  const child = [process.execPath, import.meta.filename, 'ours', base.path]
  const environment = { ...process.env, PGPASSWORD: password }
  const seconds: { ours: number[]; peer: number[] } = { ours: [], peer: [] }
  const memory: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    seconds.ours.push(await run(child, environment))
    memory.push(Number(await readFile(join(base.path, MEMORY), 'utf8')))
    await rm(ours, { recursive: true })
    seconds.peer.push(await run(peer, environment))
    await rm(theirs, { recursive: true })
  }
  const [row] = await server.query('SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database')
  const megabytes = Number(row?.['bytes']) / 1e6
  reportSpeed('ours', seconds.ours, megabytes)
  reportSpeed('pg_basebackup', seconds.peer, megabytes)
  console.log(`speed ratio of medians: ${(median(seconds.peer) / median(seconds.ours)).toFixed(3)}`)
  console.log(`memory of ours: ${Math.max(...memory)} MB at most`)
}

/** The child's work: what `up` does in its step `clone`. */
async function clone(path: string): Promise<void> {
  const { wanted } = JSON.parse(await readFile(join(path, ORDER), 'utf8')) as Order
  const [primary, server] = wanted.servers as [ServerWanted, ServerWanted]
  const home = new LocalHost('localhost')
  const context = clusterContext({
    wanted,
    home,
    openHost: async () => home,
    clock: systemClock,
    signal: new AbortController().signal,
  })
  await cloneStandby(context, { server, primary })
  await writeFile(join(path, MEMORY), String(Math.round(process.resourceUsage().maxRSS / 1024)))
}

/** Writes the wish and the password file the child reads. */
async function giveOrder(
  path: string,
  clone: { readonly password: string; readonly port: number; readonly directory: string },
): Promise<void> {
  const stateDirectory = join(path, 'state')
  await mkdir(stateDirectory)
  const passwords = `*:*:*:postgres:${clone.password}\n`
  await writeFile(join(stateDirectory, 'passwords'), passwords, { mode: 0o600 })
  const ssh = { user: undefined, port: undefined, sudo: false }
  const server = {
    host: { address: '127.0.0.1', local: true, ssh },
    address: '127.0.0.1',
    socketDirectory: join(path, 's'),
    tablespaceMapping: {},
    parameters: {},
  }
  const wanted: ClusterWanted = {
    name: 'bench',
    stateDirectory,
    postgres: {
      version: 15,
      binaries: undefined,
      osUser: unprivilegedUser.name,
      superuser: 'postgres',
      locale: 'C',
      encoding: 'UTF8',
      checksums: true,
      segmentBytes: 16 * 1024 * 1024,
      parameters: {},
      access: [],
      authentication: 'scram-sha-256',
    },
    servers: [
      { ...server, name: 'db1', role: 'primary', port: clone.port, directory: join(path, 'none') },
      { ...server, name: 'db2', role: 'standby', port: clone.port + 1, directory: clone.directory },
    ],
    replication: {
      role: 'postgres',
      connectionLimit: -1,
      walKeepBytes: 0,
      maxSlotWalKeepBytes: undefined,
      synchronousStandbys: undefined,
      archiveDirectory: undefined,
    },
    backup: undefined,
  }
  await writeFile(join(path, ORDER), JSON.stringify({ wanted } satisfies Order))
}

async function run(command: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program = '', ...argv] = command
  const started = performance.now()
  const child = spawn(program, argv, { env, stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`)
  return (performance.now() - started) / 1000
}
