/**
 * Switchovers on three hosts under load: a client writes a row every 10 ms to whichever server is the primary, and every row
 * that was acknowledged is looked for at the end. BACKSTAY_SWITCHOVERS=20 does as many as the figures of docs/benchmarks.md.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { threeServers } from './rig/cluster-file.ts'
import type { SwitchoverPhase } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'
import { RoleHosts, seconds, tell } from './rig/role-hosts.ts'

const SWITCHOVERS = Number(process.env['BACKSTAY_SWITCHOVERS'] ?? 2)
const PHASES: readonly SwitchoverPhase[] = ['prepare', 'stop', 'prove', 'promote', 'settle']

describe('switchover on three hosts', { skip: whyNoHosts() ?? false }, () => {
  let roles: RoleHosts
  before(async () => {
    roles = await RoleHosts.start()
  })
  after(async () => roles?.[Symbol.asyncDispose]())

  test(`there and back under load, ${SWITCHOVERS} times (20 by hand), loses no row`, async (t) => {
    await using writer = await roles.startWriter()
    const refused: number[] = []
    const seen: number[] = []
    const whole: number[] = []
    for (let round = 0; round < SWITCHOVERS; round += 1) {
      const { result, elapsedMs } = await roles.succeeds('switchover')
      const { primary, refusedMs } = result as { primary: string; refusedMs: number }
      assert.equal(primary, roles.standby)
      roles.primary = primary
      await roles.goesOn(writer)
      refused.push(refusedMs)
      seen.push((await writer.measure()).longestSilenceMs)
      whole.push(elapsedMs)
    }
    tell(t, 'writes refused', refused)
    tell(t, 'longest time between two rows of the client', seen)
    tell(t, 'the whole command', whole)
    await roles.losesNothing(t, writer)
    await roles.isInOrder()
  })

  test('killed at each step is finished by the same command', async (t) => {
    await using writer = await roles.startWriter()
    for (const phase of PHASES) {
      const { at } = await roles.hosts.disturbedSwitchover(phase, (kill) => kill())
      const { result } = await roles.succeeds('switchover')
      const { primary } = result as { primary: string }
      t.diagnostic(`killed at "${at}" (${phase}): "${primary}" is primary`)
      assert.equal(primary, roles.standby)
      roles.primary = primary
      await roles.goesOn(writer)
    }
    await roles.losesNothing(t, writer)
    await roles.isInOrder()
  })

  for (const victim of ['old', 'new'] as const) {
    test(`during which the cable of the ${victim} primary is pulled is finished or taken back`, async (t) => {
      await using writer = await roles.startWriter()
      const host = roles.hostOf(victim === 'old' ? roles.primary : roles.standby)
      const pull = (): void => roles.hosts.setCable(host, 'down')
      const cut = await roles.hosts.disturbedSwitchover('stop', pull)
      roles.hosts.setCable(host, 'up')
      t.diagnostic(`cut at "${cut.at}": exit code ${cut.code} after ${seconds(cut.elapsedMs)}`)
      const again = await roles.switchesAgain()
      t.diagnostic(`again: "${roles.primary}" is primary after ${seconds(again.elapsedMs)}`)
      await roles.losesNothing(t, writer)
      await roles.isInOrder()
    })
  }

  test('a standby whose slot was lost is named with its remedy, which mends it', async () => {
    const { hosts, primary, standby } = roles
    hosts.writeClusterFile(threeServers({ more: 'replication: { keep: 0, slotKeep: 32MB }\n' }))
    await roles.succeeds('up')
    const here = roles.hostOf(primary)
    hosts.host(roles.hostOf(standby)).run(`systemctl stop backstay-postgres-shop-${standby}`)
    const slot = `SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'backstay_${standby}'`
    hosts.sql(here, 'CREATE TABLE filler (i int)')
    await until('the slot to be lost', () => {
      hosts.sql(here, 'INSERT INTO filler VALUES (1)')
      hosts.sql(here, 'SELECT pg_switch_wal()')
      hosts.sql(here, 'CHECKPOINT')
      return hosts.sql(here, slot) === 'lost'
    })
    const check = await hosts.backstay('check')
    assert.match(check.stdout, new RegExp(`backstay_${standby}" is lost`), roles.said(check))
    assert.match(check.stdout, new RegExp(`backstay reclone ${standby}`))
    const up = await hosts.backstay('up')
    if (up.code !== 0) await roles.succeeds('reclone', standby)
    await roles.isInOrder()
  })
})
