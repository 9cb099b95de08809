/** Commands that start while the repository's disk is not mounted: none makes another repository where it belongs. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startPostgres, type TestServer } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot } from '../harness/unprivileged-user.ts'
import { LAUNCHER } from '../integration/cli/programs.ts'

const skip = whyNot()
const COMMANDS = [['serve'], ['wal', 'receive'], ['backup'], ['wal', 'push', 'pg_wal']] as const
const REPOSITORY_MISSING = 10

/** Mounting is root's, and not every container's root may. */
function whyNot(): string | false {
  if (!isRoot) return 'only root can mount a disk'
  const { status } = spawnSync('unshare', ['--mount', 'true'])
  return status !== 0 && 'this machine lets nobody mount a disk'
}

/** `content`, mounted at `path`. */
function mountDisk(
  content: string,
  path: string,
): AsyncDisposable & { mount(): void; unmount(): void } {
  let isMounted = false
  const mount = (): void => {
    execFileSync('mount', ['--bind', content, path])
    isMounted = true
  }
  const unmount = (): void => {
    if (isMounted) execFileSync('umount', [path])
    isMounted = false
  }
  mount()
  return {
    mount,
    unmount,
    async [Symbol.asyncDispose]() {
      unmount()
    },
  }
}

async function makeCluster(pg: TestServer, folder: string): Promise<string> {
  const config = join(folder, 'backstay.yaml')
  writeFileSync(
    config,
    `cluster: shop
stateDirectory: state
postgres: { version: ${pg.major} }
servers:
  db1: { role: primary, host: 127.0.0.1, port: ${pg.port}, directory: ${pg.directory}, socketDirectory: ${pg.socketDirectory} }
backup: { server: vault, host: 127.0.0.1, repository: vault }
`,
  )
  const told = run(['config', 'check', '--json'], config)
  const { backup } = JSON.parse(told.stdout) as {
    backup: { streamRole: string; backupRole: string }
  }
  await pg.query(`create role ${backup.streamRole} login replication password 'secret';
    create role ${backup.backupRole} login replication superuser password 'secret'`)
  return config
}

function run(
  words: readonly string[],
  config: string,
): { status: number | null; stdout: string; stderr: string } {
  const args = [LAUNCHER, ...words, '--config', config]
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
}

describe('a repository whose disk is not mounted', { skip }, () => {
  it('is not made again by a command that starts then, and is used again afterwards', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const config = await makeCluster(pg, folder.path)
    const vault = join(folder.path, 'vault')
    const content = join(folder.path, 'disk')
    for (const path of [vault, content]) mkdirSync(path, { mode: 0o700 })
    await using disk = mountDisk(content, vault)
    // What `up` leaves there.
    writeFileSync(join(vault, '.pgpass'), '*:*:*:*:secret\n', { mode: 0o600 })
    const taken = run(['backup'], config)
    assert.equal(taken.status, 0, taken.stderr)
    disk.unmount()
    for (const words of COMMANDS) {
      const { status, stderr } = run(words, config)
      assert.equal(status, REPOSITORY_MISSING, `${words.join(' ')}: ${stderr}`)
      assert.deepEqual(readdirSync(vault), [], words.join(' '))
    }
    assert.match(run(['backup'], config).stderr, /Is its disk mounted\?/)
    disk.mount()
    const again = run(['backup'], config)
    assert.equal(again.status, 0, again.stderr)
  })

  it('is not made by anybody where fstab has a disk that is not mounted', async () => {
    await using folder = temporaryDirectory()
    const vault = join(folder.path, 'vault')
    mkdirSync(vault)
    const fstab = join(folder.path, 'fstab')
    writeFileSync(fstab, `UUID=1 ${vault} ext4 defaults 0 2\n`)
    const source = join(import.meta.dirname, '../../src')
    const script = `
      const { createRepository } = await import('${source}/repository/cluster-repository.ts')
      const { DiskStore } = await import('${source}/store/disk-store.ts')
      const { systemClock } = await import('${source}/util/clock.ts')
      await createRepository(new DiskStore('${vault}/barman/backstay'), systemClock)`
    const make = (before: string): ReturnType<typeof spawnSync> =>
      spawnSync(
        'unshare',
        [
          '--mount',
          'sh',
          '-c',
          `mount --bind "$1" /etc/fstab && ${before} exec "$2" --input-type=module -e "$3"`,
          'sh',
          fstab,
          process.execPath,
          script,
        ],
        { encoding: 'utf8' },
      )
    const refused = make('')
    assert.notEqual(refused.status, 0)
    assert.match(
      String(refused.stderr),
      /\/etc\/fstab has a disk for .*vault", which is not mounted/,
    )
    assert.deepEqual(readdirSync(vault), [])
    const made = make(`mount -t tmpfs tmpfs '${vault}' &&`)
    assert.equal(made.status, 0, String(made.stderr))
  })
})
