/**
 * Receiving a base backup and dropping it: ours against `pg_basebackup -Ft -D - > /dev/null`, alternately, each as a
 * process of its own (start-up included), on the same server with the same options.
 * Run: node bench/receive.ts [rounds]
 */
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BaseBackupSink } from '../src/wire/base-backup-sink.ts'
import type { ConnectionOptions } from '../src/wire/connection-options.ts'
import { ReplicationConnection } from '../src/wire/replication-connection.ts'
import { ensureDataset } from './dataset.ts'
import { median, reportSpeed } from './figures.ts'

const SIZE_GB = 3
/** How the child is told where to connect. */
const CONNECTION = 'BACKSTAY_BENCH_CONNECTION'

if (process.argv[2] === 'ours') await receive()
else await compare(Number(process.argv[2] ?? 7))

async function compare(rounds: number): Promise<void> {
  const dataset = await ensureDataset({ sizeGb: SIZE_GB })
  await using server = await dataset.start()
  const { host, port, user, password = '' } = server.connection
  const environment = {
    ...process.env,
    PGPASSWORD: password,
    [CONNECTION]: JSON.stringify(server.connection),
    // As bin/backstay.js does.
    NODE_COMPILE_CACHE: join(tmpdir(), 'backstay-bench-compile-cache'),
  }
  const address = `-h ${host} -p ${port} -U ${user}`
  const flags = `${address} -Ft -D - -X none -c fast --no-verify-checksums --no-sync`
  const peer = [join(dataset.binaries, 'pg_basebackup'), ...flags.split(' ')]
  const ours = [process.execPath, import.meta.filename, 'ours']
  await run(peer, environment)
  await run(ours, environment)
  const seconds: { ours: number[]; peer: number[] } = { ours: [], peer: [] }
  for (let round = 0; round < rounds; round += 1) {
    seconds.ours.push(await run(ours, environment))
    seconds.peer.push(await run(peer, environment))
  }
  const query = 'SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database'
  const [row] = await server.query(query)
  const megabytes = Number(row?.['bytes']) / 1e6
  reportSpeed('ours', seconds.ours, megabytes)
  reportSpeed('pg_basebackup', seconds.peer, megabytes)
  console.log(`speed ratio of medians: ${(median(seconds.peer) / median(seconds.ours)).toFixed(3)}`)
}

/** The child's work: a base backup whose bytes are only counted. */
async function receive(): Promise<void> {
  const options = JSON.parse(process.env[CONNECTION] ?? '{}') as ConnectionOptions
  await using connection = await ReplicationConnection.connect(options)
  let bytes = 0
  const sink: BaseBackupSink = {
    begin: () => undefined,
    entry: () => undefined,
    data: (chunk) => {
      bytes += chunk.length
    },
    endFile: () => undefined,
    manifest: () => undefined,
    end: () => undefined,
  }
  await connection.baseBackup({ progress: false }, sink)
  if (bytes === 0) throw new Error('nothing was received')
}

async function run(command: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program = '', ...argv] = command
  const started = performance.now()
  const child = spawn(program, argv, {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`)
  return (performance.now() - started) / 1000
}
