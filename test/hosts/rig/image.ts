/**
 * What test hosts are made of: a Debian with and without PostgreSQL, built once on this machine and kept outside the checkout.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot } from '../../harness/unprivileged-user.ts'

/** Where the layers lie; `base`, `pg` and `debs` are directories in it. */
export const IMAGE = '/var/cache/backstay-test-hosts/bookworm'

/** Why the last build failed. */
const FAILED = join(IMAGE, 'failed')
/** Why hosts made of it did not come up. */
const UNUSABLE = join(IMAGE, 'unusable')
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
  rmSync(UNUSABLE, { force: true })
}

/** Notes that hosts do not come up on this machine; `whyNoHosts` says so from then on. */
export function noteUnusable(reason: string): void {
  writeFileSync(UNUSABLE, reason)
}

/** Builds the image when it is not there. Gives back why that failed; `whyNoHosts` says so from then on. */
export function buildImage(): string | undefined {
  if (isBuilt()) return undefined
  console.log(`Building the test hosts in ${IMAGE}: this takes some minutes, once`)
  mkdirSync(IMAGE, { recursive: true })
  const script = join(import.meta.dirname, 'build-image.sh')
  const command = ['-x', `${IMAGE}/lock`, 'nice', '-n', '10', 'bash', script, IMAGE]
  const { status, stdout, stderr } = spawnSync('flock', command, { encoding: 'utf8' })
  if (status === 0) return undefined
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join(' | ')
  const reason = `the test hosts could not be built: ${said}`
  writeFileSync(FAILED, reason)
  return reason
}

function isBuilt(): boolean {
  return LAYERS.every((layer) => existsSync(join(IMAGE, `${layer}.done`)))
}

function isInstalled(tool: string): boolean {
  const path = '/usr/sbin:/usr/bin:/sbin:/bin'
  return path.split(':').some((directory) => existsSync(join(directory, tool)))
}
