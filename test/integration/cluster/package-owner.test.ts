/**
 * The Backstay that root runs on another machine is root's all the way, or it is not run. (A host of this machine stands for the other.)
 */
import assert from 'node:assert/strict'
import { chownSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ClusterContext, clusterContext } from '../../../src/cluster/context.ts'
import { ensurePackage, packageThere } from '../../../src/fleet/ensure-package.ts'
import type { PackageFile } from '../../../src/cluster/machine/service-source.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { server, wish } from '../../unit/cluster/builders.ts'

const SKIP = isRoot ? false : 'only root runs what others own'

/** A package whose Node.js leaves a mark where it is run. */
function sourceIn(path: string, folder: string, mark: string) {
  const fileOf = (name: string, text: string): PackageFile => {
    const source = join(path, name.replaceAll('/', '-'))
    writeFileSync(source, text)
    return { path: name, source, mode: 0o755, sizeBytes: statSync(source).size }
  }
  const files = [fileOf('node', `#!/bin/sh\nid >'${mark}'\n`), fileOf('bin/backstay.js', '')]
  return { version: '0.1.0-0123456789', files, folder, clusterFile: '', unitText: () => '' }
}

async function contextIn(path: string, folder: string, mark: string): Promise<ClusterContext> {
  const there = new LocalHost('there')
  const architecture = (await there.run(['uname', '-m'])).stdout.trim()
  const base = wish()
  return clusterContext({
    wanted: {
      ...base,
      stateDirectory: join(path, 'state'),
      postgres: { ...base.postgres, osUser: unprivilegedUser.name },
    },
    home: new LocalHost('localhost'),
    openHost: async () => there,
    service: async () => ({ ...sourceIn(path, folder, mark), architecture }),
    clock: systemClock,
    signal: new AbortController().signal,
  })
}

test('a program is run only when every directory above it is root’s', { skip: SKIP }, async () => {
  await using base = temporaryDirectory()
  const [folder, mark] = [join(base.path, 'backstay'), join(base.path, 'ran')]
  const context = await contextIn(base.path, folder, mark)
  const db2: ServerWanted = server('db2', {
    host: { ...server('db2').host, local: false },
  })
  mkdirSync(folder)
  const { uid, gid } = unprivilegedUser
  chownSync(folder, uid, gid)
  await assert.rejects(ensurePackage(context, db2), { code: 'DIRECTORY_OWNER' })
  assert.equal(existsSync(mark), false)

  chownSync(folder, 0, 0)
  const [program = ''] = await ensurePackage(context, db2)
  assert.ok(existsSync(mark))
  assert.deepEqual((await packageThere(context, db2)).command?.[0], program)

  for (const place of [program, join(folder, '0.1.0-0123456789'), folder]) {
    rmSync(mark, { force: true })
    chownSync(place, uid, gid)
    await assert.rejects(packageThere(context, db2), { code: 'DIRECTORY_OWNER' })
    await assert.rejects(ensurePackage(context, db2), { code: 'DIRECTORY_OWNER' })
    assert.equal(existsSync(mark), false, `${place} is another's, and it was run`)
    chownSync(place, 0, 0)
  }
})
