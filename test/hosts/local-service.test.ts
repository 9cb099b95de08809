/**
 * A cluster on one machine with systemd, built by Backstay on that machine: the backup server is the machine itself, and `up` makes
 * the service that runs there. Another cluster's backup server works on the same machine.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import type { StatusSeen } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import type { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'
import type { Ended, TestMachine } from './rig/machine.ts'

const FILE = '/etc/backstay/solo.yaml'
const UNIT = 'backstay-solo.service'
const OTHER_UNIT = 'backstay-shop.service'
const TIMEOUT_MS = 180_000
const BACKUP = `backup:
  server: vault
  host: localhost
  repository: /srv/solo/repository
  schedule: { backup: "0 2 * * *" }
`
const SERVERS = `cluster: solo
postgres: { version: 15, parameters: { shared_buffers: 16MB } }
servers:
  one: { role: primary, host: localhost, port: 25432, directory: /srv/solo/one }
`

interface LocalStatus extends StatusSeen {
  readonly backup?: StatusSeen['backup'] & {
    readonly nextBackupAt?: string
    readonly service?: { readonly unit?: string; readonly problem?: string }
  }
}

describe('a cluster on the machine Backstay runs on', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  let machine: TestMachine
  before(async () => {
    hosts = await startBuiltCluster()
    machine = hosts.host('backup')
    write(SERVERS + BACKUP)
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  const write = (text: string): void => writeFileSync(join(machine.root, FILE), text)
  const backstay = (words: string, file = FILE): Ended =>
    machine.tryRun(`timeout 300 /usr/local/bin/backstay --config ${file} ${words}`)
  const said = ({ stdout, stderr }: Ended): string => `${stdout}\n${stderr}`
  const done = (words: string): string => {
    const ended = backstay(words)
    assert.equal(ended.code, 0, said(ended))
    return ended.stdout
  }
  const status = (): LocalStatus => JSON.parse(backstay('status --json').stdout) as LocalStatus
  const receives = async (): Promise<void> => {
    const isSo = (): boolean => status().backup?.receiver?.state === 'streaming'
    await until('the service to receive WAL', isSo, TIMEOUT_MS)
  }
  const isActive = (unit: string): string =>
    machine.tryRun(`systemctl is-active ${unit}`).stdout.trim()

  test('up writes the unit that plan shows, as the repository’s owner, and WAL arrives; a second up has nothing to do', async () => {
    assert.match(
      done('plan'),
      /write and start service backstay-solo\.service.*\n.*started at boot/,
    )
    const up = done('up')
    assert.doesNotMatch(up, /nothing starts|nothing receives/i)
    await receives()
    const unit = machine.run(`cat /etc/systemd/system/${UNIT}`)
    assert.match(unit, /^User=postgres$/m)
    assert.match(
      unit,
      new RegExp(`^ExecStart=/opt/backstay/current/node .* --config ${FILE} serve$`, 'm'),
    )
    assert.match(done('up'), /nothing to do/)
    assert.equal(isActive(OTHER_UNIT), 'active')
  })

  test('status tells the service and the next scheduled backup, and check judges it', () => {
    const { verdict, backup } = status()
    assert.equal(verdict, 'ok', JSON.stringify(backup))
    assert.equal(backup?.service?.unit, UNIT)
    assert.match(backup?.nextBackupAt ?? '', /T\d\d:00:00/)
    assert.match(done('status'), /next scheduled backup 2/)
    machine.run(`systemctl stop ${UNIT}`)
    const check = backstay('check').stdout
    assert.match(
      check,
      /fail {2}vault {2}backup\.service: service backstay-solo\.service is inactive/,
    )
    assert.match(
      backstay('status').stdout,
      /! service backstay-solo\.service is inactive: backstay up starts it/,
    )
  })

  test('up starts it again, and restarts it when the cluster file has changed', async () => {
    assert.match(done('up'), /1 steps? done/)
    await receives()
    write(SERVERS + BACKUP.replace('0 2', '0 3'))
    assert.match(
      done('plan'),
      /write and restart service.*Backstay or the cluster file has changed/,
    )
    done('up')
    await receives()
    assert.match(done('up'), /nothing to do/)
  })

  test('after a reboot of the machine the service comes up by itself and receives once the server runs', async () => {
    await hosts.powerOff('backup')
    await hosts.powerOn('backup')
    await until('the service to come up', () => isActive(UNIT) === 'active', TIMEOUT_MS)
    const up = done('up')
    assert.match(up, /1 steps? done/)
    await receives()
    done('backup')
  })

  test('a cluster of the same name from another file gets no service, and leaves this one’s alone', () => {
    const before = machine.run(`cat /etc/systemd/system/${UNIT}`)
    const path = join(machine.root, 'srv/other')
    mkdirSync(path)
    const text = (SERVERS + BACKUP)
      .replaceAll('/srv/solo/', '/srv/other/')
      .replace('25432', '25433')
    writeFileSync(join(path, 'solo.yaml'), text)
    const other = backstay('up', '/srv/other/solo.yaml')
    assert.equal(other.code, 3, said(other))
    assert.match(
      said(other),
      /Will not touch service backstay-solo\.service.*\/etc\/backstay\/solo\.yaml/,
    )
    const gone = backstay('down --destroy --yes', '/srv/other/solo.yaml')
    assert.equal(gone.code, 0, said(gone))
    assert.equal(machine.run(`cat /etc/systemd/system/${UNIT}`), before)
    assert.equal(isActive(UNIT), 'active')
  })

  test('down stops it; where its user cannot read the cluster file, up says who cannot read what; up from a readable place serves again', async () => {
    done('down')
    assert.equal(isActive(UNIT), 'inactive')
    for (const name of ['solo.yaml', '.backstay']) {
      renameSync(join(machine.root, 'etc/backstay', name), join(machine.root, 'root', name))
    }
    const closed = backstay('up', '/root/solo.yaml')
    assert.equal(closed.code, 3, said(closed))
    assert.match(
      said(closed),
      /OS user "postgres".*cannot run Backstay with \/root\/solo\.yaml: .*permission denied/i,
    )
    for (const name of ['solo.yaml', '.backstay']) {
      renameSync(join(machine.root, 'root', name), join(machine.root, 'etc/backstay', name))
    }
    done('up')
    await receives()
  })

  test('a backup part that left the file is told with its service, and forget takes that away', () => {
    write(SERVERS)
    assert.match(
      done('plan'),
      /service backstay-solo\.service on this machine, slot "backstay_vault"/,
    )
    assert.match(done('forget vault --yes'), /service backstay-solo\.service/)
    assert.equal(machine.tryRun(`test -e /etc/systemd/system/${UNIT}`).code, 1)
    assert.ok(readFileSync(join(machine.root, FILE), 'utf8').length > 0)
  })

  test('down --destroy removes the service with the cluster, and nothing of the other one', async () => {
    write(SERVERS + BACKUP)
    done('up')
    await receives()
    done('down --destroy --yes')
    assert.equal(machine.tryRun(`test -e /etc/systemd/system/${UNIT}`).code, 1)
    assert.equal(machine.run(`cat ${FILE}`), SERVERS + BACKUP)
    assert.equal(isActive(OTHER_UNIT), 'active')
  })
})
