/**
 * The cluster file is found where the manual says.
 */
import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { configPlaces, loadCluster } from '../../../src/config/load.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { MACHINE } from './machine.ts'

const TEXT =
  'cluster: shop\npostgres: { version: 18 }\nservers: { db1: { role: primary, host: x } }\n'

test('the file is looked for here, at home, then in /etc; --config names the only place', () => {
  assert.deepEqual(configPlaces({ workingDirectory: '/work', home: '/home/ann' }), [
    '/work/backstay.yaml',
    '/home/ann/.config/backstay/backstay.yaml',
    '/etc/backstay/backstay.yaml',
  ])
  assert.deepEqual(configPlaces({ workingDirectory: '/work' }), [
    '/work/backstay.yaml',
    '/etc/backstay/backstay.yaml',
  ])
  assert.deepEqual(configPlaces({ file: 'a/b.yaml', workingDirectory: '/work', home: '/home' }), [
    '/work/a/b.yaml',
  ])
})

test('the first file found is read, with paths relative to where it lies', async () => {
  await using directory = temporaryDirectory()
  const home = join(directory.path, 'home')
  await mkdir(join(home, '.config/backstay'), { recursive: true })
  await writeFile(join(home, '.config/backstay/backstay.yaml'), TEXT)
  const options = { workingDirectory: directory.path, home, machine: MACHINE }
  const atHome = await loadCluster(options)
  assert.equal(atHome.path, join(home, '.config/backstay/backstay.yaml'))
  assert.equal(atHome.wanted.stateDirectory, join(home, '.config/backstay/.backstay/shop'))

  await writeFile(join(directory.path, 'backstay.yaml'), TEXT)
  const here = await loadCluster(options)
  assert.equal(here.path, join(directory.path, 'backstay.yaml'))
  assert.equal(here.file, 'backstay.yaml')
})

test('a missing file is reported with the places looked at', async () => {
  await using directory = temporaryDirectory()
  const file = join(directory.path, 'none.yaml')
  await assert.rejects(
    loadCluster({ file, workingDirectory: '/', machine: MACHINE }),
    (error) =>
      isBackstayError(error, 'CONFIG_MISSING') &&
      error.message === `Cannot find a cluster file: looked for "${file}"`,
  )
})

test('a directory in place of the file is reported as what the system says', async () => {
  await using directory = temporaryDirectory()
  await assert.rejects(
    loadCluster({ file: directory.path, workingDirectory: '/', machine: MACHINE }),
    (error) => isBackstayError(error, 'CONFIG_MISSING') && error.message.includes('EISDIR'),
  )
})

/** Trusts this user and root, and does something when it is asked whether: the file has been read by then. */
class Meddling extends Set<number> {
  act: (() => void) | undefined

  override has(uid: number): boolean {
    this.act?.()
    this.act = undefined
    return super.has(uid)
  }
}

const CHANGED = { code: 'DIRECTORY_OWNER', message: /taken away or replaced while it was read/ }

test('a file that is gone when it is judged is not obeyed', async () => {
  await using base = temporaryDirectory()
  const [file, trusted] = await meddledFile(base.path)
  trusted.act = () => rmSync(file)
  await assert.rejects(
    loadCluster({ file, workingDirectory: '/', machine: MACHINE, trusted }),
    CHANGED,
  )
})

test('a file is not obeyed when another one is in its place by the time it is judged', async () => {
  await using base = temporaryDirectory()
  const [file, trusted] = await meddledFile(base.path)
  trusted.act = () => {
    writeFileSync(`${file}.new`, TEXT)
    renameSync(`${file}.new`, file)
  }
  await assert.rejects(
    loadCluster({ file, workingDirectory: '/', machine: MACHINE, trusted }),
    CHANGED,
  )
})

async function meddledFile(base: string): Promise<[string, Meddling]> {
  const directory = join(base, 'own')
  await mkdir(directory)
  const file = join(directory, 'backstay.yaml')
  await writeFile(file, TEXT)
  return [file, new Meddling([process.getuid?.() ?? 0, 0])]
}
