import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { closeRoots, HeldPlaces, openRoots } from '../../../src/restore/held-places.ts'
import type { RestoreLayout } from '../../../src/restore/layout.ts'
import { MARKER_NAME } from '../../../src/restore/marker.ts'
import { emptyDirectory, removeForeign } from '../../../src/restore/old-content.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

async function make(base: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(base, path, '..'), { recursive: true })
    await writeFile(join(base, path), 'x')
  }
}

function hold(layout: RestoreLayout): { readonly places: HeldPlaces } & Disposable {
  const roots = openRoots(layout, { owner: undefined, isDelta: true })
  const places = new HeldPlaces(roots)
  return {
    places,
    [Symbol.dispose]() {
      places.close()
      closeRoots(roots)
    },
  }
}

test('what the backup does not have goes; a link that leads elsewhere goes, not what it leads to', async () => {
  await using base = temporaryDirectory()
  const data = join(base.path, 'data')
  const [ours, theirs, wal] = ['ours', 'theirs', 'wal'].map((name) => join(base.path, name)) as [
    string,
    string,
    string,
  ]
  await make(data, ['PG_VERSION', 'base/1/2', 'base/1/3', 'log/today', MARKER_NAME, 'dir/in'])
  await make(ours, ['PG_15/1/2', 'PG_15/1/foreign', MARKER_NAME])
  await make(theirs, ['precious'])
  await make(wal, ['000000010000000000000001'])
  await mkdir(join(data, 'pg_tblspc'))
  await symlink(ours, join(data, 'pg_tblspc/1'))
  await symlink(theirs, join(data, 'pg_tblspc/2'))
  await symlink(wal, join(data, 'pg_wal'))
  const tablespace = { oid: 1, location: ours, directory: ours, isNamed: true }
  const layout = { directory: data, tablespaces: [tablespace], inside: [] }
  using held = hold(layout)
  const paths = {
    files: new Set(['PG_VERSION', 'base/1/2', 'dir', 'pg_tblspc/1/PG_15/1/2']),
    directories: new Set([
      'base',
      'base/1',
      'pg_tblspc',
      'pg_tblspc/1/PG_15',
      'pg_tblspc/1/PG_15/1',
    ]),
    links: new Map([
      ['pg_tblspc/1', ours],
      ['pg_tblspc/2', '/somewhere/else'],
    ]),
  }
  await removeForeign({ places: held.places, directory: data, paths })
  const stays = ['data/PG_VERSION', 'data/base/1/2', `data/${MARKER_NAME}`, 'ours/PG_15/1/2']
  stays.push(`ours/${MARKER_NAME}`, 'theirs/precious', 'data/pg_wal')
  const goes = ['data/base/1/3', 'data/log', 'data/dir', 'ours/PG_15/1/foreign', 'data/pg_tblspc/2']
  goes.push('wal/000000010000000000000001')
  for (const path of stays) assert.ok(existsSync(join(base.path, path)), `${path} stays`)
  for (const path of goes) assert.ok(!existsSync(join(base.path, path)), `${path} goes`)
})

test('emptying leaves nothing but the marker', async () => {
  await using base = temporaryDirectory()
  await make(base.path, ['a', 'b/c', '.hidden', MARKER_NAME])
  using held = hold({ directory: base.path, tablespaces: [], inside: [] })
  await emptyDirectory(held.places, base.path)
  assert.ok(existsSync(join(base.path, MARKER_NAME)))
  for (const name of ['a', 'b', '.hidden']) assert.ok(!existsSync(join(base.path, name)), name)
})
