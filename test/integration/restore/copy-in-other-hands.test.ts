/**
 * Root stops and removes a copy whose owner says what belongs to it, and who can exchange what is above it: all of that is done as that owner,
 * here and over ssh, whoever's directory he shows.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Host } from '../../../src/host/host.ts'
import { findCopy, releaseHold, removeCopy, stopCopy } from '../../../src/restore/opened-copy.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { meddleAs } from '../../harness/other-user.ts'
import { ROOT_DRIVERS } from '../../harness/root-hosts.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'

const { name: user, uid, gid } = unprivilegedUser
const HOLD =
  'repository/shop/locks/backup-20260101T000000/00000000-0000-0000-0000-000000000000.json'
/** Has the second path lead to the third and the fourth in turn, without end. */
const EXCHANGE = 'while :; do ln -sfT -- "$2" "$1"; ln -sfT -- "$3" "$1"; done'

interface Places {
  /** Where PostgreSQL’s user has a link to what is root’s: as this path the note names the copy. */
  readonly copy: string
  /** Root’s, where everybody may put something of his own, as in /tmp. */
  readonly open: string
  readonly home: string
  /** Root’s WAL, and a lock of root’s repository. */
  readonly wal: string
  readonly hold: string
}

function makePlaces(base: string): Places {
  const [home, open, wal] = [join(base, 'home'), join(base, 'roots/data'), join(base, 'wal')]
  const hold = join(base, HOLD)
  for (const path of [home, open, wal, join(hold, '..')]) mkdirSync(path, { recursive: true })
  for (const path of [base, join(base, 'roots')]) chmodSync(path, 0o755)
  chmodSync(open, 0o1777)
  writeFileSync(join(wal, '000000010000000000000001'), 'root’s')
  writeFileSync(hold, '{}')
  chownSync(home, uid, gid)
  symlinkSync(join(base, 'roots'), join(home, 'look'))
  lchownSync(join(home, 'look'), uid, gid)
  return { copy: join(home, 'look/data'), open, home, wal, hold }
}

function writeNote(into: string, { copy, wal, hold }: Places, directory: string = copy): void {
  const note = { directory, backup: '20260101T000000', tablespaces: [], walDirectory: wal, hold }
  const path = join(into, 'backstay-copy.json')
  writeFileSync(path, JSON.stringify(note))
  chownSync(path, uid, gid)
}

for (const [driver, { skip, open }] of Object.entries(ROOT_DRIVERS)) {
  describe(`root ${driver}`, { skip, concurrency: false }, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let host: Host
    before(async () => {
      opened = await open()
      host = opened.host
    })
    after(async () => opened?.[Symbol.asyncDispose]())

    test('removes nothing of its own that a note names which is reached by PostgreSQL’s user’s link', async () => {
      await using base = temporaryDirectory()
      const places = makePlaces(base.path)
      writeNote(places.open, places)
      const copy = await findCopy(host, places.copy)
      assert.equal(copy.owner, user)
      const around = { clock: systemClock, signal: new AbortController().signal }
      assert.equal(await stopCopy(host, copy, around), false)
      assert.equal(await releaseHold(host, copy), false)
      await removeCopy(host, copy).catch(() => undefined)
      assert.equal(existsSync(places.hold), true)
      assert.deepEqual(readdirSync(places.wal), ['000000010000000000000001'])
      assert.equal(existsSync(places.open), true)
    })

    test('takes no directory of its own for a copy, whoever put a note there', async () => {
      await using base = temporaryDirectory()
      const places = makePlaces(base.path)
      writeNote(places.open, places, places.open)
      await assert.rejects(findCopy(host, places.open), {
        code: 'DIRECTORY_OWNER',
        message: /it is root's, and no server was ever opened there as root/,
      })
    })

    test('is shown no other owner by one who exchanges the directory above', async () => {
      await using base = temporaryDirectory()
      const places = makePlaces(base.path)
      const his = join(places.home, 'true/data')
      mkdirSync(his, { recursive: true })
      for (const path of [his, join(his, '..')]) chownSync(path, uid, gid)
      writeNote(his, places)
      rmSync(join(places.home, 'look'))
      const words = [join(places.home, 'look'), join(base.path, 'roots'), join(his, '..')]
      await using _ = meddleAs(unprivilegedUser, EXCHANGE, ...words)
      const owners = new Set<string>()
      for (let round = 0; round < (driver === 'here' ? 150 : 20); round++) {
        const found = await findCopy(host, places.copy).catch(() => undefined)
        if (found !== undefined) owners.add(found.owner)
      }
      assert.deepEqual([...owners], [user])
    })
  })
}
