/**
 * Prepares the hosts of test/hosts: the packages that run and build them, and their image; a quick no-op when all is there.
 * Where that cannot be done the reason is printed, and the tests skip with it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isRoot } from '../test/harness/unprivileged-user.ts'
import { TestHosts } from '../test/hosts/rig/hosts.ts'
import {
  buildImage,
  forgetFailures,
  HOST_PACKAGES,
  noteUnusable,
  whyNoHosts,
} from '../test/hosts/rig/image.ts'

/** Installs what is missing. Without apt nothing happens: `whyNoHosts` then names what is missing. */
function installPackages(): void {
  if (!existsSync('/usr/bin/apt-get')) return
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...words: string[]): boolean =>
    spawnSync('apt-get', ['-q', '-y', ...words], { stdio: ['ignore', 'ignore', 'inherit'], env })
      .status === 0
  console.log(`Installing ${HOST_PACKAGES.join(', ')} for the tests on three hosts`)
  const words = ['install', '--no-install-recommends', ...HOST_PACKAGES]
  if (apt(...words)) return
  apt('update')
  apt(...words)
}

/** Boots them once: a machine may have all the tools and yet not let systemd run in a namespace. */
async function whyTheyDoNotBoot(): Promise<string | undefined> {
  try {
    await using _hosts = await TestHosts.start({ withPostgres: false })
    return undefined
  } catch (error) {
    const reason = `the hosts do not come up: ${error instanceof Error ? error.message : String(error)}`
    noteUnusable(reason)
    return reason
  }
}

forgetFailures()
if (isRoot && whyNoHosts() !== undefined) installPackages()
const reason = whyNoHosts() ?? buildImage() ?? (await whyTheyDoNotBoot())
if (reason !== undefined) console.log(`Tests on three hosts are skipped: ${reason}`)
