/**
 * What test hosts are made of: a Debian with and without PostgreSQL, built once on this machine and kept outside the checkout.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot } from '../../harness/unprivileged-user.ts'

/** Where the layers lie; `base`, `pg` and `debs` are directories in it. Another number when build-image.sh makes something else. */
export const IMAGE = '/var/cache/backstay-test-hosts/bookworm-2'

/**
 * The layer of hosts of Red Hat's family, in IMAGE like the others. Only tests that ask for it wait for it to be built. Another number
 * when build-el-image.sh makes something else.
 */
export const RED_HAT_LAYER = 'el-1'

/** Why the last build failed. */
const FAILED = join(IMAGE, 'failed')
const RED_HAT_FAILED = join(IMAGE, `${RED_HAT_LAYER}.failed`)
/** Why hosts made of it did not come up. */
const UNUSABLE = join(IMAGE, 'unusable')
/** apt tells much. */
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
const LAYERS = ['base', 'pg', 'debs']
const TOOLS = ['systemd-nspawn', 'ip', 'nsenter', 'ssh', 'ssh-keygen', 'flock', 'setpriv']
const BUILD_TOOLS = ['debootstrap', 'dpkg-scanpackages']
/** The packages of Debian that hold those tools. */
export const HOST_PACKAGES = [
  'debootstrap',
  'systemd-container',
  'iproute2',
  'dpkg-dev',
  'openssh-client',
]

/** Why no test hosts can be run here; undefined when they can, once the image is built. */
export function whyNoHosts(): string | undefined {
  if (!isRoot) return 'only root can run hosts in namespaces'
  const tools = isBuilt() ? TOOLS : [...TOOLS, ...BUILD_TOOLS]
  const missing = tools.filter((tool) => !isInstalled(tool))
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`
  if (!isBuilt() && existsSync(FAILED))
    return `${readFileSync(FAILED, 'utf8')} (npm test tries again)`
  if (existsSync(UNUSABLE)) return `${readFileSync(UNUSABLE, 'utf8')} (npm test tries again)`
  const network = spawnSync('unshare', ['--net', 'ip', 'link', 'add', 'v0', 'type', 'veth'])
  return network.status === 0 ? undefined : 'the kernel gives us no network namespaces with veth'
}

/** Has the next run try again after one that failed. */
export function forgetFailures(): void {
  rmSync(FAILED, { force: true })
  rmSync(RED_HAT_FAILED, { force: true })
  rmSync(UNUSABLE, { force: true })
}

/** Notes that hosts do not come up on this machine; `whyNoHosts` says so from then on. */
export function noteUnusable(reason: string): void {
  writeFileSync(UNUSABLE, reason)
}

/**
 * Builds, when it is not there, what hosts of Red Hat's family need beside the image. Gives back why there can be none; what failed once
 * is not tried again before the next `npm test`.
 */
export function whyNoRedHatHosts(): string | undefined {
  const reason = whyNoHosts() ?? buildImage()
  if (reason !== undefined) return reason
  if (existsSync(join(IMAGE, `${RED_HAT_LAYER}.done`))) return undefined
  if (existsSync(RED_HAT_FAILED))
    return `${readFileSync(RED_HAT_FAILED, 'utf8')} (npm test tries again)`
  return runScript(['build-el-image.sh', IMAGE, RED_HAT_LAYER], RED_HAT_FAILED)
}

/** Builds the image when it is not there. Gives back why that failed; `whyNoHosts` says so from then on. */
export function buildImage(): string | undefined {
  return isBuilt() ? undefined : runScript(['build-image.sh', IMAGE], FAILED)
}

/** Runs a script of this directory with its arguments while nobody else does. What it failed with goes to `failed` as well. */
function runScript([script = '', ...words]: readonly string[], failed: string): string | undefined {
  console.log(`Building the test hosts in ${IMAGE}: this takes some minutes, once`)
  mkdirSync(IMAGE, { recursive: true })
  const path = join(import.meta.dirname, script)
  const command = ['-x', `${IMAGE}/lock`, 'nice', '-n', '10', 'bash', path, ...words]
  const { status, stdout, stderr } = spawnSync('flock', command, {
    encoding: 'utf8',
    maxBuffer: OUTPUT_LIMIT_BYTES,
  })
  if (status === 0) return undefined
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join(' | ')
  const reason = `the test hosts could not be built: ${said}`
  writeFileSync(failed, reason)
  return reason
}

function isBuilt(): boolean {
  return LAYERS.every((layer) => existsSync(join(IMAGE, `${layer}.done`)))
}

function isInstalled(tool: string): boolean {
  const path = '/usr/sbin:/usr/bin:/sbin:/bin'
  return path.split(':').some((directory) => existsSync(join(directory, tool)))
}
