/**
 * What root does with files of others is the same on this machine and over ssh: tests run on both, where there is an sshd.
 */
import type { Host } from '../../src/host/host.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { SshHost } from '../../src/host/ssh-host.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startSshd, whyNoSshd } from './sshd.ts'
import { isRoot } from './unprivileged-user.ts'

/** A way to a machine as root. */
export interface RootDriver {
  readonly skip: false | string
  /** Disposed, the host is closed and what it needed has ended. */
  readonly open: () => Promise<AsyncDisposable & { readonly host: Host }>
}

/** By how a test says it: `root here`. */
export const ROOT_DRIVERS: Readonly<Record<string, RootDriver>> = {
  here: { skip: !isRoot && 'needs root', open: openHere },
  'over ssh': { skip: (!isRoot && 'needs root') || (whyNoSshd() ?? false), open: openSsh },
}

async function openHere(): Promise<AsyncDisposable & { readonly host: Host }> {
  const host = new LocalHost('here')
  return { host, [Symbol.asyncDispose]: async () => host.close() }
}

async function openSsh(): Promise<AsyncDisposable & { readonly host: Host }> {
  const sshd = await startSshd()
  const { address, configFile, environment } = sshd
  const way = { name: 'there', address, configFile, environment, clock: systemClock }
  const host = await SshHost.connect({ ...way, user: 'root' })
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      await host.close()
      await sshd[Symbol.asyncDispose]()
    },
  }
}
