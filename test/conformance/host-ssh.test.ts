/**
 * The ssh driver against a real sshd on this machine: as root, as an unprivileged user, and as root through sudo with a password.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { after, before, describe } from 'node:test'
import { SshHost } from '../../src/host/ssh-host.ts'
import { systemClock } from '../../src/util/clock.ts'
import {
  startSshd,
  temporarySudoers,
  temporaryUser,
  type TestSshd,
  whyNoSshd,
} from '../harness/sshd.ts'
import { unprivilegedUser } from '../harness/unprivileged-user.ts'
import { hostConformance, type HostUnderTest } from './host.ts'

const skip = whyNoSshd() ?? false
const noSudo = existsSync('/usr/bin/sudo') ? false : 'sudo is not installed'

describe('SshHost', { skip }, () => {
  let sshd: TestSshd
  const open: SshHost[] = []
  before(async () => {
    sshd = await startSshd()
  })
  after(async () => {
    for (const host of open) await host.close()
    await sshd?.[Symbol.asyncDispose]()
  })

  const connect = async (user: string, options: object = {}): Promise<SshHost> => {
    const { address, configFile, environment } = sshd
    const basic = { name: 'there', address, configFile, environment, clock: systemClock }
    const host = await SshHost.connect({ ...basic, user, ...options })
    open.push(host)
    return host
  }
  const under = (host: SshHost, name: string, mayBeOthers: boolean): HostUnderTest => {
    const directory = `${sshd.directory}/${name}`
    execFileSync('install', ['-d', '-o', host.user, '-m', '755', directory])
    return { host, directory, otherUser: mayBeOthers ? unprivilegedUser.name : undefined }
  }

  hostConformance('logged in as root', async () => under(await connect('root'), 'root', true))

  hostConformance('logged in as an unprivileged user', async () =>
    under(await connect(unprivilegedUser.name), 'unprivileged', false),
  )

  describe('with sudo', { skip: noSudo }, () => {
    const password = "it's \\ a $ecret"
    let user: ReturnType<typeof temporaryUser>
    let sudoers: Disposable
    before(() => {
      user = temporaryUser(password)
      sudoers = temporarySudoers(`${user.name} ALL=(ALL) ALL`)
    })
    after(async () => {
      for (const host of open.splice(0)) await host.close()
      sudoers[Symbol.dispose]()
      await user[Symbol.asyncDispose]()
    })

    hostConformance('root by sudo with a password', async () =>
      under(await connect(user.name, { sudo: { password } }), 'sudo', true),
    )
  })
})
