/**
 * Making trees durable, and disks that are full.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { LocalHost } from '../../../src/host/local-host.ts'
import { syncFileSystems, syncTree } from '../../../src/host/sync-tree.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

test('a tree is synced file by file where sync(1) cannot do it, links left alone', async () => {
  await using base = temporaryDirectory()
  await mkdir(`${base.path}/a/b`, { recursive: true })
  for (let index = 0; index < 20; index++) await writeFile(`${base.path}/a/b/${index}`, 'x')
  await symlink('/nowhere', `${base.path}/a/dangling`)
  await syncTree(base.path)
})

test('whole file systems are synced by directories on them', async () => {
  await using base = temporaryDirectory()
  await syncFileSystems([base.path])
  await assert.rejects(syncFileSystems([`${base.path}/missing`]), /missing/)
})

test('a link to a device in the place of a directory opens no device', async () => {
  await using base = temporaryDirectory()
  await symlink('/dev/null', `${base.path}/data`)
  await assert.rejects(syncFileSystems([`${base.path}/data`]), /Not a directory/)
})

test('a full disk is said to be full, and a replaced file keeps its old content', async (t) => {
  await using base = temporaryDirectory()
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', base.path])
  if (mounted.status !== 0) return t.skip('no right to mount a small file system')
  try {
    const host = new LocalHost('here')
    const path = `${base.path}/file`
    await host.writeFile(path, 'old')
    const full = { code: 'DISK_SPACE' }
    await assert.rejects(host.writeFile(path, Buffer.alloc(4_000_000, 1)), full)
    assert.equal((await host.readFile(path))?.toString(), 'old')
    assert.deepEqual(await host.list(base.path), ['file'])
    for (const sizeBytes of [900_000, 20_000_000]) {
      const tree = await host.openTree(`${base.path}/tree`, {})
      const fill = async (): Promise<void> => {
        for (let index = 0; index < 4; index++) {
          await tree.beginFile(`${sizeBytes}-${index}`, { mode: 0o600, sizeBytes })
          for (let at = 0; at < sizeBytes; at += 100_000) await tree.write(Buffer.alloc(100_000, 1))
          await tree.endFile()
        }
        await tree.sync()
      }
      await assert.rejects(fill(), full)
      await assert.rejects(tree.sync(), full)
      await tree.close()
      await host.remove(`${base.path}/tree`)
    }
  } finally {
    execFileSync('umount', [base.path])
  }
})
